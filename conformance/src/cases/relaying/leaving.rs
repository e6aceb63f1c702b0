//! Leaving envelopes at the relays of contacts (`spec/relaying.md`, sections 4 and 6): the
//! target's receipts, which are left like messages.

use std::time::Duration;

use serde_json::json;

use super::{PATIENCE, left_for, naming};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::peer::Link;
use crate::people::Person;
use crate::served::{Call, Connections, Deposits, Served};
use crate::stack::card::Card;
use crate::stack::crypto::public;
use crate::stack::envelope::{Envelope, HOUR_MS};
use crate::stack::v1::{AckResult, DepositRefusal, Msg};
use crate::stage::{Receipt, Start, Text, answer, arrive, drain, meet, receipt_with, stored, text};
use crate::verdict::{Judged, Verdict, check};

/// A contact whose card names these relays, and who takes nothing on the link.
async fn away(
    ctx: &mut Ctx,
    person: &Person,
    relays: &[&Served],
) -> Result<(Box<Link>, Card), Verdict> {
    let start = Start { pull: false, ..naming(ctx, person, relays) };
    meet(ctx, person, &start).await
}

/// A text that is stored.
async fn writes(
    ctx: &mut Ctx,
    person: &Person,
    link: &mut Link,
    card: &Card,
) -> Result<Text, Verdict> {
    let text = text(ctx, person, card)?;
    stored(link, &text.parcel, 0).await?;
    Ok(text)
}

/// Receipts of a text that were left.
fn receipt_of(person: &Person, text: &Text) -> impl Fn(&Call) -> Option<Receipt> + use<> {
    let (person, id) = (person.clone(), text.message_id);
    let left = left_for(public(&person.contact_seed));
    let key = person.sealing_key();
    move |call| {
        let msg = Msg { envelope: left(call)?, ..Msg::default() };
        Receipt::read(&msg, &key, &person.identity()).filter(|receipt| receipt.names(&id))
    }
}

/// Everybody's usual cards, and what the target still has for them.
async fn over(ctx: &mut Ctx) -> Judged {
    for number in 0..3 {
        let mut link = arrive(ctx, &Person::contact(number), &Start::default()).await?;
        drain(&mut link).await?;
    }
    Ok(())
}

async fn newest_card(ctx: &mut Ctx) -> Judged {
    let (one, two) = (Served::start(ctx, "relay-1").await?, Served::start(ctx, "relay-2").await?);
    let ada = Person::contact(0);
    let (mut link, card) = away(ctx, &ada, &[&one]).await?;
    let first = writes(ctx, &ada, &mut link, &card).await?;
    one.first("the receipt is not left at her relay", PATIENCE, receipt_of(&ada, &first)).await?;
    let (mut link, card) = away(ctx, &ada, &[&two]).await?;
    let second = writes(ctx, &ada, &mut link, &card).await?;
    let of = receipt_of(&ada, &second);
    let new = two.first("the receipt is not left at her new relay", PATIENCE, &of).await;
    let wrong = one.calls(&of);
    over(ctx).await?;
    check(wrong.is_empty(), || {
        "it is left at a relay that her newest card does not name".to_owned()
    })?;
    new.map(|_| ())
}

async fn linked_alone(ctx: &mut Ctx) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let (ada, ben) = (Person::contact(0), Person::contact(1));
    let start = naming(ctx, &ada, &[&relay]);
    let (mut link, card) = meet(ctx, &ada, &start).await?;
    let (mut to_ben, bens) = away(ctx, &ben, &[&relay]).await?;
    // The relay is up when the receipt for Ada is made.
    let first = writes(ctx, &ben, &mut to_ben, &bens).await?;
    relay.first("nothing is left at the relay", PATIENCE, receipt_of(&ben, &first)).await?;
    let text = writes(ctx, &ada, &mut link, &card).await?;
    let key = ada.sealing_key();
    let receipt = receipt_with(&mut link, &ada, &key, &text.message_id).await?;
    let came_at = std::time::Instant::now();
    let marker = writes(ctx, &ben, &mut to_ben, &bens).await?;
    relay.first("the marker is not left", PATIENCE, receipt_of(&ben, &marker)).await?;
    let left = relay.calls(receipt_of(&ada, &text));
    let took = came_at.elapsed();
    answer(&mut link, &receipt.parcel(), AckResult::Stored).await;
    over(ctx).await?;
    if took > Duration::from_millis(1_900) {
        return Err(Verdict::Inconclusive(format!("the marker took {took:?}")));
    }
    check(left.is_empty(), || "it is left at a relay while she is linked".to_owned())
}

async fn first_relay(ctx: &mut Ctx) -> Judged {
    let (one, two) = (Served::start(ctx, "relay-1").await?, Served::start(ctx, "relay-2").await?);
    let (ada, cyr) = (Person::contact(0), Person::contact(2));
    let (mut link, card) = away(ctx, &ada, &[&one, &two]).await?;
    let (mut to_cyr, cyrs) = away(ctx, &cyr, &[&two]).await?;
    let text = writes(ctx, &ada, &mut link, &card).await?;
    let at_once = one.first("it is not left at once", PATIENCE, receipt_of(&ada, &text)).await;
    let marker = writes(ctx, &cyr, &mut to_cyr, &cyrs).await?;
    two.first("the marker is not left", PATIENCE, receipt_of(&cyr, &marker)).await?;
    let early = two.calls(receipt_of(&ada, &text));
    over(ctx).await?;
    at_once?;
    check(early.is_empty(), || "it is left at the second relay at once, too".to_owned())
}

/// The first relay says nothing. When the second has its turn, and whether the first is let go.
async fn silent_relay(ctx: &mut Ctx, turn: bool) -> Judged {
    const WHILE: Duration = Duration::from_secs(60);
    let (one, two) = (Served::start(ctx, "relay-1").await?, Served::start(ctx, "relay-2").await?);
    one.behave(|manner| manner.deposits = Deposits::Silent);
    let ada = Person::contact(0);
    let (mut link, card) = away(ctx, &ada, &[&one, &two]).await?;
    let text = writes(ctx, &ada, &mut link, &card).await?;
    let of = || receipt_of(&ada, &text);
    let (left, _) = one.first("it is not left at her relay", PATIENCE, of()).await?;
    drop(link);
    let second = two.first("the second relay has no turn", WHILE + PATIENCE, of()).await;
    let until = left + WHILE + PATIENCE;
    while one.connections.now() > 0 && tokio::time::Instant::now() < until {
        one.wait(usize::MAX, Duration::from_millis(200), of()).await;
    }
    let gone = one.connections.now() == 0 || one.wait(2, Duration::ZERO, of()).await.len() > 1;
    over(ctx).await?;
    if !turn {
        return check(gone, || "a relay that does not answer for 60 s is kept".to_owned());
    }
    let after = second?.0.duration_since(left);
    check(after >= WHILE - Duration::from_secs(1), || {
        format!("the second relay has its turn after {after:?}")
    })
}

async fn put_off(ctx: &mut Ctx) -> Judged {
    const AFTER: Duration = Duration::from_secs(2);
    let reasons = [DepositRefusal::Full, DepositRefusal::NoRoom, DepositRefusal::Busy];
    let mut relays = Vec::new();
    for (reason, number) in reasons.into_iter().zip(1..) {
        let relay = Served::start(ctx, &format!("relay-{number}")).await?;
        relay.behave(|manner| manner.deposits = Deposits::Refuse(reason, 2));
        relays.push(relay);
    }
    let ada = Person::contact(0);
    let (mut link, card) = away(ctx, &ada, &relays.iter().collect::<Vec<_>>()).await?;
    let text = writes(ctx, &ada, &mut link, &card).await?;
    let mut seen = 0;
    let mut early = None;
    for (relay, reason) in relays.iter().zip(reasons) {
        let tries = relay.wait(2, Duration::from_secs(4), receipt_of(&ada, &text)).await;
        for pair in tries.windows(2) {
            seen += 1;
            let after = pair[1].0.duration_since(pair[0].0);
            if after < AFTER {
                early = Some(format!("after {reason:?} it is left again {after:?} later"));
            }
        }
    }
    over(ctx).await?;
    if let Some(text) = early {
        return Err(Verdict::Fail(text));
    }
    if seen == 0 {
        return Err(Verdict::Inconclusive("it is left at no relay again".to_owned()));
    }
    Ok(())
}

/// Three contacts with four relays each that refuse everything, twice.
async fn sixteen(ctx: &mut Ctx) -> Judged {
    let all = Connections::default();
    let mut relays = Vec::new();
    for number in 0..24 {
        let relay = Served::counted(ctx, &format!("relay-{number}"), all.clone()).await?;
        let refusal = Deposits::Refuse(DepositRefusal::Malformed, 0);
        relay.behave(|manner| manner.deposits = refusal);
        relays.push(relay);
    }
    let mut last = Vec::new();
    for (at, four) in relays.chunks(4).enumerate() {
        let person = Person::contact(at);
        let four: Vec<&Served> = four.iter().collect();
        let (mut link, card) = away(ctx, &person, &four).await?;
        let text = writes(ctx, &person, &mut link, &card).await?;
        let found = four[3].wait(1, PATIENCE, receipt_of(&person, &text)).await;
        last.push(!found.is_empty());
    }
    let most = all.most().await;
    over(ctx).await?;
    // What was refused goes on with the next relay by a SHOULD alone (RLC-24).
    let used = relays.iter().filter(|relay| !relay.calls(|_| Some(())).is_empty()).count();
    if used <= 16 {
        return Err(Verdict::Inconclusive(format!("it came to {used} relays only: {last:?}")));
    }
    check(most <= 16, || format!("it was connected with {most} relays that are not its own"))
}

async fn relay_clock(ctx: &mut Ctx, ahead: i64) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    relay.behave(|manner| manner.ahead = ahead);
    let (ada, ben) = (Person::contact(0), Person::contact(1));
    let (mut link, card) = away(ctx, &ada, &[&relay]).await?;
    // The relay is up, and has said its time, when the second receipt is made.
    let first = writes(ctx, &ada, &mut link, &card).await?;
    relay.first("nothing is left at her relay", PATIENCE, receipt_of(&ada, &first)).await?;
    let second = writes(ctx, &ada, &mut link, &card).await?;
    let found = relay.first("the second is not left", PATIENCE, receipt_of(&ada, &second)).await?;
    let (mut to_ben, bens) = meet(ctx, &ben, &Start::default()).await?;
    let text = writes(ctx, &ben, &mut to_ben, &bens).await?;
    let other = receipt_with(&mut to_ben, &ben, &ben.sealing_key(), &text.message_id).await?;
    answer(&mut to_ben, &other.parcel(), AckResult::Stored).await;
    over(ctx).await?;
    let now = ctx.now();
    let fits =
        |envelope: &Envelope| (now..=now + (14 * 24 + 2) * HOUR_MS).contains(&envelope.expires_at);
    check(fits(&found.1.envelope) && fits(&other.envelope), || {
        "a receipt expires by the relay's clock".to_owned()
    })
}

/// What the user wrote is left at a relay, which then lies about what comes next.
async fn not_believed(ctx: &mut Ctx, lie: Deposits) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    drop(away(ctx, &ada, &[&relay]).await?);
    let honest = user.control.send(&ada, "by a relay").await?;
    user.control.shows(&honest, "at relay").await?;
    relay.behave(|manner| manner.deposits = lie);
    let doubtful = user.control.send(&ada, "by a relay that lies").await?;
    let left = |call: &Call| matches!(call, Call::Deposit { .. }).then_some(());
    check(relay.wait(2, PATIENCE, left).await.len() >= 2, || {
        "the second message is not left at her relay".to_owned()
    })?;
    // What a lie does, it does within the time that the truth took; with a try behind it, it
    // has been judged.
    relay.wait(3, PATIENCE / 3, left).await;
    let (state, _) = user.control.state(&doubtful).await?;
    check(state == "queued", || format!("by a receipt that is none it is shown as {state}"))?;
    user.control.shows(&honest, "at relay").await
}

/// Her relay's clock is 20 days ahead, and what lives by hers has expired there.
async fn expiry(ctx: &mut Ctx) -> Judged {
    let relay = Served::start(ctx, "relay-1").await?;
    let ahead = 20 * 24 * HOUR_MS;
    relay.behave(|manner| {
        manner.ahead = ahead as i64;
        manner.deposits = Deposits::Refuse(DepositRefusal::Expiry, 0);
    });
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    drop(away(ctx, &ada, &[&relay]).await?);
    user.control.send(&ada, "by its clock").await?;
    let left = left_for(public(&ada.contact_seed));
    let found = relay.wait(2, PATIENCE, &left).await;
    check(found.len() >= 2, || format!("it is left {} times, and not sealed again", found.len()))?;
    let read = |bytes: &[u8]| Envelope::read(bytes).map_err(|r| Verdict::Fail(r.to_string()));
    let (first, second) = (read(&found[0].1)?, read(&found[1].1)?);
    let there = ctx.now() + ahead;
    check(first.expires_at < there && second.expires_at >= there, || {
        format!("it expires at {}, and the relay's clock says {there}", second.expires_at)
    })?;
    // Once more, and no more.
    let found = relay.wait(3, PATIENCE / 3, &left).await;
    check(found.len() == 2, || "after a second EXPIRY it is sealed a third time".to_owned())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relays.newest-card", "RLC-13",
        "Ada's newer card names another relay. Her receipt is left there and not at the former.",
        newest_card),
    script!("relays.linked-alone", "RLC-14",
        "Ada is linked and names a relay. Her receipt is not left there within 2 s; Ben's is.",
        linked_alone),
    script!("relays.first", "RLC-15",
        "Ada names two relays. Her receipt is left at the first at once, and not at the second.",
        first_relay),
    script!("relays.second", "RLC-15",
        "The first relay says nothing. The second has its turn after 60 s.",
        silent_relay, true).slow(),
    script!("relays.unanswered", "RLC-28",
        "A relay says nothing to an envelope. After 60 s the connection ends.",
        silent_relay, false).slow(),
    script!("relays.put-off", "RLC-16",
        "FULL, NO_ROOM and BUSY for 2 s. The envelope is not left there again before.", put_off),
    script!("relays.sixteen", "RLC-21",
        "24 relays of three contacts, one after the other. At most 16 are connected at a time.",
        sixteen),
    script!("relays.clock-ahead", "RLC-25",
        "Ada's relay is 10 days ahead. Receipts for her and for Ben expire by their clocks.",
        relay_clock, 10 * 24 * HOUR_MS as i64),
    script!("relays.receipt-signer", "RLY-02",
        "A receipt that somebody else signed. The one before is at a relay, not this one.",
        not_believed, Deposits::OtherSigner).shim(),
    script!("relays.receipt-missing", "RLY-26",
        "A relay says nothing of an envelope. The one before is at a relay, not this one.",
        not_believed, Deposits::Silent).shim(),
    script!("relays.receipt-other", "DLV-15",
        "A receipt of another envelope. The one before is at a relay, not this one.",
        not_believed, Deposits::OtherEnvelope).shim(),
    script!("relays.expiry", "RLC-17",
        "A relay 20 days ahead says EXPIRY, twice. The message is sealed once more, by its clock.",
        expiry).shim(),
];
