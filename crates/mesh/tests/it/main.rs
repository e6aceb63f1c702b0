//! The machine with a real store: whole conversations over real links in
//! virtual time, and a puppet peer that breaks one rule at a time.

mod cards;
mod conversation;
mod delivery;
mod discovery;
mod gossip;
mod person;
mod puppet;
mod taking;
mod world;
