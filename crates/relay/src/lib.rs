//! The torTalk relay: holds envelopes and sealed cards for mailboxes until
//! their owners fetch them (spec/relay.md).
//!
//! It never opens an envelope and has no library in its tree that could; it
//! never speaks before the disk has what it says; and it never writes an
//! address, a key or an id of a client into a log.
//!
//! - [`rules`]: the decisions, free of sockets, clocks and gRPC
//! - [`store`]: where things are kept: a trait, SQLite, memory
//! - [`engine`]: the rules applied to one transaction of a store
//! - [`service`]: the gRPC service over them
//! - [`server`]: listening, TLS, limits of connections, draining
//! - [`program`]: all of it, from the options on
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod authority_text;
pub mod engine;
pub mod env;
pub mod key_file;
pub mod metrics;
pub mod program;
pub mod rules;
pub mod server;
pub mod service;
pub mod store;

mod hub;
mod readers;
mod writer;
