//! What a failed call means.

use std::error::Error;
use std::io;

use tonic::{Code, Status};
use tortalk_mesh::relay::RelayDown;

use super::EngineGone;

/// Why a task of a connection has ended it.
pub(super) enum Fault {
    Down(RelayDown),
    EngineGone,
}

impl From<RelayDown> for Fault {
    fn from(why: RelayDown) -> Self {
        Self::Down(why)
    }
}

impl From<EngineGone> for Fault {
    fn from(_: EngineGone) -> Self {
        Self::EngineGone
    }
}

/// A message of the relay that breaks the protocol.
pub(super) fn malformed(_: tortalk_rpc::BodyError) -> Fault {
    Fault::Down(RelayDown::Protocol)
}

/// What the relay's refusal, or the end of the connection, means once the relay
/// has proved its key.
pub(super) fn of_status(status: &Status) -> RelayDown {
    match status.code() {
        // Ours, for bytes that are not the message: what comes from below has a
        // cause.
        Code::Internal if status.source().is_none() => RelayDown::Protocol,
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::OutOfRange
        | Code::PermissionDenied => RelayDown::Protocol,
        _ => RelayDown::Unreachable,
    }
}

/// What it means when a relay does not prove its key: whoever answers may speak
/// anything.
pub(super) fn of_first_status(status: &Status) -> RelayDown {
    match status.code() {
        Code::Unavailable | Code::ResourceExhausted | Code::DeadlineExceeded => {
            RelayDown::Unreachable
        }
        _ if broke(status) => RelayDown::Unreachable,
        _ => RelayDown::Protocol,
    }
}

/// Whether the connection itself ended.
pub(super) fn broke(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<io::Error>().is_some() {
            return true;
        }
        next = error.source();
    }
    false
}
