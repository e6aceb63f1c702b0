//! Own relays: registering, cards in drops, fetching (`spec/relaying.md`, sections 2 and 3).

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::{PATIENCE, with_own};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::people::Person;
use crate::served::{Call, InfoLie, Served};
use crate::session::expect_card;
use crate::stack::body::{contact_request, kind};
use crate::stack::card::Card;
use crate::stack::drop;
use crate::stack::envelope::{HOUR_MS, key_id};
use crate::stack::relay::verify_drop;
use crate::stack::v1::{AckResult, PullEndReason, RefusalReason};
use crate::stage::{
    Parcel, Start, acknowledged, arrive, begin, came, confirmed, gives, meet, receipt_with,
    receipts, stored, text, text_changed,
};
use crate::verdict::{Judged, Verdict, check};

fn proof(call: &Call) -> Option<crate::stack::v1::PullProof> {
    match call {
        Call::Proof(proof) => Some(proof.clone()),
        _ => None,
    }
}

fn put(call: &Call) -> Option<crate::stack::v1::PutCardRequest> {
    match call {
        Call::PutCard(request) => Some(request.clone()),
        _ => None,
    }
}

/// Acknowledgements on the stream of a mailbox.
fn acked(mailbox: [u8; 32]) -> impl Fn(&Call) -> Option<u64> {
    move |call| match call {
        Call::PullAck { mailbox: of, up_to } if *of == mailbox => Some(*up_to),
        _ => None,
    }
}

fn names(card: &Card, relay: &Served) -> bool {
    card.contact.iter().flat_map(|part| &part.relays).any(|entry| entry.key == relay.key())
}

/// The target's contact card as Ada sees it on a new link.
async fn card_of(ctx: &mut Ctx) -> Result<Card, Verdict> {
    Ok(meet(ctx, &Person::contact(0), &Start::default()).await?.1)
}

/// The same as soon as it names these relays.
async fn card_naming(ctx: &mut Ctx, relays: &[&Served]) -> Result<Card, Verdict> {
    let until = Instant::now() + PATIENCE;
    loop {
        let card = card_of(ctx).await?;
        if relays.iter().all(|relay| names(&card, relay)) {
            return Ok(card);
        }
        if Instant::now() > until {
            return Err(Verdict::Inconclusive("its card does not name its relays".to_owned()));
        }
        // A look now and then, and no busy loop of links.
        relays[0].wait(usize::MAX, Duration::from_millis(50), proof).await;
    }
}

/// A mailbox of a card.
fn mailbox(card: &Card, kind: u8) -> Result<[u8; 32], Verdict> {
    card.mailbox(kind).ok_or_else(|| Verdict::Fail("the card lacks a mailbox".to_owned()))
}

async fn registered_first(ctx: &mut Ctx) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    relay.behave(|manner| manner.opens = false);
    let _target = with_own(ctx, &[&relay]).await?;
    let proofs = relay.wait(2, PATIENCE, proof).await;
    check(!proofs.is_empty(), || "no mailbox is proved at its own relay".to_owned())?;
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    check(!names(&card, &relay), || {
        "its card names a relay that has not registered its mailbox".to_owned()
    })?;
    relay.behave(|manner| manner.opens = true);
    let named = link
        .expect(|frame| match frame {
            crate::stack::frame::Frame::Card(card) => {
                Card::read(&card.card).ok().filter(|card| names(card, &relay))
            }
            _ => None,
        })
        .await;
    named.map(|_| ()).map_err(came("no card names the relay after it has registered"))
}

async fn deposit_key(ctx: &mut Ctx) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let _target = with_own(ctx, &[&relay]).await?;
    let proofs = relay.wait(2, PATIENCE, proof).await;
    let card = card_of(ctx).await?;
    let (intro, contact) = (mailbox(&card, 0)?, mailbox(&card, 1)?);
    let deposit_key = card.contact.map(|part| part.deposit_key).unwrap_or_default();
    let of = |mailbox: [u8; 32]| {
        let all = proofs.iter().filter(move |(_, proof)| proof.mailbox == mailbox);
        all.map(|(_, proof)| proof.deposit_key.clone()).collect::<Vec<_>>()
    };
    check(!of(intro).is_empty() && !of(contact).is_empty(), || {
        format!("{} mailboxes were proved, not both of the card", proofs.len())
    })?;
    check(of(intro).iter().all(Vec::is_empty), || {
        "the deposit key comes with the proof of the intro mailbox".to_owned()
    })?;
    check(of(contact).iter().all(|key| *key == deposit_key), || {
        "the contact mailbox is registered without the card's deposit key".to_owned()
    })
}

async fn drops(ctx: &mut Ctx) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let _target = with_own(ctx, &[&relay]).await?;
    let card = card_naming(ctx, &[&relay]).await?;
    let newest = |kind: u8, card: &Card| {
        let (of, seq) = (card.mailbox(kind).unwrap_or_default(), card.seq);
        move |call: &Call| put(call).filter(|put| put.mailbox == of && put.seq == seq)
    };
    relay.first("its newest card is not put", PATIENCE, newest(1, &card)).await?;
    relay.wait(1, Duration::from_secs(1), newest(0, &card)).await;
    let puts = relay.calls(put);
    let read_key = card.contact.as_ref().map(|part| part.read_key).unwrap_or_default();
    let mut newest = None;
    let mut intro_seen = false;
    for (_, put) in &puts {
        let of: [u8; 32] = put.mailbox.as_slice().try_into().unwrap_or_default();
        let signature = put.signature.as_slice().try_into().unwrap_or([0; 64]);
        verify_drop(&of, put.seq, &put.blob, &signature)
            .map_err(|r| Verdict::Fail(format!("a drop of the target: {r}")))?;
        let opened = drop::open(&read_key, &of, put.seq, &put.blob);
        if of == mailbox(&card, 1)? {
            let bytes = opened.map_err(|r| Verdict::Fail(format!("the contact drop: {r}")))?;
            let least = drop::SIZES.iter().find(|size| **size >= bytes.len() + 2 + 41);
            check(least == Some(&put.blob.len()), || {
                format!("a card of {} bytes is in a blob of {}", bytes.len(), put.blob.len())
            })?;
            let held = Card::read(&bytes).map_err(|r| Verdict::Fail(r.to_string()))?;
            check(held.kind == 1 && held.identity == card.identity && held.seq == put.seq, || {
                "the contact drop holds another card, or says another sequence".to_owned()
            })?;
            newest = newest.max(Some(put.seq));
        } else if of == mailbox(&card, 0)? {
            intro_seen = true;
            check(opened.is_err(), || {
                "the intro drop opens with the contact card's read key".to_owned()
            })?;
            check(drop::SIZES.contains(&put.blob.len()), || {
                format!("a blob of {} bytes", put.blob.len())
            })?;
        } else {
            return Err(Verdict::Fail("a card is put into the drop of another mailbox".into()));
        }
    }
    check(intro_seen, || "no card in the drop of the intro mailbox".to_owned())?;
    check(newest == Some(card.seq), || {
        format!("its newest card is {}, in the drop is {newest:?}", card.seq)
    })
}

async fn old_drop(ctx: &mut Ctx, ahead_ms: u64, follows: bool) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let newer = ctx.now() + ahead_ms;
    relay.behave(|manner| manner.newer_card = Some(newer));
    let _target = with_own(ctx, &[&relay]).await?;
    let seen = |call: &Call| put(call).map(|put| put.seq);
    if follows {
        let above = |call: &Call| seen(call).filter(|seq| *seq > newer);
        let found = relay.first("no card above the sequence of OLD", PATIENCE, above).await;
        // It is there, and had the time for it.
        let card = card_of(ctx).await?;
        return found.map(|_| ()).map_err(|_| {
            Verdict::Fail(format!("OLD says {newer}, and its card goes on with {}", card.seq))
        });
    }
    relay.first("no card is put", PATIENCE, seen).await?;
    relay.wait(4, Duration::from_millis(1_500), seen).await;
    let card = card_of(ctx).await?;
    check(card.seq < newer && relay.calls(seen).iter().all(|(_, seq)| *seq < newer), || {
        "it follows a sequence that lies more than 48 h ahead".to_owned()
    })
}

async fn no_more_than_four(ctx: &mut Ctx) -> Judged {
    let mut relays = Vec::new();
    for number in 1..=5 {
        relays.push(Served::start(ctx, &format!("relay-{number}")).await?);
    }
    let all: Vec<&Served> = relays.iter().collect();
    // Settings with five may be refused as a whole; those with four are used.
    let refused = match with_own(ctx, &all).await {
        Ok(target) => Ok(target),
        Err(Verdict::Fail(_)) => Err(with_own(ctx, &all[..4]).await?),
        Err(verdict) => return Err(verdict),
    };
    if refused.is_err() {
        ctx.log.add(crate::peer::Direction::Note, "it does not start with five", &[]);
    }
    for relay in &relays[..4] {
        relay.first("an own relay is not used", PATIENCE, proof).await?;
    }
    let used = |relay: &&Served| !relay.calls(proof).is_empty();
    let count = relays.iter().filter(used).count();
    check(count == 4, || format!("{count} own relays are used"))?;
    let card = card_of(ctx).await?;
    let named = card.contact.map(|part| part.relays.len());
    check(named.is_some_and(|named| named <= 4), || format!("its card names {named:?} relays"))
}

async fn taken_out(ctx: &mut Ctx) -> Judged {
    let fails = |e: std::io::Error| Verdict::Fail(format!("it does not start again: {e}"));
    let one = Served::start(ctx, "relay-1").await?;
    let two = Served::start(ctx, "relay-2").await?;
    let mut target = with_own(ctx, &[&one, &two]).await?;
    let named = card_naming(ctx, &[&one, &two]).await?;
    target.kill().await.map_err(fails)?;
    let settings = json!({"relays": [two.setting()]});
    target.set(&settings).map_err(|error| Verdict::Error(error.to_string()))?;
    target.start().await.map_err(fails)?;
    let card = card_of(ctx).await?;
    check(!names(&card, &one) && names(&card, &two), || {
        "its card names what its user has taken out, or does not name the other".to_owned()
    })?;
    check(card.seq > named.seq, || "two cards have one sequence".to_owned())
}

/// When streams of a mailbox were opened of which each ends at once.
async fn streams_again(ctx: &mut Ctx, ends: PullEndReason, least: Duration) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    relay.behave(|manner| manner.ends = Some(ends));
    let _target = with_own(ctx, &[&relay]).await?;
    let patience = least + Duration::from_secs(6);
    let proofs = relay.wait(4, patience, |call| Some(proof(call)?.mailbox)).await;
    let mut seen = 0;
    for (number, (at, mailbox)) in proofs.iter().enumerate() {
        let before = proofs[..number].iter().rev().find(|(_, other)| other == mailbox);
        let Some((before, _)) = before else { continue };
        seen += 1;
        let after = at.duration_since(*before);
        // The end is said a moment after the proof.
        check(after >= least - Duration::from_millis(20), || {
            format!("a stream is opened again {after:?} after it ended")
        })?;
    }
    check(!proofs.is_empty(), || "no stream was opened".to_owned())?;
    if seen == 0 {
        return Err(Verdict::Inconclusive(format!("no stream again within {patience:?}")));
    }
    Ok(())
}

/// Letters of Ada's at the relay, with gaps between their sequences.
async fn fetched(ctx: &mut Ctx) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let mut target = with_own(ctx, &[&relay]).await?;
    let ada = Person::contact(0);
    let mut last = 0;
    for _ in 0..3 {
        let card = card_of(ctx).await?;
        let own = mailbox(&card, 1)?;
        let mut texts = Vec::new();
        for _ in 0..3 {
            last += 4;
            let text = text(ctx, &ada, &card)?;
            relay.put(&own, last, text.parcel.bytes.clone());
            texts.push(text);
        }
        let largest = |call: &Call| acked(own)(call).filter(|up_to| *up_to >= last);
        let (_, up_to) = relay.first("no PullAck of the last one", PATIENCE, largest).await?;
        let started = target.restart().await;
        started.map_err(|e| Verdict::Fail(format!("it does not start again: {e}")))?;
        check(up_to == last, || format!("it acknowledges {up_to}, and {last} was the last"))?;
        let mut link = arrive(ctx, &ada, &Start::default()).await?;
        for text in &texts {
            gives(&mut link, &text.parcel, 0, AckResult::Duplicate).await?;
        }
    }
    Ok(())
}

/// By way of a relay the same is refused as on a link.
async fn judged_alike(ctx: &mut Ctx, for_strangers: bool) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let _target = with_own(ctx, &[&relay]).await?;
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let own = mailbox(&card, u8::from(!for_strangers))?;
    let letter = |letter: &mut crate::session::Letter| letter.envelope.mailbox = own;
    // Somebody else's signature under her name; then hers.
    let forged = text_changed(ctx, &ada, &card, |wrong| {
        letter(wrong);
        wrong.signer_seed = [3; 32];
    })?;
    let eve = Person::stranger(&mut ctx.fresh);
    let strange = text_changed(ctx, &eve, &card, letter)?;
    let other = text_changed(ctx, &ada, &card, |wrong| wrong.envelope.mailbox = [7; 32])?;
    let good = text_changed(ctx, &ada, &card, letter)?;
    let bad = [&forged, &strange, &other];
    for (at, text) in bad.iter().copied().chain([&good]).enumerate() {
        relay.put(&own, at as u64 + 1, text.parcel.bytes.clone());
    }
    let last = confirmed(&mut link, &ada, &good).await?;
    let before = receipts(&link, &ada, &ada.sealing_key());
    let wrong = before
        .iter()
        .chain([&last])
        .any(|receipt| bad.iter().any(|text| receipt.names(&text.message_id)));
    check(!wrong, || "a message that breaks a rule has a receipt".to_owned())?;
    relay
        .first("no PullAck of the last one", PATIENCE, |call| {
            acked(own)(call).filter(|up_to| *up_to == 4)
        })
        .await?;
    gives(&mut link, &good.parcel, 0, AckResult::Duplicate).await
}

/// What looks like a letter for the target's intro mailbox, and does not open.
fn junk(ctx: &mut Ctx, card: &Card) -> Result<Parcel, Verdict> {
    let now = ctx.now();
    let key = card.sealing_at(now).map(|key| key_id(&key.public)).unwrap_or_default();
    let own = mailbox(card, 0)?;
    Ok(Parcel::changed(own, now, &mut ctx.fresh, |envelope| {
        envelope.key_id = key;
        envelope.expires_at = (now / HOUR_MS + 48) * HOUR_MS;
    }))
}

/// A relay brings more for the intro mailbox than may be opened in a second.
async fn openings_of_all(ctx: &mut Ctx) -> Judged {
    const MANY: u64 = 250;
    let relay = Served::start(ctx, "relay-1").await?;
    let _target = with_own(ctx, &[&relay]).await?;
    let card = card_of(ctx).await?;
    let own = mailbox(&card, 0)?;
    let eve = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&eve).await?;
    begin(ctx, &mut link, &eve, &Start::default()).await;
    let intro = expect_card(&mut link, 0).await.map_err(came("no intro card"))?;
    let mut texts = Vec::new();
    for _ in 0..16 {
        texts.push(text(ctx, &eve, &intro)?.parcel);
    }
    // What the relay has not brought yet changes nothing.
    relay
        .first("the intro mailbox is not proved", PATIENCE, |call| {
            proof(call).filter(|proof| proof.mailbox == own)
        })
        .await?;
    let answers = asked(&mut link, &texts[..4]).await?;
    check(answers.iter().all(|reason| *reason == RefusalReason::NotForMe as i32), || {
        "a stranger's first texts are not opened".to_owned()
    })?;
    let batch: Vec<Parcel> = (0..MANY).map(|_| junk(ctx, &card)).collect::<Result<_, Verdict>>()?;
    for (parcel, seq) in batch.into_iter().zip(1..) {
        relay.put(&own, seq, parcel.bytes);
    }
    let last = |call: &Call| acked(own)(call).filter(|up_to| *up_to >= 100);
    relay.first("no PullAck of a hundred", PATIENCE, last).await?;
    let answers = asked(&mut link, &texts[4..8]).await?;
    check(answers.contains(&(RefusalReason::Busy as i32)), || {
        "behind a hundred of a relay's, a stranger's are opened at once".to_owned()
    })
}

/// What is said to these, handed over at once.
async fn asked(link: &mut crate::peer::Link, texts: &[Parcel]) -> Result<Vec<i32>, Verdict> {
    for parcel in texts {
        link.send(&parcel.frame(0)).await;
    }
    let mut reasons = Vec::new();
    for parcel in texts {
        reasons.push(acknowledged(link, parcel).await?.reason);
    }
    Ok(reasons)
}

/// A request behind more than may be opened in a second; SIGKILL when all is acknowledged.
async fn kept_unopened(ctx: &mut Ctx) -> Judged {
    const MANY: u64 = 120;
    let relay = Served::start(ctx, "relay-1").await?;
    let mut target = with_own(ctx, &[&relay]).await?;
    let card = card_of(ctx).await?;
    let own = mailbox(&card, 0)?;
    let eve = Person::stranger(&mut ctx.fresh);
    let now = ctx.now();
    let request = text_changed(ctx, &eve, &card, |letter| {
        letter.envelope.mailbox = own;
        let body = contact_request(b"from the conformance suite", &eve.card_bytes(1, now));
        letter.invisible(kind::CONTACT_REQUEST, body);
    })?;
    let batch: Vec<Parcel> = (1..MANY).map(|_| junk(ctx, &card)).collect::<Result<_, Verdict>>()?;
    for (parcel, seq) in batch.into_iter().chain([request.parcel.clone()]).zip(1..) {
        relay.put(&own, seq, parcel.bytes);
    }
    let all = |call: &Call| acked(own)(call).filter(|up_to| *up_to == MANY);
    relay.first("no PullAck of the last one", PATIENCE, all).await?;
    let started = target.restart().await;
    started.map_err(|e| Verdict::Fail(format!("it does not start again: {e}")))?;
    // The request has a receipt (REQ-19), which only Eve's mailbox gets.
    let mut link = ctx.link(&eve).await?;
    begin(ctx, &mut link, &eve, &Start::default()).await;
    let key = eve.sealing_key();
    receipt_with(&mut link, &eve, &key, &request.message_id).await.map(|_| ())
}

/// A relay that does not prove the key that the settings name.
async fn unproved(ctx: &mut Ctx, lie: InfoLie) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    relay.behave(|manner| manner.lie = Some(lie));
    let _target = with_own(ctx, &[&relay]).await?;
    let info = |call: &Call| matches!(call, Call::Info).then_some(());
    // It asks again after a moment: by then all would have come that follows the first.
    let asked = relay.wait(2, PATIENCE, info).await;
    check(!asked.is_empty(), || "it does not ask its own relay".to_owned())?;
    let more = relay.calls(|call| (!matches!(call, Call::Info)).then_some(()));
    check(more.is_empty(), || "a relay that does not prove its key is told more".to_owned())?;
    relay.behave(|manner| manner.lie = None);
    relay.first("no stream after the key was proved", PATIENCE * 2, proof).await.map(|_| ())
}

async fn stored_first(ctx: &mut Ctx) -> Judged {
    // Registered, and killed as soon as the card names the relay: it names it again.
    let relay = Served::start(ctx, "relay-1").await?;
    let mut target = with_own(ctx, &[&relay]).await?;
    let ada = Person::contact(0);
    card_naming(ctx, &[&relay]).await?;
    relay.behave(|manner| manner.opens = false);
    let started = target.restart().await;
    started.map_err(|e| Verdict::Fail(format!("it does not start again: {e}")))?;
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    check(names(&card, &relay), || "after a SIGKILL the registration is forgotten".to_owned())?;
    let text = text(ctx, &ada, &card)?;
    stored(&mut link, &text.parcel, 0).await
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relays.registered-first", "RLC-02",
        "A relay that registers late. The card names it after that, and not before.",
        registered_first).managed(),
    script!("relays.registered-durably", "RLC-02",
        "SIGKILL when the card names a relay. After the restart it still does.",
        stored_first).managed(),
    script!("relays.five", "RLC-01", "Five relays in the settings. Four are used and named.",
        no_more_than_four).managed(),
    script!("relays.taken-out", "RLC-03",
        "A relay is taken out of the settings. The card names the other one alone.",
        taken_out).managed(),
    script!("relays.deposit-key", "RLC-04",
        "The proofs of both mailboxes. The deposit key comes with the contact mailbox's alone.",
        deposit_key).managed(),
    script!("relays.drops", "RLC-05",
        "The cards that are put. Each lies under its own read key in the drop of its mailbox.",
        drops).managed(),
    script!("relays.drop-size", "RLY-53",
        "The cards that are put. Each blob is the smallest that holds its card.", drops).managed(),
    script!("relays.drop-old", "RLC-06",
        "OLD with a sequence an hour ahead. A card with a larger one is put.",
        old_drop, HOUR_MS, true).managed(),
    script!("relays.drop-far-ahead", "RLC-06",
        "OLD with a sequence 49 h ahead. No card follows it.",
        old_drop, 49 * HOUR_MS, false).managed(),
    script!("relays.stream-again", "RLC-11",
        "Each stream ends at once. The next one is opened after 5 s.",
        streams_again, PullEndReason::Closed, Duration::from_secs(5)).managed().slow(),
    script!("relays.superseded", "RLC-11",
        "Each stream ends with SUPERSEDED. The next one is opened after 60 s.",
        streams_again, PullEndReason::Superseded, Duration::from_secs(60)).managed().slow(),
    script!("relays.acknowledged", "RLC-12",
        "Three times: three letters with gaps between, SIGKILL after the PullAck. All were stored.",
        fetched).managed(),
    script!("relays.durable-first", "RLY-40",
        "Three times: letters are acknowledged, SIGKILL. After the restart all are DUPLICATE.",
        fetched).managed(),
    script!("relays.judged-alike", "RLC-08",
        "Letters at a relay: forged, of a stranger, for another mailbox, and a good one. \
         Only the good one has a receipt.", judged_alike, false).managed(),
    script!("relays.judged-as-stranger", "RLC-08",
        "The same for the intro mailbox. Only the good one has a receipt.",
        judged_alike, true).managed(),
    script!("relays.openings", "RLC-09",
        "A relay brings 250 for the intro mailbox. A stranger's texts on a link are BUSY.",
        openings_of_all).managed(),
    script!("relays.kept-unopened", "RLC-10",
        "A request behind more than may be opened, acknowledged, and SIGKILL. It is opened later.",
        kept_unopened).managed(),
    script!("relays.other-key", "RLY-01",
        "A relay that proves another key. It gets GetInfo and nothing more; once it proves the \
         right one it does.", unproved, InfoLie::OtherKey).managed(),
    script!("relays.other-signer", "RLY-08",
        "A relay that shows the right key and signs with another. GetInfo and nothing more.",
        unproved, InfoLie::OtherSigner).managed(),
    script!("relays.other-nonce", "RLY-01",
        "A relay info that was signed for another nonce. GetInfo and nothing more.",
        unproved, InfoLie::OtherNonce).managed(),
    script!("relays.other-authority", "RLY-01",
        "A relay info that was signed for another authority. GetInfo and nothing more.",
        unproved, InfoLie::OtherAuthority).managed(),
    script!("relays.version-9", "VER-02",
        "A relay that proves its key and speaks version 9 alone. It is told nothing more; with \
         version 1 it is.", unproved, InfoLie::OtherVersion).managed(),
];
