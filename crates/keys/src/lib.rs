//! Keys, and everything that is signed or handed to a person: invite, cards,
//! proofs of a link, stamps, safety numbers (spec/identity.md).
//!
//! Signatures are Ed25519, verified by the strict rules of spec/README.md
//! (CNV-10 to CNV-16) and by nothing weaker. This crate never seals or opens a
//! message and has no library in its tree that could; a relay builds on it. It
//! never reads a clock, draws randomness or touches a file: a caller brings
//! seeds and times.
//!
//! - [`IdentitySecret`], [`MailboxSecret`], [`RelaySecret`]: the keys of a person
//!   and of a relay
//! - [`identity_from_bytes`], [`mailbox_from_bytes`], [`relay_from_bytes`]: bytes
//!   from outside become keys that were checked
//! - [`message`], [`link_auth`], [`mailbox_proof`], [`mailbox_owner`]: what is
//!   signed, one module for each label
//! - [`relay_proof`]: what relays and their clients sign (spec/relay.md)
//! - [`invite`], [`card`], [`name`], [`relay`]: what people pass on
//! - [`stamp`](fn@stamp), [`safety_number`](fn@safety_number)
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod card;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod invite;
pub mod link_auth;
pub mod mailbox_owner;
pub mod mailbox_proof;
pub mod message;
pub mod name;
pub mod relay;
pub mod relay_proof;

mod public;
mod safety_number;
mod secret;
mod stamp;

pub use public::{
    KeyError, SignatureError, identity_from_bytes, mailbox_from_bytes, relay_from_bytes,
};
pub use safety_number::safety_number;
pub use secret::{IdentitySecret, MailboxSecret, RelaySecret, Signature};
pub use stamp::{STAMP_BYTES, stamp, stamp_matches};
