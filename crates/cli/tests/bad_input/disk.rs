//! Disks that are full or cannot be written.

use std::fs;

use super::Row;
use crate::common::Home;
use crate::common::disk::Disk;

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
    assert!(
        looks.stdout.contains("is full, only 0 MiB are free: free some space"),
        "{}",
        looks.stdout
    );
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
