//! Requests that the target's user answers, and contacts whom it removes (`spec/contacts.md`,
//! sections 3 to 5).

use serde_json::{Value, json};

use super::{Visit, is, quota, request};
use crate::case::Ctx;
use crate::cases::letters::words;
use crate::cases::{Script, script};
use crate::control::{Operated, hex};
use crate::peer::Link;
use crate::people::{BLOCKED, Person};
use crate::served::Served;
use crate::session::{Letter, Session, hand_over};
use crate::stack::body::Body;
use crate::stack::card::Card;
use crate::stack::envelope::HOUR_MS;
use crate::stack::frame::Frame;
use crate::stack::v1::{AckResult, RefusalReason};
use crate::stage::{Start, arrive, begin, came, confirmed, meet, receipts, settle, stored, text};
use crate::verdict::{Judged, Verdict, check};
use crate::written::{Written, came_so_far, next, taken};

const DAY_MS: u64 = 24 * HOUR_MS;
const FULL_RETRY_S: u32 = 3600;

/// A stranger whose request is open.
struct Open {
    user: Operated,
    visit: Visit,
    letter: Letter,
}

impl Open {
    async fn new(ctx: &mut Ctx, settings: &Value) -> Result<Self, Verdict> {
        let user = ctx.own_user(settings).await?;
        let eve = Person::stranger(&mut ctx.fresh);
        let mut visit = Visit::of(ctx, eve).await?;
        let letter = visit.request(ctx)?;
        let ack = visit.give(&letter).await?;
        check(is(&ack, AckResult::Stored), || format!("a request: {}", words(&ack)))?;
        let mut open = Self { user, visit, letter };
        check(open.requests().await? == 1, || "the request is not shown".to_owned())?;
        Ok(open)
    }

    async fn requests(&mut self) -> Result<usize, Verdict> {
        Ok(self.user.control.requests().await?.len())
    }

    async fn answers(&mut self, what: &str) -> Judged {
        self.user.control.about(what, &self.visit.person).await.map(drop)
    }

    /// The same message in another envelope.
    async fn again(&mut self, ctx: &mut Ctx) -> Judged {
        let mut letter = self.letter.clone();
        letter.eseed = ctx.fresh.array();
        let ack = self.visit.give(&letter).await?;
        check(is(&ack, AckResult::Duplicate), || {
            format!("a request that was answered: {}", words(&ack))
        })
    }
}

async fn accept_comes(link: &mut Link, eve: &Person, id: &[u8; 32]) -> Judged {
    let fits = |found: &Written| match &found.opened.body {
        Body::ContactAccept { request, .. } => request == id,
        _ => false,
    };
    next(link, eve, &eve.sealing_key(), "no accept of the request", fits).await.map(drop)
}

async fn accept(ctx: &mut Ctx) -> Judged {
    let mut open = Open::new(ctx, &json!({})).await?;
    open.answers("requests.accept").await?;
    let eve = open.visit.person.clone();
    let id = open.letter.signed.message_id();
    let (mut link, card) = meet(ctx, &eve, &Start::default()).await?;
    accept_comes(&mut link, &eve, &id).await?;
    // She is a contact now.
    let hers = text(ctx, &eve, &card)?;
    stored(&mut link, &hers.parcel, 0).await
}

async fn answered_before(ctx: &mut Ctx) -> Judged {
    let mut open = Open::new(ctx, &json!({})).await?;
    open.answers("requests.decline").await?;
    open.again(ctx).await?;
    let mut open = Open::new(ctx, &json!({})).await?;
    open.answers("requests.accept").await?;
    open.again(ctx).await
}

async fn declined(ctx: &mut Ctx) -> Judged {
    let mut open = Open::new(ctx, &json!({})).await?;
    open.answers("requests.decline").await?;
    check(open.requests().await? == 0, || "what was declined is shown".to_owned())?;
    // Of the message there is its id, for 90 days, over restarts.
    open.user.restart(ctx).await?;
    let mut visit = Visit::of(ctx, open.visit.person.clone()).await?;
    std::mem::swap(&mut open.visit, &mut visit);
    open.again(ctx).await?;
    check(open.requests().await? == 0, || "what was declined is shown again".to_owned())?;
    // Of her there is nothing: she can ask again.
    let next = open.visit.request(ctx)?;
    let ack = open.visit.give(&next).await?;
    check(is(&ack, AckResult::Stored), || format!("she asks again: {}", words(&ack)))
}

async fn no_receipt(ctx: &mut Ctx) -> Judged {
    let mut open = Open::new(ctx, &json!({"request_receipts": false})).await?;
    let (eve, ada) = (open.visit.person.clone(), Person::contact(0));
    // What is due to a contact meanwhile comes.
    let (mut to_ada, card) = meet(ctx, &ada, &Start::default()).await?;
    let marker = text(ctx, &ada, &card)?;
    stored(&mut to_ada, &marker.parcel, 0).await?;
    confirmed(&mut to_ada, &ada, &marker).await?;
    let mut link = ctx.link(&eve).await?;
    begin(ctx, &mut link, &eve, &Start::default()).await;
    let marker = text(ctx, &ada, &card)?;
    stored(&mut to_ada, &marker.parcel, 0).await?;
    confirmed(&mut to_ada, &ada, &marker).await?;
    settle(&mut link).await?;
    let id = open.letter.signed.message_id();
    let early = receipts(&link, &eve, &eve.sealing_key());
    let early = early.iter().chain(&receipts(&open.visit.link, &eve, &eve.sealing_key())).count();
    let shown = |frame: &Frame| matches!(frame, Frame::Purge(_));
    let purged = link.passed_over.iter().chain(&open.visit.link.passed_over).any(shown);
    check(early == 0 && !purged, || "an open request has a receipt or a purge key".to_owned())?;
    open.answers("requests.accept").await?;
    accept_comes(&mut link, &eve, &id).await
}

/// Ada brings what Dan wrote, who is blocked and then is not.
async fn blocked(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let (ada, dan) = (Person::contact(0), Person::published(BLOCKED));
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let first = text(ctx, &dan, &card)?;
    crate::stage::refused(&mut link, &first.parcel, RefusalReason::NotForMe).await?;
    user.control.about("contacts.unblock", &dan).await?;
    let second = text(ctx, &dan, &card)?;
    stored(&mut link, &second.parcel, 0).await?;
    user.control.about("contacts.block", &dan).await?;
    let third = text(ctx, &dan, &card)?;
    crate::stage::refused(&mut link, &third.parcel, RefusalReason::NotForMe).await
}

/// Requests of as many strangers, from `seq` on, at a relay of the target's.
fn at_relay(
    ctx: &mut Ctx,
    relay: &Served,
    card: &Card,
    seqs: std::ops::RangeInclusive<u64>,
) -> Judged {
    let mailbox = card.mailbox(0).expect("a card has an intro mailbox (IDN-40)");
    for seq in seqs {
        let person = Person::stranger(&mut ctx.fresh);
        let now = ctx.now();
        let own = person.card_bytes(1, now);
        let letter = request(&person, card, &own, now, ctx)?;
        let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
        relay.put(&mailbox, seq, bytes);
    }
    Ok(())
}

/// Waits until so many requests are open.
async fn opened(user: &mut Operated, count: usize) -> Judged {
    let until = tokio::time::Instant::now() + crate::cases::relaying::PATIENCE;
    loop {
        let found = user.control.requests().await?.len();
        if found >= count {
            return check(found == count, || format!("{found} requests are open, not {count}"));
        }
        if tokio::time::Instant::now() > until {
            return Err(Verdict::Inconclusive(format!("{found} of {count} requests are open")));
        }
        // The condition is the count; this only keeps the loop from spinning.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn one_relay(ctx: &mut Ctx) -> Judged {
    const KEPT: u64 = 16;
    let one = Served::start(ctx, "relay-1").await?;
    let mut user = ctx.own_user(&json!({"relays": [one.setting()]})).await?;
    let card = user.control.card().await?;
    at_relay(ctx, &one, &card, 1..=KEPT)?;
    opened(&mut user, KEPT as usize).await?;
    at_relay(ctx, &one, &card, KEPT + 1..=KEPT + 3)?;
    // A message of a contact behind them is stored: by then they were judged.
    let ada = Person::contact(0);
    let (_link, card) = meet(ctx, &ada, &Start::default()).await?;
    let mut marker = Letter::new(&ada, &card, ctx.now(), &mut ctx.fresh)
        .ok_or_else(|| Verdict::Fail("no sealing key".to_owned()))?;
    let mailbox = card.mailbox(0).expect("a card has an intro mailbox (IDN-40)");
    marker.envelope.mailbox = mailbox;
    let bytes = marker.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    one.put(&mailbox, KEPT + 4, bytes);
    let until = tokio::time::Instant::now() + crate::cases::relaying::PATIENCE;
    while user.control.inbox(&ada).await?.is_empty() {
        if tokio::time::Instant::now() > until {
            return Err(Verdict::Inconclusive("the marker behind them is not shown".to_owned()));
        }
        // The condition is the text; this only keeps the loop from spinning.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    opened(&mut user, KEPT as usize).await
}

async fn thirty_two(ctx: &mut Ctx) -> Judged {
    let one = Served::start(ctx, "relay-1").await?;
    let two = Served::start(ctx, "relay-2").await?;
    let mut user = ctx.own_user(&json!({"relays": [one.setting(), two.setting()]})).await?;
    let card = user.control.card().await?;
    at_relay(ctx, &one, &card, 1..=16)?;
    at_relay(ctx, &two, &card, 1..=15)?;
    opened(&mut user, 31).await?;
    // The 32nd has room, on a link; the 33rd has none.
    for (number, room) in [(32, true), (33, false)] {
        let eve = Person::stranger(&mut ctx.fresh);
        let mut visit = Visit::of(ctx, eve).await?;
        let letter = visit.request(ctx)?;
        let ack = visit.give(&letter).await?;
        let fits = if room { is(&ack, AckResult::Stored) } else { quota(&ack, FULL_RETRY_S) };
        check(fits, || format!("request {number}: {}", words(&ack)))?;
    }
    opened(&mut user, 32).await
}

async fn removed(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    let id = user.control.send(&ada, "before").await?;
    taken(&mut link, &ada, &id).await?;
    user.control.about("contacts.remove", &ada).await?;
    user.control.shows(&id, "cancelled").await?;
    // Accepted again, she is not given it, though its hour has come.
    let card = hex(&ada.card_bytes(1, ctx.now()));
    user.control.have("contacts.import", json!({"card": card})).await?;
    user.control.advance(ctx, HOUR_MS + 300_000).await?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    settle(&mut link).await?;
    check(came_so_far(&link, &ada, &id) == 0, || "what was given up comes".to_owned())
}

async fn new_secrets(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let before = user.control.card().await?;
    user.control.about("contacts.remove", &Person::contact(2)).await?;
    let after = user.control.card().await?;
    check(before.mailbox(1) != after.mailbox(1), || "the contact mailbox is the same".to_owned())?;
    let keys = |card: &Card| card.contact.as_ref().map(|part| (part.deposit_key, part.read_key));
    let (Some(old), Some(new)) = (keys(&before), keys(&after)) else {
        return Err(Verdict::Fail("a contact card without its part for contacts".to_owned()));
    };
    check(old.0 != new.0, || "the deposit key is the same".to_owned())?;
    check(old.1 != new.1, || "the read key is the same".to_owned())
}

/// Removes Cyr while Ada is away; the target's card of before.
async fn without_cyr(ctx: &mut Ctx) -> Result<(Operated, Card), Verdict> {
    let mut user = ctx.own_user(&json!({})).await?;
    let (_link, card) = meet(ctx, &Person::contact(0), &Start::default()).await?;
    user.control.about("contacts.remove", &Person::contact(2)).await?;
    Ok((user, card))
}

async fn new_card(ctx: &mut Ctx) -> Judged {
    let (mut user, _) = without_cyr(ctx).await?;
    let ada = Person::contact(0);
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    let is_card = |found: &Written| matches!(found.opened.body, Body::Card(_));
    let key = ada.sealing_key();
    let written = next(&mut link, &ada, &key, "no sealed card comes", is_card).await?;
    let Body::Card(card) = written.opened.body else {
        return Err(Verdict::Fail("no card".to_owned()));
    };
    let card = Card::read(&card).map_err(|r| Verdict::Fail(format!("its card: {r}")))?;
    let own = user.control.card().await?;
    check(card.mailbox(1) == own.mailbox(1) && card.kind == 1, || {
        "the card that comes does not have its new mailbox".to_owned()
    })
}

async fn old_mailbox(ctx: &mut Ctx) -> Judged {
    let (mut user, old) = without_cyr(ctx).await?;
    let ada = Person::contact(0);
    let sealed = text(ctx, &ada, &old)?;
    for _ in 0..40 {
        user.control.advance(ctx, DAY_MS).await?;
    }
    let mut session = Session::open(ctx, ada.clone()).await?;
    let proved = session.link.passed_over.iter().any(|frame| match frame {
        Frame::Mailboxes(mailboxes) => {
            let mailbox = old.mailbox(1).map(|mailbox| mailbox.to_vec());
            mailboxes.proofs.iter().any(|proof| Some(&proof.mailbox) == mailbox.as_ref())
        }
        _ => false,
    });
    check(proved, || "40 days later it does not prove its earlier mailbox".to_owned())?;
    let ack = hand_over(&mut session.link, &sealed.parcel.bytes).await;
    let ack = ack.map_err(came("no Ack of a text for the earlier mailbox"))?;
    check(is(&ack, AckResult::Stored), || {
        format!("40 days later a text for the earlier mailbox: {}", words(&ack))
    })
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("request.accept", "REQ-20",
        "The user accepts a stranger. Her accept comes, and her text is stored.", accept).shim(),
    script!("request.answered-before", "REQ-14",
        "Requests that were declined and accepted, in other envelopes. DUPLICATE.",
        answered_before).shim(),
    script!("request.declined", "REQ-22",
        "A declined request. Not shown, a DUPLICATE after a restart, and she can ask again.",
        declined).shim(),
    script!("request.no-receipt", "REQ-19",
        "An open request, receipts for requests off. None and no purge key until it is accepted.",
        no_receipt).shim(),
    script!("request.of-blocked", "REQ-09",
        "A contact brings what a blocked person wrote. NOT_FOR_ME; unblocked, it is stored.",
        blocked).shim(),
    script!("request.17-of-a-relay", "REQ-18",
        "19 requests at one relay. 16 are open, and what lies behind them is read.",
        one_relay).shim(),
    script!("request.33", "REQ-16",
        "31 requests at two relays and two on links. The last is refused with QUOTA.",
        thirty_two).shim(),
    script!("contacts.removed", "REQ-25",
        "A contact with an open message is removed and accepted again. It is cancelled.",
        removed).shim(),
    script!("contacts.new-secrets", "REQ-26",
        "A contact is removed. Mailbox, deposit key and read key of the card are others.",
        new_secrets).shim(),
    script!("contacts.new-card", "REQ-27",
        "A contact is removed. The new card comes to another one, sealed.", new_card).shim(),
    script!("contacts.old-mailbox", "REQ-28",
        "40 days after that. The earlier mailbox is proved, and mail for it is stored.",
        old_mailbox).shim(),
];
