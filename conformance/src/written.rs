//! What the target's user has written, as it comes to its recipient.

use crate::case::Ctx;
use crate::peer::Link;
use crate::people::Person;
use crate::session::Letter;
use crate::stack::body::{ReceiptEntry, kind, receipt};
use crate::stack::card::Card;
use crate::stack::envelope::Envelope;
use crate::stack::frame::Frame;
use crate::stack::seal::{self, Opened, SealingKey, signed_hash};
use crate::stack::v1::{self, AckResult, RefusalReason};
use crate::stage::{Parcel, Text, acknowledged, answer, came, settle, stored, text_changed};
use crate::verdict::{Judged, Verdict, check};

/// A message of the target's user, opened by whom it is for.
#[derive(Debug, Clone)]
pub struct Written {
    /// As it came.
    pub msg: v1::Msg,
    /// Its envelope.
    pub envelope: Envelope,
    /// What is in it.
    pub opened: Opened,
}

impl Written {
    /// Opens one.
    #[must_use]
    pub fn read(msg: &v1::Msg, key: &SealingKey, me: &[u8; 32]) -> Option<Self> {
        let envelope = Envelope::read(&msg.envelope).ok()?;
        let opened = seal::open(&envelope, key, me).ok()?;
        Some(Self { msg: msg.clone(), envelope, opened })
    }

    /// Its message id.
    #[must_use]
    pub fn id(&self) -> [u8; 32] {
        self.opened.signed.message_id()
    }

    /// As it was handed over.
    #[must_use]
    pub fn parcel(&self) -> Parcel {
        Parcel::of(self.msg.envelope.clone(), self.opened.purge_key)
    }

    /// The line of a receipt for it.
    #[must_use]
    pub fn confirmation(&self) -> ReceiptEntry {
        let signed_hash = signed_hash(&self.opened.signed_bytes);
        ReceiptEntry { message_id: self.id(), signed_hash, kind: 1 }
    }
}

/// Waits for a message with this id; it is not answered.
///
/// # Errors
/// A failure when it does not come, though what is sent later is answered.
pub async fn comes(
    link: &mut Link,
    person: &Person,
    message_id: &[u8; 32],
) -> Result<Written, Verdict> {
    comes_to(link, person, &person.sealing_key(), message_id).await
}

/// The same, sealed to `key`.
///
/// # Errors
/// As [`comes`].
pub async fn comes_to(
    link: &mut Link,
    person: &Person,
    key: &SealingKey,
    message_id: &[u8; 32],
) -> Result<Written, Verdict> {
    next(link, person, key, "the message does not come", |found| found.id() == *message_id).await
}

/// Waits for what `fits` of what the target's user, or the target, has written to somebody.
///
/// # Errors
/// A failure, in these words, when nothing does, though what is sent later is answered.
pub async fn next(
    link: &mut Link,
    person: &Person,
    key: &SealingKey,
    missing: &str,
    fits: impl Fn(&Written) -> bool,
) -> Result<Written, Verdict> {
    let me = person.identity();
    let found = link.expect(|frame| match frame {
        Frame::Msg(msg) => Written::read(msg, key, &me).filter(&fits),
        _ => None,
    });
    match found.await.map_err(came(missing)) {
        Err(Verdict::Inconclusive(text)) => {
            settle(link).await?;
            Err(Verdict::Fail(format!("{text}; what was sent later is answered")))
        }
        found => found,
    }
}

/// How often a message came so far without being waited for, sealed to `key`.
#[must_use]
pub fn came_so_far(link: &Link, person: &Person, message_id: &[u8; 32]) -> usize {
    let (me, key) = (person.identity(), person.sealing_key());
    let read = |frame: &&Frame| match frame {
        Frame::Msg(msg) => {
            Written::read(msg, &key, &me).is_some_and(|found| found.id() == *message_id)
        }
        _ => false,
    };
    link.passed_over.iter().filter(read).count()
}

/// Waits for a message, and says that it is stored; no receipt follows.
///
/// # Errors
/// As [`comes`].
pub async fn taken(
    link: &mut Link,
    person: &Person,
    message_id: &[u8; 32],
) -> Result<Written, Verdict> {
    let written = comes(link, person, message_id).await?;
    answer(link, &written.parcel(), AckResult::Stored).await;
    // The Ack has been judged when what comes behind it is answered.
    settle(link).await?;
    Ok(written)
}

/// Says that an envelope is refused.
pub async fn decline(link: &mut Link, written: &Written, reason: RefusalReason) {
    let ack = v1::Ack {
        id: written.parcel().id.to_vec(),
        result: AckResult::Refused as i32,
        reason: reason as i32,
        ..v1::Ack::default()
    };
    link.send(&Frame::Ack(ack)).await;
}

/// A receipt with these lines, which the target stores or knows.
///
/// # Errors
/// When it refuses it, or does not answer.
pub async fn confirm(
    ctx: &mut Ctx,
    link: &mut Link,
    from: &Person,
    card: &Card,
    entries: &[ReceiptEntry],
) -> Judged {
    send(ctx, link, from, card, kind::RECEIPT, receipt(entries)).await.map(drop)
}

/// A body that nobody sees, from somebody, which the target stores.
///
/// # Errors
/// As [`confirm`].
pub async fn send(
    ctx: &mut Ctx,
    link: &mut Link,
    from: &Person,
    card: &Card,
    body_type: u16,
    body: Vec<u8>,
) -> Result<Text, Verdict> {
    let text = text_changed(ctx, from, card, |letter| letter.invisible(body_type, body))?;
    stored(link, &text.parcel, 0).await?;
    Ok(text)
}

/// A text with a place in a chain, which the target stores.
///
/// # Errors
/// When it does not.
pub async fn numbered(
    ctx: &mut Ctx,
    link: &mut Link,
    from: &Person,
    card: &Card,
    (chain_id, counter): ([u8; 8], u64),
) -> Result<Text, Verdict> {
    let change = |letter: &mut Letter| {
        letter.signed.chain_id = chain_id;
        letter.signed.counter = counter;
        letter.signed.body = format!("number {counter}").into_bytes();
    };
    let text = text_changed(ctx, from, card, change)?;
    link.send(&text.parcel.frame(0)).await;
    let ack = acknowledged(link, &text.parcel).await?;
    check(ack.result == AckResult::Stored as i32, || {
        format!("number {counter} is not stored: {}", crate::cases::letters::words(&ack))
    })?;
    Ok(text)
}
