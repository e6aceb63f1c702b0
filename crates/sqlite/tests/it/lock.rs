//! One process per folder, also after kill -9.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use tortalk_sqlite::{DirLock, LOCK_FILE, LockError};

const CHILD_DIR: &str = "TORTALK_TEST_LOCK_DIR";

/// Not a test of its own: the process that holds the lock in the test below.
#[test]
fn hold_in_a_child() {
    let Some(dir) = std::env::var_os(CHILD_DIR) else { return };
    let _lock = DirLock::acquire(dir.as_ref()).unwrap();
    println!("held");
    // Ends when the parent kills this process or goes away itself.
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
}

#[test]
fn a_second_holder_is_told_who_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let lock = DirLock::acquire(dir.path()).unwrap();
    let error = DirLock::acquire(dir.path()).unwrap_err();
    let pid = std::process::id();
    assert_eq!(error, LockError::InUse { dir: dir.path().to_owned(), pid: Some(pid) });
    assert_eq!(
        error.to_string(),
        format!("{} is in use by process {pid}: close that program first", dir.path().display())
    );
    drop(lock);
    assert_eq!(std::fs::read(dir.path().join(LOCK_FILE)).unwrap(), b"");
    drop(DirLock::acquire(dir.path()).unwrap());
}

#[test]
fn a_killed_process_leaves_no_lock_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["lock::hold_in_a_child", "--exact", "--nocapture"])
        .env(CHILD_DIR, dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("held")), "the child ended early");

    let error = DirLock::acquire(dir.path()).unwrap_err();
    assert_eq!(error, LockError::InUse { dir: dir.path().to_owned(), pid: Some(child.id()) });
    child.kill().unwrap();
    child.wait().unwrap();
    drop(DirLock::acquire(dir.path()).unwrap());
}

#[test]
fn an_unreadable_holder_is_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let lock = DirLock::acquire(dir.path()).unwrap();
    std::fs::write(dir.path().join(LOCK_FILE), b"\xff\xff not a number, and long").unwrap();
    let error = DirLock::acquire(dir.path()).unwrap_err();
    assert!(error.to_string().contains("in use by another process"), "{error}");
    drop(lock);
}

#[test]
fn a_missing_folder_is_named() {
    let dir = tempfile::tempdir().unwrap().path().join("none");
    assert_eq!(DirLock::acquire(&dir).unwrap_err(), LockError::NoFolder { dir });
}
