//! The driver against real relays, and against what is none.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod faults;
mod hostile;
mod real;
mod support;
