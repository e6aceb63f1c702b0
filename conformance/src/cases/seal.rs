//! What a target seals (`spec/seal.md` 1 to 4, `spec/envelope.md` 2), looked at in the receipts
//! that it sends; what it refuses to open stands in `letters.rs`.

use crate::case::Ctx;
use crate::cases::gossip::receipt_for;
use crate::cases::{Script, script};
use crate::people::Person;
use crate::session::Session;
use crate::stack::body::Body;
use crate::stack::card::WINDOW_MAX_MS;
use crate::stack::crypto::verify;
use crate::stack::envelope::{Envelope, key_id};
use crate::stack::seal::{Opened, plaintext, signed_hash};
use crate::verdict::{Judged, Verdict, check};

/// Bytes of a sealed part that are no plaintext: the encapsulation and the tag.
const SEALED_OVERHEAD: usize = 1120 + 16;

/// The next receipt, with its envelope.
async fn receipt(ctx: &mut Ctx, number: usize) -> Result<(Envelope, Opened), Verdict> {
    let (_, msg, opened) = receipt_for(ctx, number).await?;
    let envelope = Envelope::read(&msg.envelope).map_err(|r| Verdict::Fail(r.to_string()))?;
    Ok((envelope, opened))
}

async fn opens(ctx: &mut Ctx) -> Judged {
    let (envelope, _) = receipt(ctx, 0).await?;
    check(envelope.suite == 1, || format!("it opens, and its suite is {}", envelope.suite))
}

async fn bucket(ctx: &mut Ctx) -> Judged {
    let (envelope, opened) = receipt(ctx, 1).await?;
    let least = plaintext(&opened.purge_key, &opened.signed_bytes, &opened.signature).len();
    let has = envelope.sealed.len() - SEALED_OVERHEAD;
    check(has == least, || format!("a plaintext of {has} bytes where {least} hold it"))
}

async fn layout(ctx: &mut Ctx) -> Judged {
    let (_, opened) = receipt(ctx, 2).await?;
    check(opened.signed.bytes() == opened.signed_bytes, || {
        "the signed bytes are not those of the fields in their layout".to_owned()
    })
}

async fn audience(ctx: &mut Ctx) -> Judged {
    let (_, opened) = receipt(ctx, 3).await?;
    let me = Person::contact(3).identity();
    check(opened.signed.audience_kind == 0 && opened.signed.audience == me, || {
        "the audience is not the recipient's identity".to_owned()
    })
}

async fn signature(ctx: &mut Ctx) -> Judged {
    let target = Session::open(ctx, Person::contact(4)).await?.card.identity;
    let (_, opened) = receipt(ctx, 4).await?;
    check(opened.signed.sender == target, || "the sender is not the target".to_owned())?;
    let signed = verify(&target, "sign/message", &[&opened.signed_bytes], &opened.signature);
    check(signed.is_ok(), || "the target's identity did not sign the receipt".to_owned())
}

async fn fresh(ctx: &mut Ctx) -> Judged {
    let (first, one) = receipt(ctx, 5).await?;
    let (second, other) = receipt(ctx, 5).await?;
    check(one.signed_bytes != other.signed_bytes, || "one receipt came twice".to_owned())?;
    check(first.purge_hash != second.purge_hash, || "one purge key for two".to_owned())?;
    check(first.sealed[..1120] != second.sealed[..1120], || "one encapsulation for two".to_owned())
}

async fn nonces(ctx: &mut Ctx) -> Judged {
    let (_, one) = receipt(ctx, 6).await?;
    let (_, other) = receipt(ctx, 6).await?;
    check(one.signed.nonce != other.signed.nonce, || "one nonce for two messages".to_owned())
}

async fn key(ctx: &mut Ctx) -> Judged {
    let (envelope, _) = receipt(ctx, 7).await?;
    let ours = key_id(&Person::contact(7).sealing_key().public);
    check(envelope.key_id == ours, || "the key_id is not that of our key".to_owned())
}

/// What the target's receipt calls the text that it answers.
async fn names(ctx: &mut Ctx, number: usize, hash: bool) -> Judged {
    let (letter, _, opened) = receipt_for(ctx, number).await?;
    let id = letter.signed.message_id();
    let Body::Receipt(entries) = &opened.body else { return Ok(()) };
    let entry = entries.iter().find(|entry| entry.message_id == id);
    let entry = entry.ok_or_else(|| Verdict::Fail("the message_id is another".to_owned()))?;
    check(!hash || entry.signed_hash == signed_hash(&letter.signed.bytes()), || {
        "the signed_hash is another".to_owned()
    })
}

async fn window(ctx: &mut Ctx) -> Judged {
    let card = Session::open(ctx, Person::contact(8)).await?.card;
    let longest = card.sealing.iter().map(|key| key.not_after - key.not_before).max();
    check(longest.is_some_and(|longest| longest <= WINDOW_MAX_MS), || {
        format!("a sealing key for {longest:?} ms")
    })
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("seal.sent-opens", "SEA-01", "A receipt of the target opens by suite 1.", opens),
    script!("seal.sent-bucket", "SEA-06",
        "A receipt's plaintext has the smallest bucket that holds it.", bucket),
    script!("seal.sent-layout", "SEA-07",
        "The signed bytes of a receipt are its fields as they are drawn.", layout),
    script!("seal.sent-audience", "SEA-08", "A receipt is for the identity it goes to.", audience),
    script!("seal.sent-signature", "SEA-10", "The target's identity signed a receipt.", signature),
    script!("seal.sent-fresh", "SEA-03",
        "Two receipts have two purge keys and two encapsulations.", fresh),
    script!("seal.sent-nonce", "SEA-09", "Two receipts have two nonces.", nonces),
    script!("seal.sent-key", "ENV-05", "A receipt names the key that it is sealed to.", key),
    script!("seal.message-id", "SEA-11",
        "A receipt names the text by the id that follows from its signed bytes.", names, 9, false),
    script!("seal.signed-hash", "SEA-12",
        "A receipt has the hash of all signed bytes of the text.", names, 10, true),
    script!("seal.own-window", "SEA-39",
        "The target's sealing keys are good for 28 days at most.", window),
];
