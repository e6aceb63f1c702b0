//! Many nodes and relays on the real machine, in one thread and virtual time.
//!
//! ```text
//! seed ─► plan ─► world ─► outcome
//!          │        │
//!          │        ├─ device: mesh machine + store on SQLite + clock, driven
//!          │        │          as a driver has to: handle, apply, commit, say
//!          │        ├─ cables: connections that are slow, stall and break
//!          │        └─ ledger: what is true, against which all is held
//!          └─ people, places, and every incident at its moment
//! ```
//!
//! A plan is a value: the same plan leads to the same trace, byte for byte.
//! When its faults are over, everybody meets, and whatever was accepted from a
//! user has to arrive, once ([`Invariant`]).
//!
//! - [`swarm`]: plans with a mix of faults drawn from the seed
//! - [`measured`]: plans for figures
//! - [`sabotage`]: machines broken on purpose, which have to be found
//! - [`shrink`]: smaller plans that fail likewise
//!
//! This crate is for checks. It never ends up in a program that people run, and
//! it touches no network and no clock.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod checks;
mod device;
pub mod dice;
mod ledger;
mod lies;
pub mod measured;
pub mod outcome;
pub mod plan;
mod queue;
mod relay;
pub mod sabotage;
mod secrets;
pub mod shrink;
pub mod swarm;
pub mod time;
mod trace;
mod violation;
mod world;

pub use outcome::{Figures, Outcome};
pub use plan::Plan;
pub use sabotage::Sabotage;
pub use trace::Keep;
pub use violation::{Invariant, Violation};
pub use world::run;
