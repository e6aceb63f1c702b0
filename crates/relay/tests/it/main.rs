//! Tests of the relay, from its rules to whole processes.

mod cards;
mod contract;
mod crash;
mod engine;
mod limits;
mod oracle;
mod process;
mod pull;
mod rules;
mod server;
mod support;
mod sync;
mod tls;
