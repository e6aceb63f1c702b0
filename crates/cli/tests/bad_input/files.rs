//! Files of the profile that are damaged, foreign, missing or from the future.

use std::fs;
use std::path::Path;

use super::Row;
use crate::common::{Home, Profile};

/// What is done to one file.
enum Damage<'a> {
    Write(&'a [u8]),
    Remove,
    /// Everything behind this offset is cut off.
    Cut(usize),
    /// These bytes are put at this offset.
    Put(usize, &'a [u8]),
    /// One bit is another one.
    Flip(usize),
    /// Another profile's file.
    Foreign,
}

fn damage(path: &Path, foreign: &Path, damage: &Damage<'_>) {
    let mut bytes = fs::read(path).unwrap();
    match damage {
        Damage::Write(new) => bytes = new.to_vec(),
        Damage::Remove => return fs::remove_file(path).unwrap(),
        Damage::Cut(len) => bytes.truncate(*len),
        Damage::Put(at, new) => bytes[*at..at + new.len()].copy_from_slice(new),
        Damage::Flip(at) => bytes[*at] ^= 1,
        Damage::Foreign => bytes = fs::read(foreign).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

/// Does each damage to a sound profile, looks, and mends it again.
fn table(file: &str, rows: &[(&str, Damage<'_>, i32, &str)]) {
    let home = Home::new();
    let (profile, other) = (home.profile("p"), home.profile("other"));
    profile.add(&other, "Other");
    profile.run(&["send", "Other", "some words", "--wait", "0"]).ok();
    let (path, foreign) = (profile.dir.join(file), other.dir.join(file));
    let sound = fs::read(&path).unwrap();
    for (what, change, code, line) in rows {
        damage(&path, &foreign, change);
        for arguments in [&["status"][..], &["run"], &["send", "Other", "x", "--wait", "1"]] {
            Row { what, arguments, code: *code, line }.check(&profile);
        }
        fs::write(&path, &sound).unwrap();
    }
    still_sound(&profile);
}

fn still_sound(profile: &Profile<'_>) {
    assert_eq!(profile.json(&["history"])[0]["text"], "some words");
}

#[test]
fn settings() {
    table(
        "settings.toml",
        &[
            (
                "syntax",
                Damage::Write(b"[network]\nbeacons = = true\n"),
                3,
                "settings.toml line 2: extra `=`, expected nothing",
            ),
            (
                "unknown key",
                Damage::Write(b"[network]\nbeakons = true\n"),
                3,
                "settings.toml line 2: unknown key `beakons` in [network]; did you mean `beacons`?",
            ),
            (
                "unknown section",
                Damage::Write(b"\n[netwrok]\n"),
                3,
                "settings.toml line 2: unknown section [netwrok]; did you mean [network]?",
            ),
            (
                "wrong type",
                Damage::Write(b"[network]\ntcp_port = \"45454\"\n"),
                3,
                "settings.toml line 2: `tcp_port` in [network] must be a whole number from 1024 \
                 to 65535, not \"45454\"",
            ),
            (
                "not text",
                Damage::Write(b"[network]\n# \xff\n"),
                3,
                "settings.toml line 2: not UTF-8 text; save the file as UTF-8",
            ),
            (
                "missing",
                Damage::Remove,
                3,
                "{dir}/settings.toml: no such file; an empty one stands for all defaults",
            ),
        ],
    );
}

#[test]
fn identity() {
    const DAMAGED: &str = "{dir}/identity.bin: the file is damaged: put a backup in its place";
    const NOT: &str = "{dir}/identity.bin: this is not the identity of a torTalk profile: put the \
                       right file in its place";
    table(
        "identity.bin",
        &[
            ("one bit", Damage::Flip(150), 3, DAMAGED),
            ("cut off", Damage::Cut(200), 3, DAMAGED),
            ("cut off in its first bytes", Damage::Cut(5), 3, DAMAGED),
            ("empty", Damage::Cut(0), 3, DAMAGED),
            ("something else", Damage::Write(b"\x89PNG\r\n\x1a\n and so on"), 3, NOT),
            (
                "another profile's",
                Damage::Foreign,
                3,
                "{dir}/keys/intro.mailbox: this key is damaged or another profile's: put it back \
                 from a backup",
            ),
            (
                "missing",
                Damage::Remove,
                3,
                "{dir}/identity.bin: the identity is missing: put it back from a backup",
            ),
            (
                "newer",
                Damage::Put(8, &[0, 2]),
                3,
                "{dir}/identity.bin: written by a newer torTalk (format 2): install that one",
            ),
        ],
    );
}

#[test]
fn keys() {
    table(
        "keys/intro.mailbox",
        &[
            (
                "one bit",
                Damage::Flip(40),
                3,
                "{dir}/keys/intro.mailbox: this key is damaged or another profile's: put it back \
                 from a backup",
            ),
            (
                "missing",
                Damage::Remove,
                3,
                "{dir}/keys/intro.mailbox: this key is missing: put it back from a backup",
            ),
            (
                "newer",
                Damage::Put(8, &[0, 2]),
                3,
                "{dir}/keys/intro.mailbox: this key was written by a newer torTalk: install that \
                 one",
            ),
        ],
    );
}

#[test]
fn database() {
    const DAMAGED: &str = "{dir}/store.sqlite: the database is damaged: move the file away, or put \
                           a backup in its place";
    table(
        "store.sqlite",
        &[
            ("no database", Damage::Write(b"These are not the pages you look for."), 3, DAMAGED),
            ("cut off", Damage::Cut(20_000), 3, DAMAGED),
            ("a page of rubbish", Damage::Put(4096, &[0x5a; 4096]), 3, DAMAGED),
            (
                "empty",
                Damage::Cut(0),
                3,
                "{dir}/store.sqlite: no messages are stored here: put a backup in its place",
            ),
            (
                "missing",
                Damage::Remove,
                3,
                "{dir}/store.sqlite: no messages are stored here: put a backup in its place",
            ),
            (
                "another profile's",
                Damage::Foreign,
                3,
                "{dir}/store.sqlite: does not open with this profile's key: put this profile's \
                 own database in its place",
            ),
            (
                "another program's",
                Damage::Put(68, &[1, 2, 3, 4]),
                3,
                "{dir}/store.sqlite: not the database of a profile: choose another path",
            ),
            (
                "newer",
                Damage::Put(60, &999_u32.to_be_bytes()),
                3,
                "the profile was written by a newer torTalk (schema 999, this one knows 1): \
                 update torTalk",
            ),
        ],
    );
}

#[test]
fn passphrase() {
    let home = Home::new();
    let profile = home.folder("p");
    for (name, text) in [("right", "right\n"), ("wrong", "Right\n"), ("empty", "\n")] {
        fs::write(home.path().join(name), text).unwrap();
    }
    profile.run(&["init", "--passphrase-file", "right"]).ok();
    let rows = [
        (
            "wrong",
            &["status", "--passphrase-file", "wrong"][..],
            "{dir}/identity.bin: the passphrase is wrong: try again",
        ),
        (
            "missing",
            &["status"],
            "there is no terminal to ask for the passphrase: give it with --passphrase-file",
        ),
        (
            "empty",
            &["status", "--passphrase-file", "empty"],
            "the passphrase is empty and would protect nothing: give another one",
        ),
        (
            "no such file",
            &["status", "--passphrase-file", "nothing"],
            "nothing: the passphrase cannot be read (No such file or directory (os error 2)): \
             give another file",
        ),
        (
            "wrong, for a new one",
            &["passphrase", "set", "--passphrase-file", "wrong", "--new-passphrase-file", "right"],
            "{dir}/identity.bin: the passphrase is wrong: try again",
        ),
    ];
    for (what, arguments, line) in rows {
        Row { what, arguments, code: 4, line }.check(&profile);
    }
    profile.run(&["status", "--passphrase-file", "right"]).ok();
}

#[test]
fn a_folder_that_is_no_place_for_a_profile() {
    let home = Home::new();
    let profile = home.profile("p");
    Row {
        what: "there is one",
        arguments: &["init"],
        code: 3,
        line: "{dir}: there is a profile already: use it, or choose another folder",
    }
    .check(&profile);
    let fresh = home.folder("fresh");
    let long = "x".repeat(65);
    for (what, name, line) in [
        ("a name too long", &*long, "the name is 65 bytes long, at most 64: choose another name"),
        (
            "a name that turns the line round",
            "a\u{202e}b",
            "the name contains U+202E, which is not shown or moves what is: choose another name",
        ),
    ] {
        Row { what, arguments: &["init", "--name", name], code: 65, line }.check(&fresh);
    }
    let other = home.folder("photos");
    fs::write(other.dir.join("holiday.jpeg"), b"jpeg").unwrap();
    Row {
        what: "other things",
        arguments: &["init"],
        code: 3,
        line: "{dir}: the folder is not empty: choose another one",
    }
    .check(&other);
    Row {
        what: "no profile",
        arguments: &["status"],
        code: 3,
        line: "{dir}: there is no profile: make one with `tortalk init`",
    }
    .check(&other);
    let missing = Profile::at(&home, "missing");
    missing.run(&["status"]).fails(
        3,
        &format!("{}: there is no profile: make one with `tortalk init`", missing.dir.display()),
    );
    assert!(!missing.dir.exists());
}

#[test]
fn a_second_process_on_one_profile() {
    let home = Home::new();
    let profile = home.profile("p");
    let mut node = profile.start();
    let outcome = profile.run(&["run"]);
    let line = format!(
        "{} is in use by process {}: close that program first",
        profile.dir.display(),
        node.pid()
    );
    outcome.fails(3, &line);
    // Commands that can share it do, and the first one noticed nothing.
    profile.run(&["status"]).ok();
    assert_eq!(node.stop(), Some(0));
}
