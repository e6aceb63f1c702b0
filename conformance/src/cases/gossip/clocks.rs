//! What the target's user wrote, over hours and weeks (`spec/gossip.md`, section 5; `spec/seal.md`,
//! section 6; `spec/carrying.md`, section 4).

use serde_json::json;

use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::control::{Operated, hex};
use crate::peer::{Link, Seen};
use crate::people::Person;
use crate::stack::card::Card;
use crate::stack::crypto::public;
use crate::stack::envelope::{Envelope, HOUR_MS, envelope_id};
use crate::stack::frame::Frame;
use crate::stack::v1::{self, AckResult, RefusalReason};
use crate::stage::{Parcel, Start, answer, arrive, came, meet, settle, stored, text};
use crate::verdict::{Judged, Verdict, check};
use crate::written::{Written, came_so_far, comes, comes_to, confirm, decline, taken};

const DAY_MS: u64 = 24 * HOUR_MS;
const MINUTE_MS: u64 = 60 * 1000;

/// A target whose user has written to Ada, and Ada, who has shown a card of now.
async fn writes(ctx: &mut Ctx) -> Result<(Operated, Person, [u8; 32]), Verdict> {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    drop(arrive(ctx, &ada, &Start::quiet()).await?);
    let id = user.control.send(&ada, "over the weeks").await?;
    Ok((user, ada, id))
}

/// Ada comes again; whether the message does.
async fn visit(ctx: &mut Ctx, ada: &Person, id: &[u8; 32], comes: bool) -> Judged {
    let mut link = arrive(ctx, ada, &Start::default()).await?;
    if comes {
        return taken(&mut link, ada, id).await.map(drop);
    }
    settle(&mut link).await?;
    // What is due comes with the answer to `Pull`; a text's receipt is later than that.
    let card = meet(ctx, &Person::contact(1), &Start::default()).await?;
    drop(card);
    settle(&mut link).await?;
    check(came_so_far(&link, ada, id) == 0, || {
        "a message that was acknowledged is handed over before its time".to_owned()
    })
}

async fn timed_tries(ctx: &mut Ctx) -> Judged {
    let (mut user, ada, id) = writes(ctx).await?;
    visit(ctx, &ada, &id, true).await?;
    visit(ctx, &ada, &id, false).await?;
    for wait in [HOUR_MS, 6 * HOUR_MS, DAY_MS, DAY_MS] {
        user.control.advance(ctx, wait - 5 * MINUTE_MS).await?;
        visit(ctx, &ada, &id, false).await?;
        user.control.advance(ctx, 6 * MINUTE_MS).await?;
        visit(ctx, &ada, &id, true).await?;
    }
    Ok(())
}

/// Goes through days, in steps that no clock is misled by.
async fn pass(ctx: &mut Ctx, user: &mut Operated, days: u64) -> Judged {
    for _ in 0..days {
        user.control.advance(ctx, DAY_MS).await?;
    }
    Ok(())
}

async fn clock_leaps(ctx: &mut Ctx) -> Judged {
    let (mut user, ada, id) = writes(ctx).await?;
    visit(ctx, &ada, &id, true).await?;
    user.control.set_clock(ctx, 100 * DAY_MS as i64).await?;
    user.control.advance(ctx, 50 * MINUTE_MS).await?;
    let (state, _) = user.control.state(&id).await?;
    check(state == "handed", || {
        format!("50 min after its clock leapt by 100 days it is shown as {state}")
    })?;
    // That was a mistake.
    user.control.set_clock(ctx, 0).await?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    settle(&mut link).await?;
    user.control.shows(&id, "handed").await
}

async fn clock_back(ctx: &mut Ctx) -> Judged {
    let (mut user, ada, id) = writes(ctx).await?;
    visit(ctx, &ada, &id, true).await?;
    user.control.set_clock(ctx, -30 * DAY_MS as i64).await?;
    // Something happens, and it notices.
    settle(&mut *arrive(ctx, &Person::contact(1), &Start::quiet()).await?).await?;
    // By its own clock the next try would be in 30 days.
    user.control.advance(ctx, DAY_MS + 5 * MINUTE_MS).await?;
    visit(ctx, &ada, &id, true).await
}

async fn linked_clock(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    user.control.set_clock(ctx, 60 * DAY_MS as i64).await?;
    let id = user.control.send(&ada, "by your clock").await?;
    let written = taken(&mut link, &ada, &id).await?;
    let (now, expires_at) = (ctx.now(), written.envelope.expires_at);
    let latest = now + 14 * DAY_MS + 2 * HOUR_MS;
    check((now..=latest).contains(&expires_at), || {
        format!("it expires at {expires_at}, and her clock says {now}")
    })
}

/// Somebody's own, with another sealing key.
fn with_new_key(ctx: &mut Ctx, ada: &Person) -> Person {
    let mut changed = ada.clone();
    changed.sealing_seed = ctx.fresh.array();
    changed
}

/// Ada refuses a message, since she does not know the key, and then shows a card with another.
/// The first envelope and the one that is sealed to that.
async fn sealed_again(ctx: &mut Ctx) -> Result<[Written; 2], Verdict> {
    let (_user, ada, id) = writes(ctx).await?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    let first = comes(&mut link, &ada, &id).await?;
    decline(&mut link, &first, RefusalReason::UnknownKey).await;
    settle(&mut link).await?;
    let changed = with_new_key(ctx, &ada);
    let mut link = arrive(ctx, &changed, &Start::default()).await?;
    let (me, key) = (changed.identity(), changed.sealing_key());
    loop {
        let found = link.expect(|frame| match frame {
            Frame::Msg(msg) if msg.envelope == first.msg.envelope => Some(None),
            Frame::Msg(msg) => Written::read(msg, &key, &me).filter(|w| w.id() == id).map(Some),
            _ => None,
        });
        match found.await {
            // It was on its way before the target had read the card.
            Ok(None) => decline(&mut link, &first, RefusalReason::UnknownKey).await,
            Ok(Some(again)) => return Ok([first, again]),
            Err(ended) => {
                settle(&mut link).await?;
                return Err(Verdict::Fail(format!("it does not come to the new key: {ended}")));
            }
        }
    }
}

async fn key_refused(ctx: &mut Ctx) -> Judged {
    let [first, again] = sealed_again(ctx).await?;
    check(again.opened.signed_bytes == first.opened.signed_bytes, || {
        "it is sealed again with other signed bytes".to_owned()
    })
}

async fn same_signature(ctx: &mut Ctx) -> Judged {
    let [first, again] = sealed_again(ctx).await?;
    check(again.opened.signature == first.opened.signature, || {
        "the message that is sealed again is signed again".to_owned()
    })
}

async fn little_life(ctx: &mut Ctx) -> Judged {
    let (mut user, ada, id) = writes(ctx).await?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    let first = taken(&mut link, &ada, &id).await?;
    drop(link);
    let left = first.envelope.expires_at.saturating_sub(ctx.now());
    user.control.advance(ctx, left - 23 * HOUR_MS).await?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    let again = taken(&mut link, &ada, &id).await?;
    check(again.parcel().id != first.parcel().id, || {
        "23 h before it expires the same envelope comes".to_owned()
    })?;
    check(again.envelope.expires_at > first.envelope.expires_at, || {
        "the new envelope lives no longer".to_owned()
    })
}

/// Ada has another contact mailbox, and proves only that.
async fn other_mailbox(ctx: &mut Ctx) -> Judged {
    let (_user, ada, id) = writes(ctx).await?;
    let mut changed = ada.clone();
    changed.contact_seed = ctx.fresh.array();
    let mut link = arrive(ctx, &changed, &Start::default()).await?;
    let written = comes(&mut link, &changed, &id).await?;
    check(written.envelope.mailbox == public(&changed.contact_seed), || {
        "it comes for another mailbox than the one in her card".to_owned()
    })
}

async fn key_ended(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let (ada, ben) = (Person::contact(0), Person::contact(1));
    drop(arrive(ctx, &ada, &Start::quiet()).await?);
    let last = ada.card(1, ctx.now()).sealing[0].not_after;
    pass(ctx, &mut user, (last - ctx.now()) / DAY_MS + 1).await?;
    let id = user.control.send(&ada, "too late for that key").await?;
    user.control.shows(&id, "waiting for key").await?;
    // Nobody is offered it.
    let mut to_ben = arrive(ctx, &ben, &Start::default()).await?;
    settle(&mut to_ben).await?;
    check(!to_ben.passed_over.iter().any(|frame| matches!(frame, Frame::Have(_))), || {
        "something is offered that can only be sealed to an ended key".to_owned()
    })?;
    // With a new card it goes, to the new key.
    let changed = with_new_key(ctx, &ada);
    let mut link = arrive(ctx, &changed, &Start::default()).await?;
    comes_to(&mut link, &changed, &changed.sealing_key(), &id).await.map(drop)
}

async fn life_bound(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let mut card = ada.card(1, ctx.now());
    let not_after = ctx.now() + 20 * MINUTE_MS;
    card.sealing[0].not_after = not_after;
    let start = Start { card: Some(card.signed(&ada.identity_seed)), ..Start::default() };
    let mut link = arrive(ctx, &ada, &start).await?;
    let id = user.control.send(&ada, "a short key").await?;
    let written = taken(&mut link, &ada, &id).await?;
    let latest = (not_after + 14 * DAY_MS).div_ceil(HOUR_MS) * HOUR_MS;
    check(written.envelope.expires_at <= latest, || {
        format!("it expires at {}, later than {latest}", written.envelope.expires_at)
    })
}

async fn weekly(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let first = user.control.card().await?;
    let newest = |card: &Card| card.sealing.iter().max_by_key(|entry| entry.not_before).cloned();
    pass(ctx, &mut user, 8).await?;
    let second = user.control.card().await?;
    let (before, after) = (newest(&first), newest(&second));
    check(before.is_some() && before != after, || {
        "after eight days its newest sealing key is the same".to_owned()
    })?;
    check(second.seq > first.seq, || "the card with it is no newer".to_owned())
}

async fn seed_kept(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let (_link, card) = meet(ctx, &ada, &Start::default()).await?;
    // Written now, under way for as long as anything may be.
    let old = text(ctx, &ada, &card)?;
    let key = card.sealing_at(ctx.now()).map(|key| key.not_after);
    let last = key.ok_or_else(|| Verdict::Fail("no sealing key for now".to_owned()))?;
    let days = (last + 16 * DAY_MS - ctx.now()) / DAY_MS;
    pass(ctx, &mut user, days - 1).await?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    stored(&mut link, &old.parcel, 0).await
}

/// A message of an origin whose recipient is away, offered to Ben.
async fn offered_to(link: &mut Link, mailbox: [u8; 32]) -> Result<v1::Msg, Verdict> {
    let have = link.expect(|frame| match frame {
        Frame::Have(have) => Some(have.ids.clone()),
        _ => None,
    });
    let ids = have.await.map_err(came("nothing is offered"))?;
    link.send(&Frame::Want(v1::Want { ids })).await;
    let found = link.expect(|frame| match frame {
        Frame::Msg(msg) => Envelope::read(&msg.envelope)
            .is_ok_and(|envelope| envelope.mailbox == mailbox)
            .then(|| msg.clone()),
        _ => None,
    });
    found.await.map_err(came("what was offered does not come"))
}

async fn spread_again(ctx: &mut Ctx) -> Judged {
    const CARRIERS: usize = 3;
    let (mut user, ada, _id) = writes(ctx).await?;
    let mailbox = public(&ada.contact_seed);
    // It begins with ttl 2 or 3: with three who took it there is nothing left to give.
    for number in 0..CARRIERS {
        let carrier = befriend(ctx, &mut user).await?;
        let mut link = arrive(ctx, &carrier, &Start::default()).await?;
        match offered_to(&mut link, mailbox).await {
            Ok(msg) => {
                let parcel = Parcel::of(msg.envelope, [0; 32]);
                answer(&mut link, &parcel, AckResult::Stored).await;
            }
            Err(verdict) if number < 2 => return Err(verdict),
            Err(_) => {}
        }
        settle(&mut link).await?;
    }
    let last = befriend(ctx, &mut user).await?;
    let mut link = arrive(ctx, &last, &Start::default()).await?;
    settle(&mut link).await?;
    check(!link.passed_over.iter().any(|frame| matches!(frame, Frame::Have(_))), || {
        "it is offered to a fourth carrier at once".to_owned()
    })?;
    drop(link);
    user.control.advance(ctx, HOUR_MS + 5 * MINUTE_MS).await?;
    let mut link = arrive(ctx, &last, &Start::default()).await?;
    let msg = offered_to(&mut link, mailbox).await.map_err(|verdict| {
        Verdict::Fail(format!("at a timed try it is offered to nobody: {}", verdict.detail()))
    })?;
    check(msg.ttl == 1, || format!("at a timed try it is given on with ttl {}", msg.ttl))
}

/// Somebody whom the target's user has just met.
async fn befriend(ctx: &mut Ctx, user: &mut Operated) -> Result<Person, Verdict> {
    let person = Person::stranger(&mut ctx.fresh);
    let card = hex(&person.card_bytes(1, ctx.now()));
    user.control.have("contacts.import", json!({"card": card})).await?;
    Ok(person)
}

async fn expired_at_carriers(ctx: &mut Ctx) -> Judged {
    let (mut user, ada, _id) = writes(ctx).await?;
    let mailbox = public(&ada.contact_seed);
    let mut ids = Vec::new();
    for number in [1, 2] {
        let person = Person::contact(number);
        let mut link = arrive(ctx, &person, &Start::default()).await?;
        let msg = offered_to(&mut link, mailbox).await?;
        let parcel = Parcel::of(msg.envelope, [0; 32]);
        let ack = v1::Ack {
            id: parcel.id.to_vec(),
            result: AckResult::Refused as i32,
            reason: RefusalReason::Expired as i32,
            now: ctx.now() + 20 * DAY_MS,
            ..v1::Ack::default()
        };
        link.send(&Frame::Ack(ack)).await;
        settle(&mut link).await?;
        ids.push(parcel.id);
    }
    ids.sort_unstable();
    ids.dedup();
    check(ids.len() <= 2, || "it is sealed again more than once".to_owned())?;
    // Whatever is offered within the hour is one of these two.
    user.control.advance(ctx, 20 * MINUTE_MS).await?;
    let mut link = arrive(ctx, &Person::contact(1), &Start::default()).await?;
    if let Ok(msg) = offered_to(&mut link, mailbox).await {
        let id = envelope_id(&msg.envelope);
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    check(ids.len() <= 2, || format!("{} envelopes within half an hour", ids.len()))
}

async fn purge_key_shown(ctx: &mut Ctx) -> Judged {
    let (mut user, ada, id) = writes(ctx).await?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    let written = taken(&mut link, &ada, &id).await?;
    let mut to_ben = arrive(ctx, &Person::contact(1), &Start::default()).await?;
    let keys = vec![written.opened.purge_key.to_vec()];
    to_ben.send(&Frame::Purge(v1::Purge { keys })).await;
    settle(&mut to_ben).await?;
    drop(link);
    user.control.advance(ctx, HOUR_MS + 5 * MINUTE_MS).await?;
    visit(ctx, &ada, &id, true).await
}

async fn user_ends(ctx: &mut Ctx) -> Judged {
    let (mut user, ada, id) = writes(ctx).await?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    let written = taken(&mut link, &ada, &id).await?;
    drop(link);
    pass(ctx, &mut user, 80).await?;
    visit(ctx, &ada, &id, true).await?;
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    confirm(ctx, &mut link, &ada, &card, &[written.confirmation()]).await?;
    user.control.shows(&id, "delivered").await?;
    pass(ctx, &mut user, 2).await?;
    visit(ctx, &ada, &id, false).await
}

async fn aged(ctx: &mut Ctx) -> Judged {
    const STEP_MS: u64 = 40 * 1000;
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    for step in 0..DAY_MS / STEP_MS + 2 {
        let aged = (step + 1) * STEP_MS >= DAY_MS;
        user.control.advance(ctx, STEP_MS).await?;
        match link.probe().await {
            Seen::Alive => {}
            Seen::Closed(Some(reason)) if aged => {
                let age = v1::ByeReason::Age as i32;
                return check(reason == age, || format!("it ends with Bye reason {reason}"));
            }
            seen => {
                let hours = step * STEP_MS / HOUR_MS;
                return Err(Verdict::Fail(format!("after {hours} h the link ends: {seen:?}")));
            }
        }
    }
    Err(Verdict::Fail("the link is up after more than 24 h".to_owned()))
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("origin.timed-tries", "GSP-19",
        "Ada has a message and says nothing more. It comes after 1 h, 6 h, a day and a day.",
        timed_tries).shim(),
    script!("origin.ninety-days", "GSP-21",
        "Ada has a message, is away for 80 days, and confirms it. It comes until then.",
        user_ends).shim(),
    script!("origin.clock-leaps", "GSP-37",
        "The target's clock leaps by 100 days and back within an hour. It is not given up.",
        clock_leaps).shim(),
    script!("origin.clock-back", "GSP-41",
        "The target's clock goes back by 30 days. The next try comes within a day.",
        clock_back).shim(),
    script!("origin.linked-clock", "GSP-38",
        "The target's clock leaps by 60 days while Ada is linked. Her envelope lives by hers.",
        linked_clock).shim(),
    script!("origin.key-refused", "GSP-30",
        "Ada does not know the key, then shows a card with another. It comes sealed to that.",
        key_refused).shim(),
    script!("origin.same-signature", "SEA-13",
        "A message that is sealed again. The same signed bytes and signature.",
        same_signature).shim(),
    script!("origin.little-life", "GSP-32",
        "23 h before its envelope expires. The message comes in another one, which lives longer.",
        little_life).shim(),
    script!("origin.other-mailbox", "GSP-39",
        "Ada has another contact mailbox and proves only that. The message comes for it.",
        other_mailbox).shim(),
    script!("origin.key-ended", "SEA-40",
        "Ada's key has ended. A message waits for her next one, and is sealed to that.",
        key_ended).shim(),
    script!("origin.life-bound", "SEA-41",
        "A key that ends in 20 min. The envelope expires 14 days after that at the latest.",
        life_bound).shim(),
    script!("origin.weekly", "SEA-38",
        "Eight days. The target's card has another newest sealing key.", weekly).shim(),
    script!("origin.seed-kept", "SEA-42",
        "An envelope to a key that ended 15 days ago. It is stored.", seed_kept).shim(),
    script!("origin.spread-again", "CAR-17",
        "Ada is away for half a day. At the timed tries her message is given on to be spread.",
        spread_again).shim(),
    script!("origin.expired-at-carriers", "CAR-18",
        "Two carriers say EXPIRED. Within an hour the message is sealed again once at most.",
        expired_at_carriers).shim(),
    script!("origin.purge-key", "CAR-30",
        "Ben shows the purge key of a message without a receipt. It comes to Ada again.",
        purge_key_shown).shim(),
    script!("link.aged", "LNK-50",
        "A link that is used for 24 h. It ends with Bye AGE.", aged).shim(),
];
