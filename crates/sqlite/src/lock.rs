//! One process per folder.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::StoreFault;

/// The name of the lock's file inside the folder.
pub const LOCK_FILE: &str = "lock";

/// The right to use a folder, held until it is dropped or the process ends,
/// however it ends: the kernel holds the lock, the file stays.
///
/// While it is held the file contains the process id, for the message that a
/// second process shows; an orderly end empties it.
#[derive(Debug)]
#[must_use = "the lock is released when this value is dropped"]
pub struct DirLock {
    file: File,
}

/// Why a folder could not be locked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {}: close that program first", dir.display(), holder(*pid))]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// The process that holds it, where it could be read.
        pid: Option<u32>,
    },
    /// The folder does not exist.
    #[error("{}: there is no such folder", dir.display())]
    NoFolder {
        /// The folder.
        dir: PathBuf,
    },
    /// The disk does not let the lock be made.
    #[error("{}: {fault}", dir.display())]
    Fault {
        /// The folder.
        dir: PathBuf,
        /// What is wrong.
        fault: StoreFault,
    },
}

impl DirLock {
    /// Locks `dir`, without waiting.
    ///
    /// # Errors
    ///
    /// [`LockError::InUse`] when any other holder exists, this process included.
    pub fn acquire(dir: &Path) -> Result<Self, LockError> {
        let fault = |error: io::Error| LockError::Fault {
            dir: dir.to_owned(),
            fault: StoreFault::of_io(&error),
        };
        let mut options = OpenOptions::new();
        // Not truncated here: the file may be another process's.
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = match options.open(dir.join(LOCK_FILE)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(LockError::NoFolder { dir: dir.to_owned() });
            }
            Err(error) => return Err(fault(error)),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(LockError::InUse { dir: dir.to_owned(), pid: read_pid(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
        // The id is information for others. A full disk must not forbid reading.
        if file.set_len(0).is_ok() {
            let _unwritten = write!(file, "{}", std::process::id());
        }
        Ok(Self { file })
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // The kernel releases the lock when the file closes, right after this.
        let _stale = self.file.set_len(0);
    }
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    // No process id has more digits; the file could be anything.
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}
