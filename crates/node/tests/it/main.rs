//! Whole nodes with real profiles, sockets and files, on loopback.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod control;
mod relays;
mod rubbish;
#[cfg(feature = "sabotage")]
mod sabotage;
mod support;
mod two_nodes;
