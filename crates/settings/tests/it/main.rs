//! Tests of what the file may say and of what is said about it.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod edit;
mod mistakes;
mod rubbish;
mod values;
