//! What can be wrong with a profile, each in one line that says what to do.

use std::path::PathBuf;

use tortalk_keys::name::NameError;
use tortalk_settings::{SetError, SettingsError};
use tortalk_sqlite::LockError;
use tortalk_store::StoreError;

use super::files::FileError;

/// Why a profile could not be opened. Nothing in it has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No folder, or nothing of a profile in it.
    #[error("{}: there is no profile: make one with `tortalk init`", dir.display())]
    NotThere {
        /// The folder.
        dir: PathBuf,
    },
    /// Making the profile was interrupted.
    #[error("{}: this profile was never finished: run `tortalk init` again", dir.display())]
    Unfinished {
        /// The folder.
        dir: PathBuf,
    },
    /// Another process has it, or it cannot be written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The settings are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// There is no identity.
    #[error("{}: the identity is missing: put it back from a backup", path.display())]
    IdentityMissing {
        /// Where it is looked for.
        path: PathBuf,
    },
    /// The identity does not open.
    #[error("{}: {fault}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: IdentityFault,
    },
    /// A mailbox key is not in `keys/`.
    #[error("{}: this key is missing: put it back from a backup", path.display())]
    KeyMissing {
        /// Where it is looked for.
        path: PathBuf,
    },
    /// A key's file was changed, or is another profile's.
    #[error(
        "{}: this key is damaged or another profile's: put it back from a backup{}",
        path.display(),
        if *replaceable { ", or move it away" } else { "" }
    )]
    KeyDamaged {
        /// The file.
        path: PathBuf,
        /// Whether the profile works without it: a sealing key's seed, or a
        /// mailbox that was replaced. What was sealed to it alone stays closed
        /// then.
        replaceable: bool,
    },
    /// A key's file was written by a newer torTalk.
    #[error("{}: this key was written by a newer torTalk: install that one", path.display())]
    KeyNewer {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What is wrong with `identity.bin`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityFault {
    /// Another kind of file.
    #[error("this is not the identity of a torTalk profile: put the right file in its place")]
    NotIdentity,
    /// Written by a later version.
    #[error("written by a newer torTalk (format {0}): install that one")]
    Newer(u16),
    /// Cut off or changed.
    #[error("the file is damaged: put a backup in its place")]
    Damaged,
    /// A passphrase is set and none was given.
    #[error("this profile has a passphrase: enter it")]
    NeedsPassphrase,
    /// It does not open with this passphrase.
    #[error("the passphrase is wrong: try again")]
    WrongPassphrase,
}

/// Why a profile could not be made. What was made of it is removed again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// There is a profile already.
    #[error("{}: there is a profile already: use it, or choose another folder", dir.display())]
    AlreadyThere {
        /// The folder.
        dir: PathBuf,
    },
    /// Keys or messages without an identity: somebody's remains.
    #[error(
        "{}: there are keys or messages here without their identity: \
         put the identity back from a backup, or choose another folder",
        dir.display()
    )]
    Remains {
        /// The folder.
        dir: PathBuf,
    },
    /// A folder with other things in it.
    #[error("{}: the folder is not empty: choose another one", dir.display())]
    NotEmpty {
        /// The folder.
        dir: PathBuf,
    },
    /// The name cannot be one.
    #[error("{0}")]
    Name(#[from] NameError),
    /// Another process is at work in the folder, or it cannot be written.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The settings that are there already are wrong.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The name could not be put into the settings.
    #[error(transparent)]
    SetName(#[from] SetError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The database could not be made.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a passphrase was not changed. The old one holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PassphraseError {
    /// The profile does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new file could not be written.
    #[error(transparent)]
    Write(FileError),
}
