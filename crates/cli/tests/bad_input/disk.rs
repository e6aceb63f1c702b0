//! Disks that are full or cannot be written: mounts, since root passes over
//! permission bits.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Row;
use crate::common::{ALONE, Home, Profile};

static SKIPPED: AtomicUsize = AtomicUsize::new(0);

/// Says that a row was not shown, and how many that makes.
pub(crate) fn skipped(what: &str, why: &str) {
    let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
    eprintln!("SKIPPED ({count}): {what}: {why}");
}

/// A small file system that goes away with this value.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new(what: &str, size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        if mount(&["-t", "tmpfs", "-o", size, "tortalk-test"], dir.path()) {
            return Some(Self(dir));
        }
        skipped(what, "a tmpfs cannot be mounted here");
        None
    }

    fn profile<'h>(&self, home: &'h Home) -> Profile<'h> {
        let profile = Profile::of(home, self.0.path().join("p"));
        fs::create_dir(&profile.dir).unwrap();
        fs::write(profile.dir.join("settings.toml"), ALONE).unwrap();
        profile
    }

    fn remount(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], self.0.path()), "{options}");
    }

    /// Takes all space that is left.
    fn fill(&self) -> PathBuf {
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

#[test]
fn a_profile_that_cannot_be_written() {
    let Some(disk) = Disk::new("read-only profile", "size=8m") else { return };
    let home = Home::new();
    let (profile, bob) = (disk.profile(&home), home.profile("bob"));
    profile.run(&["init"]).ok();
    profile.add(&bob, "Bob");
    disk.remount("ro");
    let line = "{dir}: the disk or file cannot be written: make it writable and try again";
    for arguments in [&["status"][..], &["run"], &["send", "Bob", "x"], &["passphrase", "set"]] {
        Row { what: "read-only", arguments, code: 1, line }.check(&profile);
    }
    disk.remount("rw");
    profile.run(&["status"]).ok();

    let other = disk.profile_beside(&home);
    disk.remount("ro");
    Row { what: "init on a read-only disk", arguments: &["init"], code: 1, line }.check(&other);
}

#[test]
fn a_full_disk() {
    let Some(disk) = Disk::new("full disk", "size=2m") else { return };
    let home = Home::new();
    let (profile, bob) = (disk.profile(&home), home.profile("bob"));
    profile.run(&["init"]).ok();
    profile.add(&bob, "Bob");
    profile.run(&["send", "Bob", "before", "--wait", "0"]).ok();
    let ballast = disk.fill();
    let line = "{dir}/store.sqlite: the disk is full: free some space and try again";
    for arguments in [&["status"][..], &["run"], &["send", "Bob", "x", "--wait", "0"]] {
        Row { what: "full", arguments, code: 1, line }.check(&profile);
    }
    let looks = profile.run(&["doctor"]);
    assert_eq!(looks.code, Some(1));
    assert!(looks.stdout.contains("only 0 MiB are free: free some space"), "{}", looks.stdout);
    let other = disk.profile_beside(&home);
    let before = other.files();
    let outcome = other.run(&["init"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.ends_with(": the disk is full: free some space and try again\n"));
    assert_eq!(other.files(), before);

    fs::remove_file(&ballast).unwrap();
    assert_eq!(profile.json(&["history"])[0]["text"], "before");
}

#[test]
fn a_disk_that_fills_while_a_node_runs() {
    let Some(disk) = Disk::new("disk that fills up", "size=3m") else { return };
    let home = Home::new();
    let (profile, bob) = (disk.profile(&home), home.profile("bob"));
    profile.run(&["init"]).ok();
    profile.add(&bob, "Bob");
    let mut node = profile.start();
    let ballast = disk.fill();
    // The log has some room of its own; then nothing is promised any more.
    let text = "x".repeat(60_000);
    let refused = (0..100).find_map(|_| {
        let outcome = profile.run(&["send", "Bob", &text, "--wait", "0"]);
        (outcome.code != Some(0)).then_some(outcome)
    });
    refused
        .expect("the disk never became full")
        .fails(1, "nothing was stored: the disk is full: free some space and try again");
    node.event("store_failed");
    let stored = profile.json(&["history", "--limit", "500"]).len();
    fs::remove_file(&ballast).unwrap();
    profile.run(&["send", "Bob", "after", "--wait", "0"]).ok();
    node.event("store_works");
    assert_eq!(node.stop(), Some(0));
    assert_eq!(profile.json(&["history", "--limit", "500"]).len(), stored + 1);
}

impl Disk {
    /// Another folder on the same disk; where it is full, without settings.
    fn profile_beside<'h>(&self, home: &'h Home) -> Profile<'h> {
        let profile = Profile::of(home, self.0.path().join("beside"));
        fs::create_dir(&profile.dir).unwrap();
        profile
    }
}
