//! The machine with a real store: whole conversations over real links in
//! virtual time, and a puppet peer that breaks one rule at a time.

mod adopting;
mod cards;
mod cards_order;
mod carrying;
mod chains;
mod claims;
mod clocks;
mod convergence;
mod conversation;
mod delivery;
mod discovery;
mod distance;
mod gossip;
mod handover;
mod holding;
mod order;
mod person;
mod puppet;
mod purging;
mod relay_net;
mod relays;
mod relays_cards;
mod relays_first_contact;
mod relays_lies;
mod removal;
mod requests;
mod rotation;
mod sealing;
mod seams;
mod strangers;
mod taking;
mod world;
