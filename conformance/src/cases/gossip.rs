//! What an honest peer sees on a link (`spec/link.md`, `spec/gossip.md`,
//! `spec/delivery.md`), and what survives a kill.

pub mod clocks;
pub mod kept;
pub mod origin;

use super::letters::{Answer, good, said, words};
use super::{Script, script};
use crate::case::{Ctx, unserved};
use crate::peer::{Ended, Reached};
use crate::people::Person;
use crate::session::{Letter, Session, expect_card, hand_over, introduce};
use crate::stack::body::Body;
use crate::stack::crypto::public;
use crate::stack::envelope::{Envelope, HOUR_MS};
use crate::stack::frame::Frame;
use crate::stack::proofs::verify_mailbox;
use crate::stack::seal::{Opened, open, signed_hash};
use crate::stack::v1::{AckResult, Mailboxes, Msg, RefusalReason};
use crate::verdict::{Judged, Verdict, check, verdict};

pub(super) fn came(what: &str) -> impl Fn(Ended) -> Verdict {
    move |ended| unserved(&format!("{what}: {ended}"), &ended)
}

/// An honest link comes up and answers a ping: what is tried first and last of all.
pub async fn sanity(ctx: &mut Ctx) -> Verdict {
    let person = Person::stranger(&mut ctx.fresh);
    let judged = match ctx.link(&person).await {
        Ok(mut link) => link.ping().await.map_err(came("no pong")),
        Err(verdict) => Err(verdict),
    };
    verdict(judged)
}

async fn fresh_share(ctx: &mut Ctx) -> Judged {
    let person = Person::stranger(&mut ctx.fresh);
    for _ in 0..2 {
        ctx.link(&person).await?;
    }
    let mut shares: Vec<Vec<u8>> = ctx
        .log
        .entries()
        .into_iter()
        .filter(|entry| entry.what == "handshake message")
        .filter_map(|entry| entry.bytes.get(2..34).map(<[u8]>::to_vec))
        .collect();
    let count = shares.len();
    shares.sort();
    shares.dedup();
    check(count == 2 && shares.len() == 2, || "two links have the same share".to_owned())
}

async fn hello_and_proofs(ctx: &mut Ctx) -> Judged {
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&person).await?;
    introduce(&mut link, &person, 0, ctx.now()).await;
    let hash = link.handshake_hash();
    let proofs = link.expect(mailboxes).await.map_err(came("no Mailboxes"))?.proofs;
    for proof in &proofs {
        let mailbox = proof.mailbox.as_slice().try_into().expect("its length was checked");
        let signature = proof.signature.as_slice().try_into().expect("its length was checked");
        verify_mailbox(&mailbox, link.role.other(), &hash, &signature)
            .map_err(|refused| Verdict::Fail(format!("a mailbox proof: {refused}")))?;
    }
    Ok(())
}

fn mailboxes(frame: &Frame) -> Option<Mailboxes> {
    match frame {
        Frame::Mailboxes(mailboxes) => Some(mailboxes.clone()),
        _ => None,
    }
}

async fn stranger_card(ctx: &mut Ctx) -> Judged {
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&person).await?;
    introduce(&mut link, &person, 1, ctx.now()).await;
    expect_card(&mut link, 0).await.map_err(came("no intro card"))?;
    link.ping().await.map_err(came("no pong"))?;
    let contact = link.passed_over.iter().any(|frame| match frame {
        Frame::Card(card) => card.card.get(1) == Some(&1),
        _ => false,
    });
    check(!contact, || "a stranger was given the contact card".to_owned())
}

async fn stranger_proofs(ctx: &mut Ctx) -> Judged {
    let session = Session::open(ctx, Person::contact(1)).await?;
    let secret = session.card.mailbox(1).expect("a contact card has one");
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&person).await?;
    introduce(&mut link, &person, 1, ctx.now()).await;
    let proofs = link.expect(mailboxes).await.map_err(came("no Mailboxes"))?.proofs;
    check(proofs.iter().all(|proof| proof.mailbox != secret), || {
        "the contact mailbox was proved to a stranger".to_owned()
    })
}

/// A stranger's letter of any body to a mailbox of the target.
async fn from_stranger(ctx: &mut Ctx, kind: u8) -> Result<String, Verdict> {
    let session = Session::open(ctx, Person::contact(1)).await?;
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&person).await?;
    introduce(&mut link, &person, 1, ctx.now()).await;
    let mut letter = Letter::new(&person, &session.card, ctx.now(), &mut ctx.fresh)
        .ok_or_else(|| Verdict::Fail("no sealing key in the card".to_owned()))?;
    letter.envelope.mailbox = session.card.mailbox(kind).expect("a contact card has both");
    let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    let ack = hand_over(&mut link, &bytes).await.map_err(came("no Ack"))?;
    match said(&ack) {
        Some(Answer::Refused(RefusalReason::NotForMe)) => Ok(String::new()),
        _ => Ok(words(&ack)),
    }
}

async fn stranger_text(ctx: &mut Ctx) -> Judged {
    let words = from_stranger(ctx, 0).await?;
    check(words.is_empty(), || format!("expected NOT_FOR_ME, got {words}"))
}

async fn stranger_contact_mailbox(ctx: &mut Ctx) -> Judged {
    let words = from_stranger(ctx, 1).await?;
    check(words.is_empty(), || format!("expected NOT_FOR_ME, got {words}"))
}

async fn duplicate(ctx: &mut Ctx) -> Judged {
    let mut session = Session::open(ctx, Person::contact(2)).await?;
    let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    expect_result(&mut session, &bytes, AckResult::Stored).await?;
    expect_result(&mut session, &bytes, AckResult::Duplicate).await
}

async fn expect_result(session: &mut Session, bytes: &[u8], result: AckResult) -> Judged {
    let ack = session.hand_over(bytes).await.map_err(came("no Ack"))?;
    check(ack.result == result as i32, || {
        format!("expected {}, got {}", result.as_str_name(), words(&ack))
    })
}

async fn sealed_again(ctx: &mut Ctx) -> Judged {
    let mut session = Session::open(ctx, Person::contact(3)).await?;
    let mut letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let first = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    expect_result(&mut session, &first, AckResult::Stored).await?;
    letter.eseed = ctx.fresh.array();
    letter.purge_key = ctx.fresh.array();
    letter.envelope.purge_hash = crate::stack::envelope::purge_hash(&letter.purge_key);
    let second = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    expect_result(&mut session, &second, AckResult::Duplicate).await
}

/// Sends a text and gives the target's next message that the suite can open.
pub(super) async fn receipt_for(
    ctx: &mut Ctx,
    number: usize,
) -> Result<(Letter, Msg, Opened), Verdict> {
    let mut session = Session::open(ctx, Person::contact(number)).await?;
    let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    expect_result(&mut session, &bytes, AckResult::Stored).await?;
    let me = session.person.identity();
    let key = session.person.sealing_key();
    let id = letter.signed.message_id();
    let found = session
        .link
        .expect(|frame| {
            let Frame::Msg(msg) = frame else { return None };
            let envelope = Envelope::read(&msg.envelope).ok()?;
            let opened = open(&envelope, &key, &me).ok()?;
            let Body::Receipt(entries) = &opened.body else { return None };
            let names_it = entries.iter().any(|entry| entry.message_id == id);
            names_it.then(|| (msg.clone(), opened.clone()))
        })
        .await;
    if let Some(unread) = session.link.passed_over.iter().find_map(|frame| match frame {
        Frame::Msg(msg) => Some(msg.envelope.clone()),
        _ => None,
    }) {
        let read = Envelope::read(&unread).and_then(|envelope| open(&envelope, &key, &me));
        if let Err(refused) = read {
            return Err(Verdict::Fail(format!("an envelope of the target: {refused}")));
        }
    }
    let (msg, opened) = found.map_err(came("no receipt came"))?;
    Ok((letter, msg, opened))
}

async fn receipt(ctx: &mut Ctx) -> Judged {
    let (letter, _, opened) = receipt_for(ctx, 4).await?;
    let Body::Receipt(entries) = &opened.body else { return Ok(()) };
    let hash = signed_hash(&letter.signed.bytes());
    let id = letter.signed.message_id();
    let entry = entries.iter().find(|e| e.message_id == id && e.signed_hash == hash && e.kind == 1);
    check(entry.is_some(), || "the receipt names another hash or kind".to_owned())
}

async fn receipt_envelope(ctx: &mut Ctx) -> Judged {
    let (_, msg, opened) = receipt_for(ctx, 5).await?;
    check(opened.signed.chain_id == [0; 8] && opened.signed.counter == 0, || {
        "the receipt has a place in a chain".to_owned()
    })?;
    check(msg.ttl == 0 && msg.stamp.is_empty(), || {
        format!("ttl {} and a stamp of {} bytes to the recipient", msg.ttl, msg.stamp.len())
    })
}

async fn receipt_expiry(ctx: &mut Ctx) -> Judged {
    let now = ctx.now();
    let (_, msg, _) = receipt_for(ctx, 6).await?;
    let envelope = Envelope::read(&msg.envelope).expect("it was opened");
    let latest = (now + 14 * 24 * HOUR_MS).div_ceil(HOUR_MS) * HOUR_MS + HOUR_MS;
    check(envelope.expires_at <= latest, || {
        format!("expires_at {} is more than 14 days ahead", envelope.expires_at)
    })
}

async fn receipt_mailbox(ctx: &mut Ctx) -> Judged {
    let (_, msg, _) = receipt_for(ctx, 7).await?;
    let envelope = Envelope::read(&msg.envelope).expect("it was opened");
    let own = public(&Person::contact(7).contact_seed);
    check(envelope.mailbox == own && envelope.ext.is_empty(), || {
        "the receipt is for another mailbox, or has an ext".to_owned()
    })
}

async fn critical_unconfirmed(ctx: &mut Ctx) -> Judged {
    let mut session = Session::open(ctx, Person::contact(1)).await?;
    let mut letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    letter.signed.body_type = 0x8777;
    let unconfirmed = letter.signed.message_id();
    let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    session.hand_over(&bytes).await.map_err(came("no Ack"))?;
    // A text behind it, whose receipt shows that the time for one has come.
    let marker = session.letter(ctx.now(), &mut ctx.fresh)?;
    let bytes = marker.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    expect_result(&mut session, &bytes, AckResult::Stored).await?;
    let (key, me) = (session.person.sealing_key(), session.person.identity());
    let read = |frame: &Frame| {
        let Frame::Msg(msg) = frame else { return None };
        let opened = open(&Envelope::read(&msg.envelope).ok()?, &key, &me).ok()?;
        let Body::Receipt(entries) = opened.body else { return None };
        Some(entries)
    };
    let wanted = marker.signed.message_id();
    let entries = session
        .link
        .expect(|f| read(f).filter(|e| e.iter().any(|entry| entry.message_id == wanted)))
        .await
        .map_err(came("no receipt for the text behind it"))?;
    let before = session.link.passed_over.iter().filter_map(read).flatten();
    let wrong = before.chain(entries).any(|entry| entry.message_id == unconfirmed);
    check(!wrong, || "a critical body that nobody knows has a receipt".to_owned())
}

async fn before_pull(ctx: &mut Ctx) -> Judged {
    // What a contact is owed: the receipt of a text that was handed over without a Pull.
    let person = Person::contact(2);
    let session = Session::open(ctx, person.clone()).await?;
    let mut plan = ctx.plan(&person);
    plan.device_id[0] ^= 1;
    let Reached::Up(mut link) = ctx.dial(&plan).await? else {
        return Err(Verdict::Inconclusive("no second link".to_owned()));
    };
    let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    hand_over(&mut link, &bytes).await.map_err(came("no Ack"))?;
    link.ping().await.map_err(came("no pong"))?;
    let early = link.passed_over.iter().any(|frame| matches!(frame, Frame::Msg(_)));
    check(!early, || "a Msg came before our Pull".to_owned())
}

async fn reflection(ctx: &mut Ctx) -> Judged {
    // Our own Auth, sent back as if it were the responder's, is no Auth of an initiator:
    // the fault `link.auth-other-role`; here the whole first message comes back as message 2.
    let person = Person::stranger(&mut ctx.fresh);
    let link = ctx.link(&person).await?;
    let auth = link.auth.as_ref().expect("it is up");
    check(auth.identity != person.identity(), || "the target echoes our identity".to_owned())
}

async fn kill_after_stored(ctx: &mut Ctx) -> Judged {
    let Some(process) = ctx.process.clone() else {
        return Err(Verdict::NotTested("it needs --spawn".to_owned()));
    };
    for _ in 0..3 {
        let mut session = Session::open(ctx, Person::contact(1)).await?;
        good(ctx, &mut session, "a letter").await?;
        let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
        let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
        expect_result(&mut session, &bytes, AckResult::Stored).await?;
        session.link.note("SIGKILL, and start again");
        let started = process.lock().await.restart().await;
        started.map_err(|error| Verdict::Fail(format!("it does not start again: {error}")))?;
        let mut again = Session::open(ctx, Person::contact(1)).await?;
        expect_result(&mut again, &bytes, AckResult::Duplicate).await?;
    }
    Ok(())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("link.share-fresh", "LNK-05",
        "Two links. The target's two shares differ.", fresh_share),
    script!("link.auth-own", "LNK-02",
        "An honest link. The target's Auth verifies and names an identity of its own.", reflection),
    script!("gossip.proofs", "LNK-03",
        "A stranger's link. The mailbox proofs that the target sends verify.", hello_and_proofs),
    script!("gossip.stranger-card", "GSP-08",
        "A stranger who shows a contact card. The target shows its intro card and no other.",
        stranger_card),
    script!("gossip.stranger-proofs", "GSP-07",
        "A contact learns the contact mailbox. To a stranger the target does not prove it.",
        stranger_proofs),
    script!("gossip.stranger-text", "REQ-11",
        "A stranger's text for the intro mailbox. REFUSED(NOT_FOR_ME).", stranger_text),
    script!("gossip.stranger-contact-mailbox", "GSP-24",
        "A stranger's envelope for the contact mailbox. REFUSED(NOT_FOR_ME).",
        stranger_contact_mailbox),
    script!("gossip.duplicate", "GSP-25",
        "The same envelope twice. STORED, then DUPLICATE.", duplicate),
    script!("gossip.sealed-again", "GSP-27",
        "The same message in two envelopes. STORED, then DUPLICATE.", sealed_again),
    script!("gossip.before-pull", "GSP-12",
        "A text on a link without Pull. Its receipt does not come there.", before_pull),
    script!("delivery.receipt", "DLV-11",
        "A text. The target's receipt of kind 1 opens and names the message and its hash.",
        receipt),
    script!("delivery.receipt-chain", "SEA-14",
        "A text. The receipt has no place in a chain; it comes with ttl 0 and without a stamp.",
        receipt_envelope),
    script!("delivery.receipt-expiry", "ENV-11",
        "A text. The receipt's envelope expires within 14 days, at a whole hour.", receipt_expiry),
    script!("delivery.receipt-mailbox", "ENV-10",
        "A text. The receipt is for our contact mailbox, and its ext is empty.", receipt_mailbox),
    script!("delivery.critical-unconfirmed", "SEA-37",
        "A critical body that nobody knows, then a text. Only the text has a receipt.",
        critical_unconfirmed),
    script!("gossip.kill-after-stored", "GSP-28",
        "Three times: SIGKILL right after STORED. After the restart the envelope is a DUPLICATE.",
        kill_after_stored).managed(),
];
