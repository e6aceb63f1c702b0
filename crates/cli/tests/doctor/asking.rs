//! Doctor as somebody calls it who has no profile, a locked one, or one that is not theirs.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use crate::common::skip::skipped;
use crate::common::{Home, Outcome, Profile};

const NOBODY: &str = "65534";

/// The first line, and that nothing stands on standard error.
#[track_caller]
fn first_line(looks: &Outcome, code: i32) -> &str {
    assert_eq!((looks.code, &*looks.stderr), (Some(code), ""), "{}", looks.stdout);
    looks.stdout.lines().next().unwrap()
}

#[test]
fn without_a_profile() {
    let home = Home::new();
    let profile = Profile::at(&home, "none");
    let shown = profile.dir.display();
    let looks = profile.run(&["doctor"]);
    let line = format!("{shown}: there is no profile: make one with `tortalk init`");
    assert_eq!(first_line(&looks, 1), line);
    assert!(!profile.dir.exists(), "nothing is made");
}

#[test]
fn a_file_in_place_of_a_profile() {
    let home = Home::new();
    let profile = Profile::at(&home, "file");
    fs::write(&profile.dir, "text").unwrap();
    let looks = profile.run(&["doctor"]);
    let shown = profile.dir.display();
    let line = format!("{shown}: a profile is a folder, and this is none: give its folder");
    assert_eq!(first_line(&looks, 1), line);
    assert_eq!(looks.stdout.matches("WRONG").count(), 1, "{}", looks.stdout);
}

#[test]
fn a_profile_with_a_passphrase() {
    let home = Home::new();
    let profile = home.profile("locked");
    for (name, text) in [("right", "a good passphrase"), ("wrong", "another one")] {
        fs::write(home.path().join(name), text).unwrap();
    }
    profile.run(&["passphrase", "set", "--new-passphrase-file", "right"]).ok();
    let looks = profile.run(&["doctor"]);
    let line = "what was looked at looks right, but not the profile, which has a passphrase: give \
                it with --passphrase-file";
    assert_eq!(first_line(&looks, 0), line);
    let looks = profile.run(&["doctor", "--passphrase-file", "right"]);
    assert_eq!(first_line(&looks, 0), "everything looks right");
    let looks = profile.run(&["doctor", "--passphrase-file", "wrong"]);
    let identity = profile.dir.join("identity.bin");
    let line = format!("{}: the passphrase is wrong: try again", identity.display());
    assert_eq!(first_line(&looks, 1), line);
}

#[test]
fn a_profile_of_somebody_else() {
    let home = Home::new();
    let profile = home.profile("theirs");
    let user = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"];
    let can = Command::new("setpriv").args(user).arg("true").status();
    if !can.is_ok_and(|status| status.success()) {
        skipped("a profile of somebody else", "no other user can be taken on here");
        return;
    }
    // Who is nobody has to reach the program.
    let program = home.path().join("tortalk");
    fs::copy(env!("CARGO_BIN_EXE_tortalk"), &program).unwrap();
    let doctor = || {
        let mut command = Command::new("setpriv");
        command.args(user).arg(&program).args(["doctor", "--profile"]).arg(&profile.dir);
        Outcome::of(command)
    };
    let rights = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    rights(home.path(), 0o755);
    let shown = profile.dir.display();
    let line = format!(
        "{shown}: this profile belongs to another user (number {}): run this as that user, or give \
         another --profile",
        rustix::process::geteuid().as_raw()
    );
    // Whatever its rights are.
    for mode in [0o700, 0o755] {
        rights(&profile.dir, mode);
        let looks = doctor();
        assert_eq!(first_line(&looks, 1), line);
        assert_eq!(looks.stdout.matches("WRONG").count(), 1, "{}", looks.stdout);
    }
    // Their own, and it keeps them out.
    std::os::unix::fs::chown(&profile.dir, Some(65534), Some(65534)).unwrap();
    rights(&profile.dir, 0o000);
    let line = format!("{shown}: its rights keep you out: chmod 700 '{shown}'");
    assert_eq!(first_line(&doctor(), 1), line);
}

#[test]
fn a_wrong_option() {
    let home = Home::new();
    let outcome = home.run(&["doctor", "--wrong"]);
    let line = "tortalk: unexpected argument '--wrong' found: see `tortalk doctor --help`\n";
    assert_eq!((outcome.code, &*outcome.stdout, &*outcome.stderr), (Some(64), "", line));
}
