//! What the fuzz targets do, one function each.
//!
//! Each is all that a program for libFuzzer calls, and all that the regression
//! test calls, so that both do the same. A function takes any bytes and panics
//! when something does not hold.
//!
//! All of it stands on `cfg(fuzzing)`, under which a few crates take hashes for
//! signatures and leave seals and records in clear (fuzz/README.md). It never
//! says anything about the cryptography itself.

#[cfg(not(fuzzing))]
compile_error!("start cargo in fuzz/: the configuration there sets cfg(fuzzing)");

mod keys;
mod link;
mod local;
mod mesh;
mod relay;
mod rules;
mod seal;
mod wire;
mod world;

pub use keys::{authority, card, card_drop, invite, invite_text};
pub use link::{conversations, link, records, versions};
pub use local::{control, row, settings};
pub use mesh::events as mesh_events;
pub use relay::{request as rpc_request, response as rpc_response};
pub use rules::rules as relay_rules;
pub use seal::{body, envelope, opened, sealed, stored_message};
pub use wire::{beacon, frame, frame_body};
pub use world::world as mesh_world;

/// A target's name and what it does.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, in the order of a message's way.
pub const TARGETS: &[Target] = &[
    ("beacon", beacon),
    ("versions", versions),
    ("link", link),
    ("records", records),
    ("frame", frame),
    ("frame_body", frame_body),
    ("envelope", envelope),
    ("sealed", sealed),
    ("opened", opened),
    ("body", body),
    ("stored_message", stored_message),
    ("card", card),
    ("card_drop", card_drop),
    ("invite", invite),
    ("invite_text", invite_text),
    ("authority", authority),
    ("rpc_request", rpc_request),
    ("rpc_response", rpc_response),
    ("relay_rules", relay_rules),
    ("control", control),
    ("settings", settings),
    ("row", row),
    ("mesh_events", mesh_events),
    ("mesh_world", mesh_world),
];

/// Runs a target on one input.
///
/// # Panics
/// When something does not hold, and for a name that is no target's.
pub fn run(name: &str, bytes: &[u8]) {
    let (_, target) = TARGETS.iter().find(|(known, _)| *known == name).expect("a target's name");
    target(bytes);
}
