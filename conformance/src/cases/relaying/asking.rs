//! Requests that go by a relay (`spec/contacts.md`, section 2): where the answer is to come.

use serde_json::{Value, json};

use super::{PATIENCE, left_for};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::control::Operated;
use crate::people::Person;
use crate::served::{Call, Served};
use crate::stack::body::Body;
use crate::stack::card::Card;
use crate::stack::crypto::public;
use crate::stack::drop;
use crate::stack::invite::Invite;
use crate::stack::relay::{RelayEntry, sign_drop};
use crate::stack::v1::{GetCardResponse, Msg};
use crate::verdict::{Judged, Verdict, check};
use crate::written::Written;

/// Somebody far away, whose invite names a relay at which her intro card lies.
struct Far {
    eve: Person,
    relay: Served,
}

impl Far {
    async fn new(ctx: &mut Ctx) -> Result<Self, Verdict> {
        let far = Self {
            eve: Person::stranger(&mut ctx.fresh),
            relay: Served::start(ctx, "hers").await?,
        };
        let (seq, mailbox) = (ctx.now(), public(&far.eve.intro_seed));
        let card = far.eve.card_bytes(0, seq);
        let blob = drop::seal(&far.eve.read_key, &ctx.fresh.array(), &mailbox, seq, &card);
        let signature = sign_drop(&far.eve.intro_seed, &mailbox, seq, &blob).to_vec();
        far.relay.drop_card(&mailbox, GetCardResponse { seq, blob, signature });
        Ok(far)
    }

    /// The target's user adds her, with a text.
    async fn added(&self, user: &mut Operated) -> Judged {
        let invite = Invite::Full {
            identity: self.eve.identity(),
            intro_mailbox: public(&self.eve.intro_seed),
            read_key: self.eve.read_key,
            relays: vec![self.relay.entry()],
        };
        let arguments = json!({"invite": invite.text(), "text": "from far away"});
        user.control.have("contacts.add", arguments).await.map(std::mem::drop)
    }

    /// The card in the request that is left for her.
    async fn asked(&self) -> Result<Card, Verdict> {
        let left = left_for(public(&self.eve.intro_seed));
        let (_, envelope) = self.relay.first("no request is left", PATIENCE, left).await?;
        let msg = Msg { envelope, ..Msg::default() };
        let written = Written::read(&msg, &self.eve.sealing_key(), &self.eve.identity());
        match written.map(|written| written.opened.body) {
            Some(Body::ContactRequest { card, .. }) => {
                Card::read(&card).map_err(|r| Verdict::Fail(format!("its card: {r}")))
            }
            _ => Err(Verdict::Fail("what is left for her is no request".to_owned())),
        }
    }
}

fn named(card: &Card) -> Vec<RelayEntry> {
    card.contact.as_ref().map(|part| part.relays.clone()).unwrap_or_default()
}

/// Proofs of the target's contact mailbox.
fn proof(card: &Card) -> impl Fn(&Call) -> Option<()> + use<> {
    let mailbox = card.mailbox(1).map(|mailbox| mailbox.to_vec());
    move |call| match call {
        Call::Proof(proof) if Some(&proof.mailbox) == mailbox.as_ref() => Some(()),
        _ => None,
    }
}

async fn taken(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let far = Far::new(ctx).await?;
    far.added(&mut user).await?;
    let card = far.asked().await?;
    check(named(&card) == [far.relay.entry()], || {
        "the request's card does not name the relay of the invite".to_owned()
    })?;
    let before = far.relay.calls(proof(&card)).len();
    check(before >= 1, || "its contact mailbox is not registered there".to_owned())?;
    user.restart(ctx).await?;
    let after = far.relay.wait(before + 1, PATIENCE, proof(&card)).await.len();
    check(after > before, || "after a restart it does not fetch there".to_owned())
}

fn settings(relays: &[&Served]) -> Value {
    json!({"relays": relays.iter().map(|relay| relay.setting()).collect::<Vec<_>>()})
}

async fn registered_first(ctx: &mut Ctx) -> Judged {
    let own = Served::start(ctx, "own").await?;
    own.behave(|manner| manner.opens = false);
    let mut user = ctx.own_user(&settings(&[&own])).await?;
    let far = Far::new(ctx).await?;
    far.added(&mut user).await?;
    let card = user.control.card().await?;
    own.first("it does not prove its contact mailbox", PATIENCE, proof(&card)).await?;
    // Her card is read, so that the request could be made.
    let read = |call: &Call| matches!(call, Call::GetCard(_)).then_some(());
    far.relay.wait(1, PATIENCE / 3, read).await;
    let left = left_for(public(&far.eve.intro_seed));
    let early = far.relay.wait(1, PATIENCE / 3, &left).await;
    check(early.is_empty(), || {
        "a request is left before a relay of its maker's has registered the mailbox".to_owned()
    })?;
    own.behave(|manner| manner.opens = true);
    let card = far.asked().await?;
    check(named(&card) == [own.entry()], || "its card does not name its own relay".to_owned())
}

async fn not_named(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let far = Far::new(ctx).await?;
    far.added(&mut user).await?;
    let card = far.asked().await?;
    let before = far.relay.calls(proof(&card)).len();
    // Now its user sets one.
    let own = Served::start(ctx, "own").await?;
    let set = user.spawned.set(&settings(&[&own]));
    set.map_err(|error| Verdict::Error(error.to_string()))?;
    user.restart(ctx).await?;
    own.first("it does not prove its contact mailbox", PATIENCE, proof(&card)).await?;
    let fetches = far.relay.wait(before + 1, PATIENCE, proof(&card)).await.len();
    check(fetches > before, || "it does not fetch at the relay of the invite".to_owned())?;
    let until = std::time::Instant::now() + PATIENCE;
    loop {
        let relays = named(&user.control.card().await?);
        if relays == [own.entry()] {
            return Ok(());
        }
        check(std::time::Instant::now() < until, || {
            let count = relays.len();
            format!("its card names {count} relays, and not the one that its user set alone")
        })?;
        // The condition is the card; this only keeps the loop from spinning.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relays.of-invite", "REQ-29",
        "An invite that names a relay, and none is set. The request's card names it, for good.",
        taken).shim(),
    script!("relays.asks-when-registered", "REQ-30",
        "An own relay that does not open. The request waits until it does.",
        registered_first).shim(),
    script!("relays.not-named", "REQ-31",
        "A relay of an invite, then one that the user sets. The card names that one alone.",
        not_named).shim(),
];
