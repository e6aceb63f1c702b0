//! How a command can end.

use std::io;
use std::process::ExitCode;

use tortalk_node::control::client::ClientError;
use tortalk_node::control::protocol::{ErrorKind, RequestError};
use tortalk_node::profile::{CreateError, IdentityFault, OpenError, PassphraseError};
use tortalk_node::{DatabaseError, LockError, NodeError, StartError, StoreError, StoreFault};

use crate::text;

/// The exit codes; `tortalk --help` and docs/cli.md explain them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Done = 0,
    World = 1,
    Profile = 3,
    Passphrase = 4,
    NotFound = 5,
    NotDelivered = 6,
    Usage = 64,
    Data = 65,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    /// What a program can decide by.
    pub(crate) kind: String,
    /// One line: what is wrong and what to do. Empty for an end without a word.
    pub(crate) line: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, line: impl AsRef<str>) -> Self {
        let kind = match exit {
            Exit::Done => "done",
            Exit::World => "failed",
            Exit::Profile => "profile",
            Exit::Passphrase => "passphrase",
            Exit::NotFound => "not_found",
            Exit::NotDelivered => "not_delivered",
            Exit::Usage => "usage",
            Exit::Data => "unusable",
        };
        Self { exit, kind: kind.to_owned(), line: text::one_line(line.as_ref()) }
    }

    pub(crate) fn world(line: impl AsRef<str>) -> Self {
        Self::new(Exit::World, line)
    }

    /// An end that needs no words: whoever read the output has had enough.
    pub(crate) fn quiet(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// The answer to a request is that of another one.
    pub(crate) fn strange_answer() -> Self {
        Self::world(ClientError::Answer.to_string())
    }

    /// Standard output does not take what is written to it.
    pub(crate) fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::quiet(Exit::Done);
        }
        Self::world(format!("the output cannot be written ({error}): look where it goes"))
    }
}

impl From<RequestError> for Failure {
    fn from(error: RequestError) -> Self {
        let exit = match error.kind {
            ErrorKind::NoSuchRequest
            | ErrorKind::UnknownWho
            | ErrorKind::AmbiguousWho
            | ErrorKind::NotAContact
            | ErrorKind::NoSuchMessage => Exit::NotFound,
            ErrorKind::BadRequest
            | ErrorKind::TooLong
            | ErrorKind::BadAddress
            | ErrorKind::Yourself
            | ErrorKind::Blocked
            | ErrorKind::TextTooLong
            | ErrorKind::TextEmpty
            | ErrorKind::BadName
            | ErrorKind::BadCard
            | ErrorKind::CardOutdated => Exit::Data,
            _ => Exit::World,
        };
        let kind = serde_json::to_value(error.kind).ok();
        let kind = kind.and_then(|kind| kind.as_str().map(str::to_owned));
        let failure = Self::new(exit, &error.message);
        Self { kind: kind.unwrap_or_else(|| failure.kind.clone()), ..failure }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused(error) => error.into(),
            error => Self::world(error.to_string()),
        }
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        let exit = match &error {
            OpenError::Identity {
                fault: IdentityFault::NeedsPassphrase | IdentityFault::WrongPassphrase,
                ..
            } => Exit::Passphrase,
            OpenError::Lock(error) => of_lock(error),
            OpenError::File(_) => Exit::World,
            _ => Exit::Profile,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<CreateError> for Failure {
    fn from(error: CreateError) -> Self {
        let exit = match &error {
            CreateError::Name(name) => {
                return Self::new(Exit::Data, format!("{name}: choose another name"));
            }
            CreateError::Lock(error) => of_lock(error),
            CreateError::Store(error) => of_store(error),
            CreateError::File(_) | CreateError::SetName(_) => Exit::World,
            _ => Exit::Profile,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<PassphraseError> for Failure {
    fn from(error: PassphraseError) -> Self {
        match error {
            PassphraseError::Open(error) => error.into(),
            error => Self::world(error.to_string()),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let exit = match &error {
            StartError::Store(error) => of_store(error),
            _ => Exit::World,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<NodeError> for Failure {
    fn from(error: NodeError) -> Self {
        let exit = match &error {
            NodeError::Store(error) => of_store(error),
            _ => Exit::World,
        };
        Self::new(exit, error.to_string())
    }
}

const fn of_lock(error: &LockError) -> Exit {
    match error {
        LockError::Fault { fault, .. } => of_fault(*fault),
        _ => Exit::Profile,
    }
}

const fn of_store(error: &StoreError) -> Exit {
    match error {
        StoreError::Fault(fault) | StoreError::Open(DatabaseError::Fault { fault, .. }) => {
            of_fault(*fault)
        }
        _ => Exit::Profile,
    }
}

/// A disk is the world's; what is on it is the profile's.
const fn of_fault(fault: StoreFault) -> Exit {
    match fault {
        StoreFault::Damaged => Exit::Profile,
        _ => Exit::World,
    }
}
