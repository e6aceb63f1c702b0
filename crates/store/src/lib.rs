//! The profile's database: reads for the mesh machine, applies its writes.
//!
//! [`Store`] is one SQLite file. It answers what the machine asks
//! ([`tortalk_mesh::Read`]), carries out what the machine wants
//! ([`Store::apply`]), and answers what a person asks ([`Store::history`],
//! [`Store::search`], [`Store::unread`]).
//!
//! Whoever has the file without the profile's key learns how many people,
//! messages and envelopes there are, which belong to the same person or mailbox,
//! which are carried for others and may be copied, which lie at a relay, their
//! sizes, when tries are due and what expires when. Names, identities, texts,
//! cards and envelopes are sealed, each bound to its row. The first migration
//! says for every column in clear why it is.
//!
//! - [`vault`]: the profile's key; the folder's other files are sealed with it too
//! - `schema`, `cell`, `rows`: the tables, what binds a sealed value to its row,
//!   and what is inside
//! - `apply`, `reads`: the two sides towards the machine
//! - `history`, `search`: the side towards the person
//!
//! This crate never reads a clock, never draws randomness of its own, never says
//! anything before a commit, and keeps no key on disk.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod apply;
mod cell;
mod db;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod history;
mod messages;
mod reads;
mod rows;
mod schema;
mod search;
mod store;
pub mod vault;

pub use error::StoreError;
pub use history::HistoryEntry;
pub use messages::Direction;
pub use store::Store;
