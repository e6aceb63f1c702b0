//! Which card of somebody a target goes by (`spec/identity.md`, section 6.3): it says so in its
//! next `Hello`, and in the key to which it seals.

use serde_json::json;

use crate::case::Ctx;
use crate::cases::relaying::reading::held;
use crate::cases::{Script, script};
use crate::people::Person;
use crate::stack::body::kind;
use crate::stack::card::SealingEntry;
use crate::stack::envelope::HOUR_MS;
use crate::stack::frame::Frame;
use crate::stack::seal::SealingKey;
use crate::stack::v1::{self, AckResult};
use crate::stage::{Start, answer, arrive, meet, receipt_with, settle, stored, text};
use crate::verdict::{Judged, check};
use crate::written::{send, taken};

const DAY_MS: u64 = 24 * HOUR_MS;

/// A link on which somebody shows this card, and the target has read it.
async fn shows(ctx: &mut Ctx, person: &Person, card: Vec<u8>) -> Judged {
    let start = Start { card: Some(card), ..Start::quiet() };
    settle(&mut *arrive(ctx, person, &start).await?).await
}

async fn holds(ctx: &mut Ctx, person: &Person, seq: u64, what: &str) -> Judged {
    let found = held(ctx, person).await?;
    check(found == seq, || format!("{what}: it holds the card {found}, and not {seq}"))
}

async fn older(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({})).await?;
    let ada = Person::contact(0);
    let now = ctx.now();
    shows(ctx, &ada, ada.card_bytes(1, now)).await?;
    holds(ctx, &ada, now, "a card that is shown").await?;
    shows(ctx, &ada, ada.card_bytes(1, now - HOUR_MS)).await?;
    holds(ctx, &ada, now, "an older one after it").await?;
    // The same sequence, and other words.
    let mut other = ada.card(1, now);
    other.name = b"Another".to_vec();
    shows(ctx, &ada, other.signed(&ada.identity_seed)).await?;
    shows(ctx, &ada, ada.card_bytes(1, now + 1)).await?;
    holds(ctx, &ada, now + 1, "a newer one").await
}

/// Cards that come sealed, and are not shown by their owner on the link.
async fn ahead(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({})).await?;
    let ada = Person::contact(0);
    let now = ctx.now();
    let far = now + 3 * DAY_MS;
    for (seq, counts) in [(far, false), (now + DAY_MS, true)] {
        let start = Start { card: Some(ada.card_bytes(1, now)), ..Start::default() };
        let (mut link, card) = meet(ctx, &ada, &start).await?;
        send(ctx, &mut link, &ada, &card, kind::CARD, ada.card_bytes(1, seq)).await?;
        holds(ctx, &ada, if counts { seq } else { now }, "a card in a message").await?;
    }
    // On a link with its owner it counts.
    shows(ctx, &ada, ada.card_bytes(1, far)).await?;
    holds(ctx, &ada, far, "a card three days ahead, shown by its owner").await
}

async fn intro(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({})).await?;
    let ada = Person::contact(0);
    let now = ctx.now();
    shows(ctx, &ada, ada.card_bytes(1, now)).await?;
    let mut other = ada.clone();
    other.sealing_seed = ctx.fresh.array();
    shows(ctx, &ada, other.card_bytes(0, now + HOUR_MS)).await?;
    holds(ctx, &ada, now, "an intro card that is newer").await?;
    // What is sealed to her goes by the contact card.
    let start = Start { card: Some(ada.card_bytes(1, now)), ..Start::default() };
    let (mut link, card) = meet(ctx, &ada, &start).await?;
    let text = text(ctx, &ada, &card)?;
    stored(&mut link, &text.parcel, 0).await?;
    receipt_with(&mut link, &ada, &ada.sealing_key(), &text.message_id).await.map(drop)
}

/// Ada's card has a key that was good, two that are, and one that will be.
async fn newest_key(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({})).await?;
    let ada = Person::contact(0);
    let now = ctx.now();
    let mut card = ada.card(1, now);
    let first = card.sealing[0].clone();
    let newest = SealingKey::new(&ctx.fresh.array());
    let mut add = |public: Vec<u8>, not_before: u64, not_after: u64| {
        card.sealing.push(SealingEntry { not_before, not_after, public, ..first.clone() });
    };
    let other = |ctx: &mut Ctx| SealingKey::new(&ctx.fresh.array()).public;
    add(newest.public.clone(), now - HOUR_MS, now + DAY_MS);
    add(other(ctx), now + HOUR_MS, now + DAY_MS);
    add(other(ctx), now - 3 * HOUR_MS, now - 2 * HOUR_MS);
    let card = card.signed(&ada.identity_seed);
    let start = Start { card: Some(card), ..Start::default() };
    let (mut link, target) = meet(ctx, &ada, &start).await?;
    let text = text(ctx, &ada, &target)?;
    stored(&mut link, &text.parcel, 0).await?;
    let receipt = receipt_with(&mut link, &ada, &newest, &text.message_id).await?;
    answer(&mut link, &receipt.parcel(), AckResult::Stored).await;
    settle(&mut link).await
}

/// Ada's only key is none: a message waits, and goes with a good one.
async fn not_reduced(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let now = ctx.now();
    let mut card = ada.card(1, now);
    // A coefficient of 4,095; all are below 3,329.
    card.sealing[0].public[..3].fill(0xff);
    let start = Start { card: Some(card.signed(&ada.identity_seed)), ..Start::default() };
    let mut link = arrive(ctx, &ada, &start).await?;
    settle(&mut link).await?;
    let id = user.control.send(&ada, "not to that key").await?;
    settle(&mut link).await?;
    let sealed = link.passed_over.iter().any(|frame| matches!(frame, Frame::Msg(_)));
    check(!sealed, || "something is sealed to a key that is none".to_owned())?;
    let start = Start { card: Some(ada.card_bytes(1, now + 1)), ..Start::default() };
    let mut link = arrive(ctx, &ada, &start).await?;
    taken(&mut link, &ada, &id).await.map(drop)
}

/// Each change gives a larger sequence, also when the clock goes back.
async fn own_seq(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let mut seq = user.control.card().await?.seq;
    for (number, by) in [(1, 0), (2, -30 * DAY_MS as i64)] {
        user.control.set_clock(ctx, by).await?;
        let person = Person::contact(number);
        user.control.about("contacts.remove", &person).await?;
        let next = user.control.card().await?.seq;
        check(next > seq, || format!("after the card {seq} it makes the card {next}"))?;
        let clock = ctx.now().saturating_add_signed(by);
        check(next + 10_000 >= clock, || {
            format!("the card's sequence {next} is smaller than its clock")
        })?;
        seq = next;
    }
    let (mut link, shown) = meet(ctx, &Person::contact(0), &Start::default()).await?;
    link.send(&Frame::Ping(v1::Ping { nonce: 1 })).await;
    check(shown.seq >= seq, || "it shows an older card than it has".to_owned())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("cards.older", "IDN-45",
        "A card, then an older one, another of the same sequence, a newer one. The newest is held.",
        older).managed(),
    script!("cards.ahead", "IDN-46",
        "Cards three days and one day ahead in messages, then shown. The first does not count.",
        ahead).managed(),
    script!("cards.intro", "IDN-47",
        "A contact shows a newer intro card. The contact card is held, and sealed to.",
        intro).managed(),
    script!("cards.newest-key", "IDN-48",
        "A card with four keys. A receipt is sealed to the newest that is good now.",
        newest_key).managed(),
    script!("cards.key-not-reduced", "SEA-04",
        "A card whose only key has a coefficient of 4,095. A message waits for a good one.",
        not_reduced).shim(),
    script!("cards.own-sequence", "IDN-44",
        "Two changes of the target's card, its clock set back in between. Both are larger.",
        own_seq).shim(),
];
