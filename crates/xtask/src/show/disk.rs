//! How fast this disk makes four kilobytes durable, here and now.

use std::fs::{File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use super::Problem;

/// A preallocated file whose first block is written and synced again and again.
pub(crate) struct Disk {
    file: File,
    block: Vec<u8>,
    pub(crate) samples: Vec<Duration>,
}

impl Disk {
    pub(crate) fn new(dir: &Path) -> Result<Self, Problem> {
        let path = dir.join("disk-speed");
        let open = OpenOptions::new().create(true).write(true).truncate(true).open(&path);
        let mut file = open.map_err(|error| format!("{}: {error}", path.display()))?;
        let block = vec![0x5a; 4096];
        let prepare = file.write_all(&block.repeat(16)).and_then(|()| file.sync_all());
        prepare.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self { file, block, samples: Vec::new() })
    }

    /// Takes one sample: overwrite 4 KiB, fdatasync.
    pub(crate) fn sample(&mut self) -> Result<(), Problem> {
        let started = Instant::now();
        let synced = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&self.block))
            .and_then(|()| self.file.sync_data());
        synced.map_err(|error| format!("the disk does not sync: {error}"))?;
        self.samples.push(started.elapsed());
        Ok(())
    }
}
