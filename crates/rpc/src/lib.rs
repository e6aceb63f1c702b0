//! The relay service of torTalk: gRPC stubs and conversions (spec/relay.md).
//!
//! [`v1`] is what the build script makes of `proto/tortalk/v1/relay.proto`. The
//! other types are what its messages say, with fields of the right length and
//! within their limits: a server or client converts at the edge and goes on
//! with them. Whether a signature holds or an envelope is one is decided
//! elsewhere. This crate never opens a socket, verifies or keeps anything.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod cards;
mod field;
mod info;
mod pull;
mod purge;
mod sync;

pub use cards::{CardBlob, CardDrop, PutCard, PutCardAnswer, PutCardResult, mailbox_asked};
pub use field::AuthorityBytes;
pub use info::{Info, InfoQuestion, RelayLimits};
pub use pull::{PullAck, PullAnswer, PullEndReason, PullProof, PullStep};
pub use purge::PurgeKeys;
pub use sync::{Deposit, DepositRefusal, Receipt, Refusal, SyncAnswer};
pub use tortalk_wire::{BodyError, EnvelopeBytes, FieldFault, LengthError, StampBytes};

/// What the build script made of the service's `.proto` file.
pub mod v1 {
    #![allow(missing_docs, unreachable_pub, rust_2018_idioms, clippy::all)]
    #![allow(clippy::use_self, clippy::or_fun_call, clippy::let_underscore_must_use)]
    tonic::include_proto!("tortalk.v1");
}

/// The service's descriptors, encoded, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/relay_descriptors.bin"));
