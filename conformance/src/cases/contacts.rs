//! Requests of strangers on a link (`spec/contacts.md` 3, in its order). All are those of `eve`
//! and `fay`, so that a run leaves no others open.

pub mod answering;
pub mod asking;

use crate::case::{Ctx, unserved};
use crate::cases::gossip::came;
use crate::cases::letters::words;
use crate::cases::{Script, script};
use crate::peer::Link;
use crate::people::Person;
use crate::session::{Letter, Session, hand_over, introduce};
use crate::stack::body::{self, Body, kind};
use crate::stack::card::Card;
use crate::stack::envelope::Envelope;
use crate::stack::frame::Frame;
use crate::stack::seal::open;
use crate::stack::v1::{self, AckResult, RefusalReason};
use crate::verdict::{Judged, Verdict, check};

const FULL_RETRY_S: u32 = 3600;
const SOON_RETRY_S: u32 = 60;

/// A stranger on a link, and the target's card, which somebody else was shown.
struct Visit {
    person: Person,
    link: Box<Link>,
    card: Card,
}

impl Visit {
    async fn of(ctx: &mut Ctx, person: Person) -> Result<Self, Verdict> {
        let card = Session::open(ctx, Person::contact(0)).await?.card;
        let mut link = ctx.link(&person).await?;
        introduce(&mut link, &person, 0, ctx.now()).await;
        Ok(Self { person, link, card })
    }

    /// A good request for the intro mailbox, written now.
    fn request(&self, ctx: &mut Ctx) -> Result<Letter, Verdict> {
        let now = ctx.now();
        let own = self.person.card_bytes(1, now);
        request(&self.person, &self.card, &own, now, ctx)
    }

    async fn give(&mut self, letter: &Letter) -> Result<v1::Ack, Verdict> {
        let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
        hand_over(&mut self.link, &bytes).await.map_err(came("no Ack for a request"))
    }

    /// Hands a good one over: it is stored, or comes too soon after one that was (REQ-32).
    async fn good(&mut self, ctx: &mut Ctx) -> Judged {
        let letter = self.request(ctx)?;
        let ack = self.give(&letter).await?;
        check(is(&ack, AckResult::Stored) || quota(&ack, SOON_RETRY_S), || {
            format!("a good request is neither stored nor too soon: {}", words(&ack))
        })
    }
}

fn request(
    from: &Person,
    to: &Card,
    shown: &[u8],
    now: u64,
    ctx: &mut Ctx,
) -> Result<Letter, Verdict> {
    let mut letter = Letter::new(from, to, now, &mut ctx.fresh)
        .ok_or_else(|| Verdict::Fail("no sealing key in the card".to_owned()))?;
    letter.envelope.mailbox = to.mailbox(0).expect("a card has an intro mailbox (IDN-40)");
    letter.invisible(kind::CONTACT_REQUEST, body::contact_request(b"from the suite", shown));
    Ok(letter)
}

fn is(ack: &v1::Ack, result: AckResult) -> bool {
    ack.result == result as i32
}

fn refused(ack: &v1::Ack, reason: RefusalReason) -> bool {
    is(ack, AckResult::Refused) && ack.reason == reason as i32
}

fn quota(ack: &v1::Ack, retry_after_s: u32) -> bool {
    refused(ack, RefusalReason::Quota) && ack.retry_after_s == retry_after_s
}

/// A good request, and on the same link one with a fault.
async fn faulty(
    ctx: &mut Ctx,
    reason: RefusalReason,
    change: fn(&mut Letter, &Visit, u64),
) -> Judged {
    let mut visit = Visit::of(ctx, Person::published("eve")).await?;
    visit.good(ctx).await?;
    let mut letter = visit.request(ctx)?;
    change(&mut letter, &visit, ctx.now());
    let ack = visit.give(&letter).await?;
    check(refused(&ack, reason), || format!("expected {reason:?}, got {}", words(&ack)))?;
    ctx.still_serves().await
}

fn show(letter: &mut Letter, card: &[u8]) {
    letter.invisible(kind::CONTACT_REQUEST, body::contact_request(b"from the suite", card));
}

async fn contact_mailbox(ctx: &mut Ctx) -> Judged {
    faulty(ctx, RefusalReason::NotForMe, |letter, visit, _| {
        letter.envelope.mailbox = visit.card.mailbox(1).expect("a contact card has one (IDN-40)");
    })
    .await
}

async fn brought(ctx: &mut Ctx) -> Judged {
    let mut eve = Visit::of(ctx, Person::published("eve")).await?;
    eve.good(ctx).await?;
    let letter = eve.request(ctx)?;
    let mut fay = Visit::of(ctx, Person::published("fay")).await?;
    let ack = fay.give(&letter).await?;
    check(refused(&ack, RefusalReason::NotForMe), || {
        format!("a request that another stranger brings: {}", words(&ack))
    })
}

async fn intro_card(ctx: &mut Ctx) -> Judged {
    faulty(ctx, RefusalReason::Malformed, |letter, visit, now| {
        show(letter, &visit.person.card_bytes(0, now));
    })
    .await
}

async fn others_card(ctx: &mut Ctx) -> Judged {
    faulty(ctx, RefusalReason::Malformed, |letter, _, now| {
        show(letter, &Person::published("fay").card_bytes(1, now));
    })
    .await
}

async fn flipped_card(ctx: &mut Ctx) -> Judged {
    faulty(ctx, RefusalReason::Malformed, |letter, visit, now| {
        let mut card = visit.person.card_bytes(1, now);
        let last = card.len() - 1;
        card[last] ^= 1;
        show(letter, &card);
    })
    .await
}

async fn older(ctx: &mut Ctx) -> Judged {
    let mut visit = Visit::of(ctx, Person::published("eve")).await?;
    visit.good(ctx).await?;
    let mut letter = visit.request(ctx)?;
    letter.signed.sent_at = 1;
    let ack = visit.give(&letter).await?;
    check(is(&ack, AckResult::Duplicate), || {
        format!("expected DUPLICATE for a request of 1970, got {}", words(&ack))
    })
}

async fn too_soon(ctx: &mut Ctx) -> Judged {
    let mut visit = Visit::of(ctx, Person::published("eve")).await?;
    visit.good(ctx).await?;
    let letter = visit.request(ctx)?;
    let ack = visit.give(&letter).await?;
    check(quota(&ack, SOON_RETRY_S), || {
        let (words, retry) = (words(&ack), ack.retry_after_s);
        format!("expected QUOTA with 60 s, got {words} with {retry} s")
    })
}

async fn third(ctx: &mut Ctx) -> Judged {
    for name in ["eve", "fay"] {
        Visit::of(ctx, Person::published(name)).await?.good(ctx).await?;
    }
    let stranger = Person::stranger(&mut ctx.fresh);
    let mut visit = Visit::of(ctx, stranger).await?;
    let letter = visit.request(ctx)?;
    let ack = visit.give(&letter).await?;
    check(quota(&ack, FULL_RETRY_S), || {
        let (words, retry) = (words(&ack), ack.retry_after_s);
        format!("expected QUOTA with 3,600 s, got {words} with {retry} s")
    })
}

async fn of_contact(ctx: &mut Ctx) -> Judged {
    let mut session = Session::open(ctx, Person::contact(1)).await?;
    let now = ctx.now();
    let own = session.person.card_bytes(1, now);
    let mut letter = request(&session.person, &session.card, &own, now, ctx)?;
    letter.envelope.mailbox = session.card.mailbox(1).expect("a contact card has one (IDN-40)");
    let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    let ack = session.hand_over(&bytes).await.map_err(came("no Ack for a request"))?;
    check(is(&ack, AckResult::Stored), || format!("it is not stored: {}", words(&ack)))?;
    let (me, key) = (session.person.identity(), session.person.sealing_key());
    let id = letter.signed.message_id();
    let accept = session.link.expect(|frame| {
        let Frame::Msg(msg) = frame else { return None };
        let opened = open(&Envelope::read(&msg.envelope).ok()?, &key, &me).ok()?;
        matches!(&opened.body, Body::ContactAccept { request, .. } if *request == id).then_some(())
    });
    accept.await.map_err(|ended| unserved(&format!("no accept of the request: {ended}"), &ended))
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("request.contact-mailbox", "REQ-10",
        "A stranger's request for the contact mailbox. NOT_FOR_ME.", contact_mailbox),
    script!("request.brought", "REQ-12",
        "A stranger's request, which another stranger brings. NOT_FOR_ME.", brought),
    script!("request.intro-card", "REQ-13", "A request with an intro card. MALFORMED.", intro_card),
    script!("request.others-card", "REQ-13",
        "A request with somebody else's contact card. MALFORMED.", others_card),
    script!("request.card-flipped", "REQ-13",
        "A request whose card has a flipped bit in its signature. MALFORMED.", flipped_card),
    script!("request.older", "REQ-15",
        "A request that was written before the open one. DUPLICATE.", older),
    script!("request.too-soon", "REQ-32",
        "Another request at once. QUOTA, to be tried in 60 s.", too_soon),
    script!("request.third", "REQ-17",
        "The third stranger of an address. QUOTA, to be tried in an hour.", third),
    script!("request.of-contact", "REQ-24",
        "A contact's request, which means that they lack our card. An accept of it comes.",
        of_contact),
];
