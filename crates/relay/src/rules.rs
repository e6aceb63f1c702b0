//! What a relay decides, without sockets, files, clocks or randomness.
//!
//! Time and random bytes are arguments, so that the service and a simulator
//! decide alike. Nothing in here knows of gRPC.
//!
//! - [`config`]: what an operator chooses
//! - [`quota`]: whether an envelope fits, and which sequence it gets
//! - [`sync`]: what of a stream of envelopes is taken, and how it is answered
//! - [`pull`]: an owner's stream: proof, window, acknowledgements
//! - [`info`]: what the relay says of itself
//! - [`rate`], [`connections`]: what a stranger may use up

pub mod config;
pub mod connections;
pub mod info;
pub mod pull;
pub mod quota;
pub mod rate;
pub mod sync;
