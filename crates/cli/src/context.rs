//! What every command knows: which profile, and how to speak.

use std::env;
use std::path::{Path, PathBuf};

use tortalk_node::profile::{self, IdentityFault, OpenError, Passphrase, Profile};

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};
use crate::passphrase;

/// How often somebody at a terminal may mistype the passphrase.
const TRIES: usize = 3;

/// What every command knows.
#[derive(Debug)]
pub(crate) struct Context {
    /// The profile's folder.
    pub(crate) dir: PathBuf,
    pub(crate) out: Output,
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl Context {
    pub(crate) fn new(global: &Global) -> Result<Self, Failure> {
        let format = if global.json { Format::Json } else { Format::Human };
        Ok(Self {
            dir: folder(&global.profile)?,
            out: Output::new(format, global.color),
            passphrase_file: global.passphrase_file.clone(),
        })
    }

    /// Opens the profile, with a passphrase where it has one.
    pub(crate) fn open_profile(&self) -> Result<Profile, OpenProfileError> {
        self.open_with_passphrase().map(|(profile, _)| profile)
    }

    /// The same, with the passphrase that opened it.
    pub(crate) fn open_with_passphrase(
        &self,
    ) -> Result<(Profile, Option<Passphrase>), OpenProfileError> {
        match profile::open(&self.dir, None) {
            Ok(profile) => return Ok((profile, None)),
            Err(OpenError::Identity { fault: IdentityFault::NeedsPassphrase, .. }) => {}
            Err(error) => return Err(OpenProfileError::Open(error)),
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let passphrase = match &self.passphrase_file {
                Some(file) => passphrase::from_file(file),
                None => passphrase::ask("Passphrase"),
            };
            let passphrase = passphrase.map_err(OpenProfileError::Passphrase)?;
            match profile::open(&self.dir, Some(&passphrase)) {
                Ok(profile) => return Ok((profile, Some(passphrase))),
                Err(OpenError::Identity { fault: IdentityFault::WrongPassphrase, .. })
                    if self.passphrase_file.is_none() && tries < TRIES =>
                {
                    crate::output::warn("the passphrase is wrong: try again");
                }
                Err(error) => return Err(OpenProfileError::Open(error)),
            }
        }
    }
}

/// Why a profile was not opened.
#[derive(Debug)]
pub(crate) enum OpenProfileError {
    /// Something about the profile.
    Open(OpenError),
    /// There is no passphrase to try.
    Passphrase(Failure),
}

impl From<OpenProfileError> for Failure {
    fn from(error: OpenProfileError) -> Self {
        match error {
            OpenProfileError::Open(error) => error.into(),
            OpenProfileError::Passphrase(failure) => failure,
        }
    }
}

/// The folder of a profile: a path is one that has a slash in it or is `.` or
/// `..`; everything else is a name in the platform's own folder.
fn folder(profile: &str) -> Result<PathBuf, Failure> {
    let is_path = profile.contains(['/', '\\']) || matches!(profile, "." | "..");
    if is_path {
        // The node goes on working when the process is started elsewhere.
        return std::path::absolute(Path::new(profile)).map_err(|error| {
            Failure::new(Exit::Usage, format!("--profile {profile}: no path ({error})"))
        });
    }
    profile::default_dir(profile).ok_or_else(|| {
        let line = if env::var_os("HOME").is_none_or(|home| home.is_empty()) {
            "no home folder is known: give the profile's folder with --profile PATH".to_owned()
        } else {
            format!("--profile {profile}: this is no name; write a path with a slash in it")
        };
        Failure::new(Exit::Usage, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_makes_a_path() {
        assert_eq!(folder("/x/y").ok(), Some("/x/y".into()));
        let here = env::current_dir().expect("there is one");
        assert_eq!(folder("./y").ok(), Some(here.join("y")));
        assert!(folder("name").is_ok_and(|path| path.ends_with("torTalk/name")));
        for bad in ["", ".hidden", "a:b"] {
            assert_eq!(folder(bad).map_err(|failure| failure.exit), Err(Exit::Usage), "{bad}");
        }
    }
}
