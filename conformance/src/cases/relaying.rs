//! The target as a client of relays that the suite plays (`spec/relaying.md`).

pub mod asking;
pub mod leaving;
pub mod own;
pub mod reading;

use std::time::Duration;

use serde_json::json;

use crate::case::Ctx;
use crate::people::Person;
use crate::served::{Call, Served};
use crate::stage::Start;
use crate::target::Spawned;
use crate::verdict::Verdict;

/// How long the target may take with a relay: it may have to wait for a new try.
pub(crate) const PATIENCE: Duration = Duration::from_secs(6);

/// A target of the case's own with these as its relays.
pub(super) async fn with_own(ctx: &mut Ctx, relays: &[&Served]) -> Result<Spawned, Verdict> {
    let relays: Vec<_> = relays.iter().map(|relay| relay.setting()).collect();
    ctx.own_target(&json!({"relays": relays})).await
}

/// How somebody begins a link whose card names these relays.
pub(super) fn naming(ctx: &Ctx, person: &Person, relays: &[&Served]) -> Start {
    let mut card = person.card(1, ctx.now());
    if let Some(part) = &mut card.contact {
        part.relays = relays.iter().map(|relay| relay.entry()).collect();
    }
    Start { card: Some(card.signed(&person.identity_seed)), ..Start::default() }
}

/// Envelopes for a mailbox that are left.
pub(super) fn left_for(mailbox: [u8; 32]) -> impl Fn(&Call) -> Option<Vec<u8>> {
    move |call| match call {
        // Its mailbox stands behind layout and suite.
        Call::Deposit { request, .. } if request.envelope.get(3..35) == Some(&mailbox[..]) => {
            Some(request.envelope.clone())
        }
        _ => None,
    }
}
