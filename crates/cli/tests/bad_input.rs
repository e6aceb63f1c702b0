//! Whatever a profile, a person or a peer brings: one exact line, one exit code,
//! and the profile as it was, byte for byte.
//!
//! A row that cannot be shown on this machine says so on standard error and is
//! counted; everything else is a fault.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

#[path = "bad_input/clock.rs"]
mod clock;
#[path = "bad_input/disk.rs"]
mod disk;
#[path = "bad_input/files.rs"]
mod files;
#[path = "bad_input/rubbish.rs"]
mod rubbish;
#[path = "bad_input/typing.rs"]
mod typing;

use common::Profile;

/// One row: what was done to the profile is done already.
struct Row<'a> {
    what: &'a str,
    arguments: &'a [&'a str],
    code: i32,
    /// Behind `tortalk: `; `{dir}` stands for the profile's folder.
    line: &'a str,
}

impl Row<'_> {
    /// Runs it and holds it to its line, its code and the profile's bytes.
    #[track_caller]
    fn check(&self, profile: &Profile<'_>) {
        let before = profile.files();
        let outcome = profile.run(self.arguments);
        let line = self.line.replace("{dir}", profile.dir.to_str().unwrap());
        let expected = (Some(self.code), format!("tortalk: {line}\n"));
        assert_eq!((outcome.code, outcome.stderr), expected, "{}", self.what);
        let after = profile.files();
        let names = |files: &std::collections::BTreeMap<_, _>| -> Vec<std::path::PathBuf> {
            files.keys().cloned().collect()
        };
        assert_eq!(names(&before), names(&after), "{}", self.what);
        for (path, bytes) in before {
            assert!(after[&path] == bytes, "{}: {} has changed", self.what, path.display());
        }
    }
}
