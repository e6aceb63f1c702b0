//! SQLite the way torTalk wants it: pragmas, migrations, a lock per folder and
//! faults that say what to do.
//!
//! Every promise of torTalk ("stored", "accepted", "delivered") rests on a
//! commit that this crate's settings make durable: WAL with
//! `synchronous=FULL`. The crate knows no table: the caller brings a
//! [`Schema`] and gets a [`rusqlite::Connection`].
//!
//! - [`open`]: creates or opens a file, refuses foreign, newer and damaged
//!   ones, and brings an older one up to date
//! - [`Schema`], [`Migration`]: numbered SQL files, each applied in its own
//!   transaction
//! - [`StoreFault`]: what went wrong with the store, from any
//!   [`rusqlite::Error`], each with one line that says what to do
//! - [`DirLock`]: one process per profile; the kernel releases it
//!
//! Tables are written `STRICT` by convention: a value of the wrong type is then
//! an error where it is written and damage where it is read.
//!
//! This crate never deletes or repairs a database, never opens one read-only,
//! never looks into a row and never logs.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod fault;
mod lock;
mod open;
mod schema;

pub use fault::StoreFault;
pub use lock::{DirLock, LOCK_FILE, LockError};
pub use open::{OpenError, check, open};
pub use schema::{Erasure, Migration, Schema};
