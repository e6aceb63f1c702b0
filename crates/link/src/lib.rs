//! One authenticated encrypted link as a machine without sockets
//! (spec/link.md).
//!
//! A [`Link`] is one end of one TCP connection. It is given the bytes that came,
//! the time, and frames to send; it says which bytes to write, which frames
//! came, and when it wants to be asked again. It runs the Noise handshake,
//! agrees on a version, proves both identities, cuts and encrypts records, and
//! keeps the link alive.
//!
//! It never opens a socket, reads a clock, draws randomness of its own or
//! decides whom to talk to: the policy is the caller's, who calls
//! [`Link::admit`] or closes the connection.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod auth;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod handshake;
mod inlet;
mod link;
mod resolver;
mod session;
mod versions;

pub use auth::{LinkSelf, PeerAuth};
pub use error::{LinkError, PeerFault};
pub use link::{Link, LinkEvent};
pub use tortalk_keys::link_auth::Role;
pub use versions::SUPPORTED_VERSIONS;
