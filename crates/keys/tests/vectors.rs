//! The vectors of spec/identity.md: `UPDATE_VECTORS=1` writes them.

#[path = "support/edge.rs"]
mod edge;
#[path = "support/raw_card.rs"]
mod raw_card;

#[path = "vectors/card.rs"]
mod card;
#[path = "vectors/invite.rs"]
mod invite;
#[path = "vectors/proof.rs"]
mod proof;
#[path = "vectors/relay.rs"]
mod relay;
