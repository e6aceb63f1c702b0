//! What the target makes by itself, its receipts, on their way (`spec/gossip.md`, sections 3
//! to 6; CAR-15).

use std::time::{Duration, Instant};

use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::peer::Link;
use crate::people::Person;
use crate::session::{expect_card, hello};
use crate::stack::card::Card;
use crate::stack::crypto::public;
use crate::stack::envelope::{Envelope, HOUR_MS, envelope_id};
use crate::stack::frame::Frame;
use crate::stack::v1::{self, AckResult, RefusalReason};
use crate::stage::{
    Start, acknowledged, answer, arrive, begin, came, cleared, confirmed, drain, for_nobody, meet,
    offered, offers_of, prove, receipt_with, receipts, refused, settle, stored, text, text_changed,
};
use crate::verdict::{Judged, Verdict, check};

const DAY_MS: i64 = 24 * HOUR_MS as i64;

async fn card_once(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    for _ in 0..3 {
        link.send(&Frame::Hello(hello(&ada, ctx.now()))).await;
    }
    settle(&mut link).await?;
    let same = |frame: &Frame| match frame {
        Frame::Card(other) => Card::read(&other.card).is_ok_and(|other| other.seq == card.seq),
        _ => false,
    };
    let count = link.passed_over.iter().filter(|frame| same(frame)).count();
    check(count == 0, || format!("the same card came {} times on one link", count + 1))
}

/// Wants everything that is offered until an envelope for `mailbox` comes that is not known
/// yet, and stores it; the others are refused.
async fn next_spread(
    link: &mut Link,
    mailbox: &[u8; 32],
    known: &mut Vec<[u8; 32]>,
) -> Result<v1::Msg, Verdict> {
    loop {
        let frame = link
            .expect(|frame| match frame {
                Frame::Have(_) | Frame::Msg(_) => Some(frame.clone()),
                _ => None,
            })
            .await
            .map_err(came("the receipt is offered to nobody"))?;
        match frame {
            Frame::Have(have) => link.send(&Frame::Want(v1::Want { ids: have.ids })).await,
            Frame::Msg(msg) => {
                let id = envelope_id(&msg.envelope);
                let found = Envelope::read(&msg.envelope)
                    .is_ok_and(|envelope| envelope.mailbox == *mailbox)
                    && !known.contains(&id);
                let (result, reason) = if found {
                    (AckResult::Stored, 0)
                } else {
                    (AckResult::Refused, RefusalReason::NotForMe as i32)
                };
                let ack = v1::Ack {
                    id: id.to_vec(),
                    result: result as i32,
                    reason,
                    ..v1::Ack::default()
                };
                link.send(&Frame::Ack(ack)).await;
                if found {
                    known.push(id);
                    return Ok(msg);
                }
            }
            _ => {}
        }
    }
}

/// Receipts for Ada, who takes none on her link; Ben is offered them.
async fn first_ttl(ctx: &mut Ctx) -> Judged {
    const TEXTS: usize = 24;
    let ada = Person::contact(0);
    let mailbox = public(&ada.contact_seed);
    // What earlier cases left for Ada is taken first.
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    drain(&mut link).await?;
    drop(link);
    let (mut link, card) = meet(ctx, &ada, &Start { pull: false, ..Start::default() }).await?;
    let mut ben = arrive(ctx, &Person::contact(1), &Start::default()).await?;
    let mut known = Vec::new();
    let mut ttls = Vec::new();
    for _ in 0..TEXTS {
        let text = text(ctx, &ada, &card)?;
        stored(&mut link, &text.parcel, 0).await?;
        let msg = next_spread(&mut ben, &mailbox, &mut known).await?;
        ttls.push(msg.ttl + 1);
    }
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    drain(&mut link).await?;
    check(ttls.iter().all(|ttl| (2..=3).contains(ttl)), || format!("it starts with ttl {ttls:?}"))?;
    let twos = ttls.iter().filter(|ttl| **ttl == 2).count();
    // Fewer than 3 of 24, or more than 21, is one run in 27,000.
    check((3..=TEXTS - 3).contains(&twos), || format!("ttl 2 in {twos} of {TEXTS} envelopes"))
}

/// Ada pulls and proves nothing: her receipt has to wait.
async fn receipt_needs_proof(ctx: &mut Ctx) -> Judged {
    let (ada, ben) = (Person::contact(0), Person::contact(1));
    let (mut to_ben, bens) = meet(ctx, &ben, &Start::default()).await?;
    let (mut link, card) = meet(ctx, &ada, &Start::unproved()).await?;
    let first = text(ctx, &ada, &card)?;
    stored(&mut link, &first.parcel, 0).await?;
    let marker = text(ctx, &ben, &bens)?;
    stored(&mut to_ben, &marker.parcel, 0).await?;
    confirmed(&mut to_ben, &ben, &marker).await?;
    settle(&mut link).await?;
    let early = receipts(&link, &ada, &ada.sealing_key());
    check(!early.iter().any(|receipt| receipt.names(&first.message_id)), || {
        "a receipt is handed to somebody who has not proved its mailbox".to_owned()
    })?;
    prove(&mut link, &ada).await;
    confirmed(&mut link, &ada, &first).await.map(drop)
}

/// A contact whose clock is days away, and whose key is good by that clock alone.
async fn their_clock(ctx: &mut Ctx, ahead: i64, before: i64, after: i64) -> Judged {
    let ada = Person::contact(0);
    let now = ctx.now();
    let theirs = now.saturating_add_signed(ahead);
    let mut card = ada.card(1, now);
    card.sealing[0].not_before = theirs.saturating_add_signed(before);
    card.sealing[0].not_after = theirs.saturating_add_signed(after);
    let card = card.signed(&ada.identity_seed);
    let start = Start { ahead, card: Some(card), ..Start::default() };
    let (mut link, card) = meet(ctx, &ada, &start).await?;
    let text = text(ctx, &ada, &card)?;
    stored(&mut link, &text.parcel, 0).await?;
    let receipt = confirmed(&mut link, &ada, &text).await?;
    let expires_at = receipt.envelope.expires_at;
    drop(link);
    // Her clock and her card are right again.
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let text = crate::stage::text(ctx, &ada, &card)?;
    stored(&mut link, &text.parcel, 0).await?;
    confirmed(&mut link, &ada, &text).await?;
    let latest = theirs + 14 * 24 * HOUR_MS + 2 * HOUR_MS;
    check((theirs..=latest).contains(&expires_at), || {
        let days = (expires_at as i64 - theirs as i64) / DAY_MS;
        format!("the receipt expires {days} days after her clock's now")
    })
}

/// A stranger repeats an envelope that was dealt with; what is new is still opened.
async fn not_opened_again(ctx: &mut Ctx) -> Judged {
    let eve = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&eve).await?;
    begin(ctx, &mut link, &eve, &Start::default()).await;
    let card = expect_card(&mut link, 0).await.map_err(came("no intro card"))?;
    // Somebody whom the target has accepted wrote it, so it is stored.
    let ada = Person::contact(0);
    let first = text_changed(ctx, &ada, &card, |_| {})?;
    stored(&mut link, &first.parcel, 0).await?;
    for _ in 0..30 {
        link.send(&first.parcel.frame(0)).await;
    }
    let next = text_changed(ctx, &eve, &card, |_| {})?;
    let frame = next.parcel.frame(0);
    link.send(&frame).await;
    for _ in 0..30 {
        let ack = acknowledged(&mut link, &first.parcel).await?;
        check(ack.result == AckResult::Duplicate as i32, || {
            format!("a repeated envelope: {}", crate::cases::letters::words(&ack))
        })?;
    }
    let ack = acknowledged(&mut link, &next.parcel).await?;
    check(ack.reason == RefusalReason::NotForMe as i32, || {
        format!("behind 30 duplicates: {}", crate::cases::letters::words(&ack))
    })?;
    let mut to_ada = arrive(ctx, &ada, &Start::default()).await?;
    confirmed(&mut to_ada, &ada, &first).await.map(drop)
}

/// Ada, who is linked and takes envelopes, does not answer her receipt.
async fn direct_first(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let mut ben = arrive(ctx, &Person::contact(1), &Start::default()).await?;
    drain(&mut link).await?;
    let text = text(ctx, &ada, &card)?;
    stored(&mut link, &text.parcel, 0).await?;
    let key = ada.sealing_key();
    let receipt = receipt_with(&mut link, &ada, &key, &text.message_id).await?.parcel();
    let came_at = Instant::now();
    // A marker goes round meanwhile, by the same bundles.
    let marker = for_nobody(ctx);
    stored(&mut link, &marker, 2).await?;
    offered(&mut ben, &marker).await?;
    check(offers_of(&ben, &receipt) == 0, || {
        "it is offered to others while its recipient is linked".to_owned()
    })?;
    // Whether it goes round later is the target's choice; if it does, not within 2 s.
    ben.deadline = Duration::from_millis(2_600);
    let late = offered(&mut ben, &receipt).await;
    let after = came_at.elapsed();
    check(late.is_err() || after >= Duration::from_millis(1_900), || {
        format!("it is offered to others after {after:?}")
    })?;
    answer(&mut link, &receipt, AckResult::Stored).await;
    cleared(&mut link, &[&marker]).await
}

async fn seen_by_stranger(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let text = text(ctx, &ada, &card)?;
    stored(&mut link, &text.parcel, 6).await?;
    confirmed(&mut link, &ada, &text).await?;
    let eve = Person::stranger(&mut ctx.fresh);
    let mut to_eve = ctx.link(&eve).await?;
    begin(ctx, &mut to_eve, &eve, &Start::default()).await;
    // A stranger is told nothing of what was dealt with.
    refused(&mut to_eve, &text.parcel, RefusalReason::NotForMe).await
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("gossip.card-once", "GSP-40",
        "Four Hellos on a link. The target's card comes once.", card_once),
    script!("gossip.first-ttl", "GSP-17",
        "24 receipts that go round. Their ttl started with 2 or 3, and with each of them.",
        first_ttl),
    script!("gossip.receipt-needs-proof", "GSP-35",
        "Ada pulls without a proof. Her receipt comes after the proof, not before.",
        receipt_needs_proof),
    script!("gossip.clock-ahead", "GSP-22",
        "Ada's clock is 20 days ahead, and her key good by it. A receipt, expiring by her clock.",
        their_clock, 20 * DAY_MS, -DAY_MS, 20 * DAY_MS),
    script!("gossip.clock-behind", "GSP-22",
        "Ada's clock is 40 days behind, and her key good by it. A receipt, expiring by her clock.",
        their_clock, -40 * DAY_MS, -DAY_MS, 20 * DAY_MS),
    script!("gossip.not-opened-again", "GSP-36",
        "A stranger repeats an envelope 30 times. All are duplicates, and a new one is opened.",
        not_opened_again),
    script!("gossip.seen-by-stranger", "GSP-24",
        "A text of Ada's, stored; a stranger has it too. NOT_FOR_ME, as if it were new.",
        seen_by_stranger),
    script!("carry.direct-first", "CAR-15",
        "Ada does not answer her receipt. Ben is not offered it within 2 s.", direct_first),
];
