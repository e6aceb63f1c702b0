//! The conformance suite of torTalk.
//!
//! It plays sender, recipient, third node and relay client towards a program
//! that it knows nothing about but a port, and says which sentence of `spec/`
//! that program breaks. It is written from `spec/`, `proto/` and `spec/vectors`
//! and shares no code with the programs of this repository, so where the two
//! differ, one of them or the document is wrong. It never believes a target: what
//! is not seen on the wire is not tested, and is said so.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod attack;
pub mod case;
pub mod cases;
pub mod control;
pub mod dissect;
pub mod features;
pub mod mutants;
pub mod nearby;
pub mod nulls;
pub mod peer;
pub mod people;
pub mod probe;
pub mod relay_client;
pub mod report;
pub mod runner;
pub mod served;
pub mod session;
pub mod spec;
pub mod stack;
pub mod stage;
pub mod steady;
pub mod target;
pub mod uncovered;
pub mod vectors;
pub mod verdict;
pub mod written;
