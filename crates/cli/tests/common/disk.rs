//! Disks that are small or cannot be written: mounts, since root passes over
//! permission bits.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::skip::skipped;
use super::{ALONE, Home, Profile};

/// A small file system that goes away with this value.
pub(crate) struct Disk(tempfile::TempDir);

impl Disk {
    pub(crate) fn new(what: &str, size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        if mount(&["-t", "tmpfs", "-o", size, "tortalk-test"], dir.path()) {
            return Some(Self(dir));
        }
        skipped(what, "a tmpfs cannot be mounted here");
        None
    }

    pub(crate) fn profile<'h>(&self, home: &'h Home) -> Profile<'h> {
        let profile = Profile::of(home, self.0.path().join("p"));
        fs::create_dir(&profile.dir).unwrap();
        fs::write(profile.dir.join("settings.toml"), ALONE).unwrap();
        profile
    }

    pub(crate) fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], self.0.path()), "{options}");
    }

    /// Takes all space that is left.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.path().join("ballast");
        let mut file = fs::File::create(&path).unwrap();
        for step in [65_536, 4096, 1] {
            while file.write_all(&vec![1; step]).is_ok() {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a process of a failed test may still be there.
        let _gone = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn mount(arguments: &[&str], dir: &Path) -> bool {
    let mut command = Command::new("mount");
    command.args(arguments).arg(dir).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

impl Disk {
    /// Another folder on the same disk; where it is full, without settings.
    pub(crate) fn profile_beside<'h>(&self, home: &'h Home) -> Profile<'h> {
        let profile = Profile::of(home, self.0.path().join("beside"));
        fs::create_dir(&profile.dir).unwrap();
        profile
    }
}
