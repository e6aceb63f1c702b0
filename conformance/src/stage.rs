//! Several people on links with the target at once, and what they hand over to be carried.

use std::time::Duration;

use crate::case::{Ctx, unserved};
use crate::cases::letters::words;
use crate::peer::{Ended, Link};
use crate::people::Person;
use crate::session::{Letter, expect_card, hello};
use crate::stack::body::{Body, ReceiptEntry};
use crate::stack::card::Card;
use crate::stack::crypto::{Rng, public};
use crate::stack::envelope::{Envelope, HOUR_MS, envelope_id, purge_hash};
use crate::stack::frame::Frame;
use crate::stack::proofs::sign_mailbox;
use crate::stack::seal::{self, SealingKey};
use crate::stack::v1::{self, AckResult, RefusalReason};
use crate::verdict::{Judged, Verdict, check};

/// How long a receipt may take, and a little more.
const RECEIPT_WITHIN: Duration = Duration::from_millis(5_500);

/// A verdict for something that did not come.
pub fn came(what: &str) -> impl Fn(Ended) -> Verdict {
    move |ended| unserved(&format!("{what}: {ended}"), &ended)
}

/// How somebody begins a link.
#[derive(Debug, Clone)]
pub struct Start {
    /// Whether mailboxes are proved.
    pub mailboxes: bool,
    /// Whether envelopes are asked for.
    pub pull: bool,
    /// What the person's clock is ahead of the true one, ms.
    pub ahead: i64,
    /// Another `store_id` than the person's usual one.
    pub store_id: Option<[u8; 16]>,
    /// Envelopes that are taken before one is acknowledged.
    pub unacked_max: u32,
    /// Another card than the person's usual one of now.
    pub card: Option<Vec<u8>>,
}

impl Default for Start {
    fn default() -> Self {
        Self { mailboxes: true, pull: true, ahead: 0, store_id: None, unacked_max: 256, card: None }
    }
}

impl Start {
    /// Proves nothing and asks for nothing.
    #[must_use]
    pub fn quiet() -> Self {
        Self { mailboxes: false, pull: false, ..Self::default() }
    }

    /// Proves nothing and asks for what is there.
    #[must_use]
    pub fn unproved() -> Self {
        Self { mailboxes: false, ..Self::default() }
    }
}

/// Proves both mailboxes of a person on a link.
pub async fn prove(link: &mut Link, person: &Person) {
    let hash = link.handshake_hash();
    let role = link.role;
    let proof = |seed: &[u8; 32]| v1::MailboxProof {
        mailbox: public(seed).to_vec(),
        signature: sign_mailbox(seed, role, &hash).to_vec(),
    };
    let proofs = vec![proof(&person.intro_seed), proof(&person.contact_seed)];
    link.send(&Frame::Mailboxes(v1::Mailboxes { proofs })).await;
}

/// Asks for envelopes.
pub async fn pull(link: &mut Link) {
    link.send(&Frame::Pull(v1::Pull {})).await;
}

/// A link of an accepted contact, which begins like this. It is up and shown the target's
/// contact card.
///
/// # Errors
/// `not-tested` when the target has not accepted the suite's people.
pub async fn arrive(ctx: &mut Ctx, person: &Person, start: &Start) -> Result<Box<Link>, Verdict> {
    Ok(meet(ctx, person, start).await?.0)
}

/// The same, with the card.
///
/// # Errors
/// As [`arrive`].
pub async fn meet(
    ctx: &mut Ctx,
    person: &Person,
    start: &Start,
) -> Result<(Box<Link>, Card), Verdict> {
    let mut link = ctx.link(person).await?;
    begin(ctx, &mut link, person, start).await;
    match expect_card(&mut link, 1).await {
        Ok(card) => {
            let proved = link.auth.as_ref().map(|auth| auth.identity.as_slice());
            check(proved == Some(&card.identity), || {
                "GSP-11: the target shows a card of somebody else".to_owned()
            })?;
            Ok((link, card))
        }
        Err(Ended::TimedOut) => {
            let text = format!("the target has not accepted {}: see `cards`", person.name);
            Err(Verdict::NotTested(text))
        }
        Err(ended) => Err(unserved(&format!("no contact card came: {ended}"), &ended)),
    }
}

/// What stands first on a link.
pub async fn begin(ctx: &Ctx, link: &mut Link, person: &Person, start: &Start) {
    if start.mailboxes {
        prove(link, person).await;
    }
    let now = ctx.now();
    let mut first = hello(person, now.saturating_add_signed(start.ahead));
    first.unacked_max = start.unacked_max;
    if let Some(store_id) = start.store_id {
        first.store_id = store_id.to_vec();
    }
    link.send(&Frame::Hello(first)).await;
    let card = start.card.clone().unwrap_or_else(|| person.card_bytes(1, now));
    link.send(&Frame::Card(v1::Card { card })).await;
    if start.pull {
        pull(link).await;
    }
}

/// Three contacts, each on a link that takes envelopes.
///
/// # Errors
/// As [`arrive`].
pub async fn contacts(ctx: &mut Ctx) -> Result<[(Person, Box<Link>); 3], Verdict> {
    let (ada, ben, cyr) = (Person::contact(0), Person::contact(1), Person::contact(2));
    let to_ada = arrive(ctx, &ada, &Start::default()).await?;
    let to_ben = arrive(ctx, &ben, &Start::default()).await?;
    let to_cyr = arrive(ctx, &cyr, &Start::default()).await?;
    Ok([(ada, to_ada), (ben, to_ben), (cyr, to_cyr)])
}

/// An envelope for somebody else, as the target sees it.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// The envelope's bytes.
    pub bytes: Vec<u8>,
    /// Its id.
    pub id: [u8; 32],
    /// Has it forgotten.
    pub purge_key: [u8; 32],
}

impl Parcel {
    /// For this mailbox; nobody can open it.
    pub fn new(mailbox: [u8; 32], now: u64, rng: &mut Rng) -> Self {
        Self::changed(mailbox, now, rng, |_| {})
    }

    /// The same after a change of the envelope.
    pub fn changed(
        mailbox: [u8; 32],
        now: u64,
        rng: &mut Rng,
        change: impl FnOnce(&mut Envelope),
    ) -> Self {
        let purge_key = rng.array();
        let mut envelope = Envelope {
            layout: 1,
            suite: 1,
            mailbox,
            key_id: rng.array(),
            expires_at: (now + 3 * 24 * HOUR_MS).div_ceil(HOUR_MS) * HOUR_MS,
            purge_hash: purge_hash(&purge_key),
            ext: Vec::new(),
            sealed: rng.array::<1392>().to_vec(),
        };
        change(&mut envelope);
        Self::of(envelope.bytes(), purge_key)
    }

    /// Of bytes that are there.
    #[must_use]
    pub fn of(bytes: Vec<u8>, purge_key: [u8; 32]) -> Self {
        let id = envelope_id(&bytes);
        Self { bytes, id, purge_key }
    }

    /// As it is handed over.
    #[must_use]
    pub fn frame(&self, ttl: u32) -> Frame {
        Frame::Msg(v1::Msg { ttl, stamp: Vec::new(), envelope: self.bytes.clone() })
    }
}

/// A parcel for a mailbox of nobody.
pub fn for_nobody(ctx: &mut Ctx) -> Parcel {
    let mailbox = public(&ctx.fresh.array());
    Parcel::new(mailbox, ctx.now(), &mut ctx.fresh)
}

/// A parcel for somebody's contact mailbox.
pub fn parcel_for(ctx: &mut Ctx, person: &Person) -> Parcel {
    Parcel::new(public(&person.contact_seed), ctx.now(), &mut ctx.fresh)
}

/// Hands a parcel over and gives its `Ack`.
///
/// # Errors
/// When none comes.
pub async fn give(link: &mut Link, parcel: &Parcel, ttl: u32) -> Result<v1::Ack, Verdict> {
    link.send(&parcel.frame(ttl)).await;
    acknowledged(link, parcel).await
}

/// The `Ack` of a parcel that was handed over.
///
/// # Errors
/// When none comes.
pub async fn acknowledged(link: &mut Link, parcel: &Parcel) -> Result<v1::Ack, Verdict> {
    let id = parcel.id;
    link.expect(|frame| match frame {
        Frame::Ack(ack) if ack.id == id => Some(ack.clone()),
        _ => None,
    })
    .await
    .map_err(came("no Ack"))
}

/// Hands a parcel over, which has to be answered like this.
///
/// # Errors
/// Another answer, or none.
pub async fn gives(link: &mut Link, parcel: &Parcel, ttl: u32, result: AckResult) -> Judged {
    let ack = give(link, parcel, ttl).await?;
    let expected = result.as_str_name();
    check(ack.result == result as i32, || format!("expected {expected}, got {}", words(&ack)))
}

/// Hands a parcel over that is stored.
///
/// # Errors
/// Another answer, or none.
pub async fn stored(link: &mut Link, parcel: &Parcel, ttl: u32) -> Judged {
    gives(link, parcel, ttl, AckResult::Stored).await
}

/// Hands a parcel over that is refused with this reason.
///
/// # Errors
/// Another answer, or none.
pub async fn refused(link: &mut Link, parcel: &Parcel, reason: RefusalReason) -> Judged {
    let ack = give(link, parcel, 2).await?;
    let fits = ack.result == AckResult::Refused as i32 && ack.reason == reason as i32;
    check(fits, || format!("expected {}, got {}", reason.as_str_name(), words(&ack)))
}

fn offers(frame: &Frame, id: &[u8; 32]) -> bool {
    matches!(frame, Frame::Have(have) if have.ids.iter().any(|got| got == id))
}

/// Waits for the offer of a parcel; it may stand beside others.
///
/// # Errors
/// When none comes.
pub async fn offered(link: &mut Link, parcel: &Parcel) -> Judged {
    let frame = link
        .expect(|frame| offers(frame, &parcel.id).then(|| frame.clone()))
        .await
        .map_err(came("no Have of the envelope"))?;
    // What is offered beside it counts later.
    link.passed_over.push(frame);
    Ok(())
}

/// How often it was offered so far.
#[must_use]
pub fn offers_of(link: &Link, parcel: &Parcel) -> usize {
    link.passed_over.iter().filter(|frame| offers(frame, &parcel.id)).count()
}

/// Wants a parcel.
pub async fn want(link: &mut Link, parcel: &Parcel) {
    link.send(&Frame::Want(v1::Want { ids: vec![parcel.id.to_vec()] })).await;
}

/// Offers parcels.
pub async fn offer(link: &mut Link, parcels: &[&Parcel]) {
    let ids = parcels.iter().map(|parcel| parcel.id.to_vec()).collect();
    link.send(&Frame::Have(v1::Have { ids })).await;
}

fn wants(frame: &Frame, id: &[u8; 32]) -> bool {
    matches!(frame, Frame::Want(want) if want.ids.iter().any(|got| got == id))
}

/// Waits until the target wants a parcel.
///
/// # Errors
/// When it does not.
pub async fn wanted(link: &mut Link, parcel: &Parcel) -> Judged {
    let frame = link
        .expect(|frame| wants(frame, &parcel.id).then(|| frame.clone()))
        .await
        .map_err(came("no Want of the envelope"))?;
    link.passed_over.push(frame);
    Ok(())
}

/// Whether it was wanted so far.
#[must_use]
pub fn was_wanted(link: &Link, parcel: &Parcel) -> bool {
    link.passed_over.iter().any(|frame| wants(frame, &parcel.id))
}

fn carries(frame: &Frame, id: &[u8; 32]) -> bool {
    matches!(frame, Frame::Msg(msg) if envelope_id(&msg.envelope) == *id)
}

/// Waits for a parcel that is due to who is on this link (CAR-09), or was wanted.
///
/// # Errors
/// A failure when it does not come, though the target answers what was sent later.
pub async fn handed(link: &mut Link, parcel: &Parcel) -> Result<v1::Msg, Verdict> {
    let found = link.expect(|frame| match frame {
        Frame::Msg(msg) if carries(frame, &parcel.id) => Some(msg.clone()),
        _ => None,
    });
    let found = found.await.map_err(came("the envelope is not handed over"));
    due(link, found).await
}

/// What is due and has not come: that is a failure if the target answers something that is
/// sent now, since it has had the time for both.
async fn due<T>(link: &mut Link, found: Result<T, Verdict>) -> Result<T, Verdict> {
    match found {
        Err(Verdict::Inconclusive(text)) => {
            settle(link).await?;
            Err(Verdict::Fail(format!("{text}; what was sent later is answered")))
        }
        found => found,
    }
}

/// Whether it came so far, without being waited for.
#[must_use]
pub fn was_handed(link: &Link, parcel: &Parcel) -> bool {
    link.passed_over.iter().any(|frame| carries(frame, &parcel.id))
}

/// Answers a parcel that came.
pub async fn answer(link: &mut Link, parcel: &Parcel, result: AckResult) {
    link.send(&ack_frame(parcel, result)).await;
}

/// An `Ack` of a parcel.
#[must_use]
pub fn ack_frame(parcel: &Parcel, result: AckResult) -> Frame {
    Frame::Ack(v1::Ack {
        id: parcel.id.to_vec(),
        result: result as i32,
        reason: 0,
        retry_after_s: 0,
        now: 0,
    })
}

/// Waits for the offer of a parcel, wants it, and gives it as it came.
///
/// # Errors
/// When it is not offered or does not come.
pub async fn fetch(link: &mut Link, parcel: &Parcel) -> Result<v1::Msg, Verdict> {
    offered(link, parcel).await?;
    want(link, parcel).await;
    handed(link, parcel).await
}

/// Until what was sent on a link has been judged: junk is answered, and comes last.
///
/// # Errors
/// When it is not answered.
pub async fn settle(link: &mut Link) -> Judged {
    let junk = Parcel::of(vec![9], [0; 32]);
    give(link, &junk, 0).await.map(drop)
}

/// Has parcels forgotten, so that a case leaves no room used up.
pub async fn purge(link: &mut Link, parcels: &[&Parcel]) {
    for chunk in parcels.chunks(256) {
        let keys = chunk.iter().map(|parcel| parcel.purge_key.to_vec()).collect();
        link.send(&Frame::Purge(v1::Purge { keys })).await;
    }
}

/// The same at a case's end: waits until the keys were judged.
///
/// # Errors
/// When nothing is answered any more.
pub async fn cleared(link: &mut Link, parcels: &[&Parcel]) -> Judged {
    purge(link, parcels).await;
    settle(link).await
}

/// A text to the target, sealed, and what it is called.
#[derive(Debug, Clone)]
pub struct Text {
    /// As it is handed over.
    pub parcel: Parcel,
    /// Its message id.
    pub message_id: [u8; 32],
}

/// A new text of somebody, to the owner of `card`.
///
/// # Errors
/// A verdict when the card has no key that is good now.
pub fn text(ctx: &mut Ctx, from: &Person, card: &Card) -> Result<Text, Verdict> {
    text_changed(ctx, from, card, |_| {})
}

/// The same after a change of the letter.
///
/// # Errors
/// As [`text`].
pub fn text_changed(
    ctx: &mut Ctx,
    from: &Person,
    card: &Card,
    change: impl FnOnce(&mut Letter),
) -> Result<Text, Verdict> {
    let none = || Verdict::Fail("the target's card has no sealing key for now".to_owned());
    let mut letter = Letter::new(from, card, ctx.now(), &mut ctx.fresh).ok_or_else(none)?;
    change(&mut letter);
    let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(format!("the key: {r}")))?;
    let parcel = Parcel::of(bytes, letter.purge_key);
    Ok(Text { parcel, message_id: letter.signed.message_id() })
}

/// A receipt of the target, opened by whom it is for.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// As it came.
    pub msg: v1::Msg,
    /// Its envelope.
    pub envelope: Envelope,
    /// What it confirms.
    pub entries: Vec<ReceiptEntry>,
}

impl Receipt {
    /// Opens one.
    #[must_use]
    pub fn read(msg: &v1::Msg, key: &SealingKey, me: &[u8; 32]) -> Option<Self> {
        let envelope = Envelope::read(&msg.envelope).ok()?;
        let opened = seal::open(&envelope, key, me).ok()?;
        let Body::Receipt(entries) = opened.body else { return None };
        Some(Self { msg: msg.clone(), envelope, entries })
    }

    /// Whether it confirms a message.
    #[must_use]
    pub fn names(&self, message_id: &[u8; 32]) -> bool {
        self.entries.iter().any(|entry| entry.message_id == *message_id)
    }

    /// As it was handed over.
    #[must_use]
    pub fn parcel(&self) -> Parcel {
        Parcel::of(self.msg.envelope.clone(), [0; 32])
    }
}

/// Waits for the receipt of a message of `person`, sealed to `key`; it is not acknowledged.
///
/// # Errors
/// When none comes.
pub async fn receipt_with(
    link: &mut Link,
    person: &Person,
    key: &SealingKey,
    message_id: &[u8; 32],
) -> Result<Receipt, Verdict> {
    let me = person.identity();
    // A target may take 5 s for it (annex-targets.md, section 2).
    let usual = std::mem::replace(&mut link.deadline, RECEIPT_WITHIN);
    let found = link.expect(|frame| {
        let Frame::Msg(msg) = frame else { return None };
        Receipt::read(msg, key, &me).filter(|receipt| receipt.names(message_id))
    });
    let found = found.await.map_err(came("no receipt of the text"));
    link.deadline = usual;
    due(link, found).await
}

/// The same, sealed to the person's usual key, and acknowledged.
///
/// # Errors
/// As [`receipt_with`].
pub async fn confirmed(link: &mut Link, person: &Person, text: &Text) -> Result<Receipt, Verdict> {
    let key = person.sealing_key();
    let receipt = receipt_with(link, person, &key, &text.message_id).await?;
    answer(link, &receipt.parcel(), AckResult::Stored).await;
    Ok(receipt)
}

/// The receipts of a person that came so far without being waited for.
#[must_use]
pub fn receipts(link: &Link, person: &Person, key: &SealingKey) -> Vec<Receipt> {
    let me = person.identity();
    let read = |frame: &Frame| match frame {
        Frame::Msg(msg) => Receipt::read(msg, key, &me),
        _ => None,
    };
    link.passed_over.iter().filter_map(read).collect()
}

/// Takes whatever the target has for somebody.
///
/// # Errors
/// When nothing is answered any more.
pub async fn drain(link: &mut Link) -> Judged {
    settle(link).await?;
    while let Some(at) = link.passed_over.iter().position(|f| matches!(f, Frame::Msg(_))) {
        if let Frame::Msg(msg) = link.passed_over.remove(at) {
            let parcel = Parcel::of(msg.envelope, [0; 32]);
            answer(link, &parcel, AckResult::Stored).await;
        }
    }
    Ok(())
}
