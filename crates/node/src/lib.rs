//! A torTalk node: profile, sockets, clocks and the machines between them.
//!
//! Everything below this crate is told the time, given randomness and handed
//! bytes. Here is where those come from:
//!
//! - [`profile`]: a person's folder: settings, identity, keys, store, lock
//! - [`entropy`]: the system's randomness
//! - [`discovery`]: beacons and mDNS, untrusted hints of who is around
//! - `links`: TCP connections with a link machine on each
//! - `relays`: connections with relays, as the machine asks for them
//! - `engine`: the thread that owns the protocol machine and the store, and
//!   says nothing to anybody before the disk has it
//! - [`control`]: how other processes talk to a running node
//! - `observed`: what a node has noticed of its network, for `diagnose`
//! - [`node`]: starts all of it and sees it to its end; [`Handle`] talks to it
//!
//! This crate decides nothing of the protocol, and never logs a key, a text or
//! an address.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod clock;
pub mod control;
pub mod discovery;
mod engine;
pub mod entropy;
mod handle;
mod links;
pub mod node;
mod observed;
pub mod profile;
mod relays;
pub mod sabotage;

pub use clock::Clock;
pub use handle::{Events, Handle, Pending};
pub use links::listener::{DEFAULT_PORT, ListenError};
pub use node::{Control, Network, Node, NodeError, NodeOptions, StartError};
#[cfg(feature = "deviations")]
pub use tortalk_model::deviation;
pub use tortalk_model::entropy::Entropy;
pub use tortalk_model::{InstanceId, UnixMillis};
pub use tortalk_settings::{SETTINGS_FILE, Settings, Visibility};
pub use tortalk_sqlite::{LockError, OpenError as DatabaseError, StoreFault};
pub use tortalk_store::StoreError;
