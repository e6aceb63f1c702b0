//! Ten faults, each brought about on a network of this test's own; the first
//! line of `tortalk doctor` has to be the one that docs/doctor.md has for it.
//!
//! Each test begins with the same people on the same network and "everything
//! looks right", and ends so when the fault is taken out again and nothing else
//! is changed. So it is the fault that makes the line.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

#[path = "doctor/asking.rs"]
mod asking;
#[path = "doctor/firewalls.rs"]
mod firewalls;
#[path = "doctor/here.rs"]
mod here;
#[path = "doctor/lan.rs"]
mod lan;
#[path = "doctor/networks.rs"]
mod networks;
#[path = "doctor/people.rs"]
mod people;
#[path = "doctor/relays.rs"]
mod relays;
#[path = "doctor/table.rs"]
mod table;
