//! Ids, byte layouts and limits of the torTalk protocol.
//!
//! Every other crate builds on this one and it builds on `blake2` alone: it
//! never signs, seals, allocates from an unchecked length, reads a clock or
//! touches a socket. What is defined here is what a relay needs to know too.
//!
//! - [`ids`]: the fixed-length names of things (`IdentityKey`, `EnvelopeId`, …)
//! - [`bytes`]: the reader and writer of the drawn layouts (CNV-01 … CNV-06)
//! - [`hash`]: the one hash function and its labels
//! - [`envelope`]: the routed object (spec/envelope.md)
//! - [`deviation`]: faults for the conformance suite, in no program for people
//! - [`limits`]: every number that bounds something (spec/limits.md)
//! - [`time`]: wall and monotonic time as values that are handed in
//! - [`entropy`]: randomness as a value that is handed in
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod bytes;
pub mod deviation;
pub mod entropy;
pub mod envelope;
pub mod hash;
pub mod ids;
pub mod limits;
pub mod message_id;
pub mod time;

pub use envelope::{Envelope, EnvelopeError, EnvelopeHeader};
pub use ids::{
    ChainId, DeviceId, EnvelopeId, Epoch, IdentityKey, InstanceId, KeyId, MailboxKey, MessageId,
    Nonce, PurgeHash, PurgeKey, RelayKey, SignedHash, StoreId,
};
pub use time::{MonoMillis, Now, UnixMillis};
