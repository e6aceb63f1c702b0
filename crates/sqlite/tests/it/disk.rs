//! Full and read-only disks, as mounts: root passes over permission bits. Where
//! mounting is not permitted the tests say so on stderr.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{SCHEMA, count, insert};
use tortalk_sqlite::{DirLock, LockError, OpenError, StoreFault, open};

/// A small file system that goes away with this value.
struct Mount(tempfile::TempDir);

impl Mount {
    fn new(test: &str, options: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let done = mount(&["-t", "tmpfs", "-o", options, "tortalk-test"], dir.path());
        if !done {
            eprintln!("SKIPPED: {test}: mounting a tmpfs is not permitted here");
            return None;
        }
        Some(Self(dir))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], self.path()), "remount {options}");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a connection of a failed test may still be open.
        let _gone = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn mount(arguments: &[&str], dir: &Path) -> bool {
    Command::new("mount")
        .args(arguments)
        .arg(dir)
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Takes all space that is left, in steps down to one byte.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    for step in [65_536, 4096, 1] {
        while file.write_all(&vec![1; step]).is_ok() {}
    }
}

#[test]
fn a_full_disk_is_reported_and_loses_nothing() {
    let Some(disk) = Mount::new("full disk", "size=1m") else { return };
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![1; 128 * 1024]).unwrap();
    let path = disk.path().join("a.sqlite");
    let connection = open(&path, &SCHEMA).unwrap();
    let mut stored = 0;
    let fault = loop {
        match insert(&connection, 10_000) {
            Ok(()) => stored += 1,
            Err(error) => break StoreFault::of(&error),
        }
        assert!(stored < 1_000, "the disk never became full");
    };
    assert_eq!(fault, StoreFault::Full);
    assert!(stored > 0);
    assert_eq!(count(&connection), stored);

    std::fs::remove_file(ballast).unwrap();
    insert(&connection, 1_000).unwrap();
    drop(connection);
    assert_eq!(count(&open(&path, &SCHEMA).unwrap()), stored + 1);
}

#[test]
fn nothing_is_made_on_a_full_disk() {
    let Some(disk) = Mount::new("nothing on a full disk", "size=256k") else { return };
    fill(&disk.path().join("ballast"));
    let path = disk.path().join("a.sqlite");
    let error = open(&path, &SCHEMA).unwrap_err();
    assert_eq!(error, OpenError::Fault { path, fault: StoreFault::Full });
    // The lock needs no space, so that a full profile can still be looked at.
    drop(DirLock::acquire(disk.path()).unwrap());
}

#[test]
fn a_sound_profile_on_a_full_disk_says_full_and_stays() {
    let Some(disk) = Mount::new("full disk at opening", "size=1m") else { return };
    let path = disk.path().join("a.sqlite");
    let connection = open(&path, &SCHEMA).unwrap();
    insert(&connection, 10_000).unwrap();
    drop(connection);
    let ballast = disk.path().join("ballast");
    fill(&ballast);
    let before = std::fs::read(&path).unwrap();
    match open(&path, &SCHEMA) {
        Ok(connection) => {
            let error = insert(&connection, 10_000).unwrap_err();
            assert_eq!(StoreFault::of(&error), StoreFault::Full);
        }
        Err(error) => {
            let path = path.clone();
            assert_eq!(error, OpenError::Fault { path, fault: StoreFault::Full });
        }
    }
    assert!(before == std::fs::read(&path).unwrap());
    std::fs::remove_file(ballast).unwrap();
    assert_eq!(count(&open(&path, &SCHEMA).unwrap()), 1);
}

#[test]
fn a_read_only_disk_is_reported() {
    let Some(disk) = Mount::new("read-only disk", "size=1m") else { return };
    let path = disk.path().join("a.sqlite");
    drop(open(&path, &SCHEMA).unwrap());
    disk.remount("ro");
    let error = open(&path, &SCHEMA).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{}: the disk or file cannot be written: make it writable and try again",
            path.display()
        )
    );
    let missing = disk.path().join("b.sqlite");
    assert_eq!(
        open(&missing, &SCHEMA).unwrap_err(),
        OpenError::Fault { path: missing, fault: StoreFault::ReadOnly }
    );
    let dir = disk.path().to_owned();
    assert_eq!(
        DirLock::acquire(&dir).unwrap_err(),
        LockError::Fault { dir, fault: StoreFault::ReadOnly }
    );
}

#[test]
fn a_disk_that_becomes_read_only_is_reported() {
    // A remount is refused while a file is open for writing; a second, bound
    // view of the same disk can be read-only.
    let Some(disk) = Mount::new("disk that becomes read-only", "size=1m") else { return };
    let path = disk.path().join("a.sqlite");
    let connection = open(&path, &SCHEMA).unwrap();
    insert(&connection, 100).unwrap();
    let view = tempfile::tempdir().unwrap();
    let source = disk.path().to_str().unwrap().to_owned();
    assert!(mount(&["--bind", &source], view.path()));
    let view = Mount(view);
    view.remount("bind,ro");
    let seen = view.path().join("a.sqlite");
    assert_eq!(
        open(&seen, &SCHEMA).unwrap_err(),
        OpenError::Fault { path: seen, fault: StoreFault::ReadOnly }
    );
    // Who holds it goes on.
    insert(&connection, 100).unwrap();
    assert_eq!(count(&connection), 2);
}
