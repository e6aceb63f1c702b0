//! Gossip and delivery as a machine without sockets, clocks or files.
//!
//! [`Mesh`] is told what happened ([`Input`]) and answers what to do about it
//! ([`Ready`]). It never reads a clock, draws randomness of its own, opens a
//! socket or writes a file; whoever drives it does, in this order:
//!
//! ```text
//! begin a transaction
//!   for each input:  ready = mesh.handle(input, now, &store);  store.apply(ready.writes)
//!   ready = mesh.settle(now, &store);                          store.apply(ready.writes)
//! commit, durably
//! only now: send, answer, show, dial
//! ```
//!
//! That order is the first promise of torTalk (spec/gossip.md, GSP-01): nothing
//! is said to a peer or a person before the disk has it. When the commit fails,
//! everything that was made ready is thrown away together with the machine,
//! which is built anew from the store.
//!
//! A map of the modules, along the way of a message:
//!
//! - [`input`], [`ready`], [`mod@write`], [`read`]: the four sides of the machine
//! - `contacts`, `own_cards`: who may talk to us, what we tell them
//! - `asking`, [`requests`]: how people who are no contacts yet become ones
//! - `removal`: how contacts become strangers
//! - `sending` → `handover` → `receiving` → `receipts`: one message's life
//! - `carrying`: what is held for others, and copies that others carry for us
//! - [`chains`]: what did not come, and asking for it
//! - `retry`: what is done until there is a receipt; `clocks`: by whose time
//! - `links`, `admission`: who is connected, hello, policy, duplicates
//! - [`discovery`], `hints`: when to send beacons and whom to dial
//! - [`relay`], [`relaying`]: what passes to and from relays, and what is wanted there
//! - [`delivery`]: the state of a message as its evidence allows it
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod admission;
mod asking;
mod budget;
mod carrying;
pub mod chains;
mod clocks;
mod contacts;
pub mod delivery;
pub mod discovery;
mod handover;
mod hints;
pub mod input;
pub mod keyring;
mod links;
mod mesh;
mod own_cards;
pub mod read;
pub mod ready;
mod receipts;
mod receiving;
pub mod relay;
pub mod relaying;
mod removal;
pub mod requests;
mod retry;
mod sending;
pub mod write;

pub use chains::{MissingRange, PeerChain};
pub use delivery::DeliveryState;
pub use input::{Command, Input, LinkId, PeerAuth, RequestId, Visibility};
pub use keyring::{Keyring, RetiredMailbox, SealingKey};
pub use links::Nearby;
pub use mesh::{Mesh, MeshConfig};
pub use read::{Carried, Read};
pub use ready::{Answer, CommandError, Dial, Event, LinkAction, Outcome, Ready};
pub use relay::{RelayAction, RelayInput};
pub use relaying::ClockOwner;
pub use requests::{ContactRequest, RequestSource};
pub use write::{
    Contact, Evidence, HeldEnvelope, IncomingMessage, OutgoingMessage, OwnCardBytes, Purpose,
    RegisteredMailbox, Standing, Write,
};
