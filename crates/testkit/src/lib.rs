//! Vectors, seeded randomness and crashes for the tests of the torTalk crates.
//!
//! This crate is a dev-dependency only. It never ends up in a program that
//! people run: everything in it panics where a test should fail.
//!
//! - [`Seeded`]: repeatable randomness behind the model's `Entropy`
//! - [`vectors`]: the files in `spec/vectors/`, written and checked
//! - [`crash`]: what a store holds after the power went off, at every moment
//! - [`hex`]: bytes as lower-case hexadecimal text and back
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod crash;
pub mod hex;
mod seeded;
pub mod vectors;

pub use seeded::Seeded;
