//! What relays and those who speak to them sign (spec/relay.md, section 1).
//!
//! - [`info`]: a relay's answer to a nonce: who it is, its clock, its epoch
//! - [`receipt`]: a relay's word that it stored envelopes
//! - [`pull`]: an owner's proof of a mailbox to one relay
//! - [`card_drop`]: an owner's signature over what lies in its card drop
//!
//! Each module has a claim, `sign` and `verify`. Nothing here knows the time.

pub mod card_drop;
pub mod info;
pub mod pull;
pub mod receipt;
