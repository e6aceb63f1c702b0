//! Receipts that the target makes, and those that it must not (`spec/delivery.md`, section 2).

pub mod chains;
pub mod shown;

use super::{Script, script};
use crate::case::Ctx;
use crate::people::Person;
use crate::session::{Letter, expect_card};
use crate::stack::body::{ReceiptEntry, kind, receipt};
use crate::stack::frame::Frame;
use crate::stack::seal::SealingKey;
use crate::stack::v1::{self, AckResult, RefusalReason};
use crate::stage::{
    Start, Text, answer, arrive, begin, came, confirmed, gives, meet, receipt_with, receipts,
    refused, settle, stored, text, text_changed,
};
use crate::verdict::{Judged, Verdict, check};

/// A letter that is stored and has no receipt, while a text behind it has one.
async fn unconfirmed(ctx: &mut Ctx, change: impl FnOnce(&mut Letter)) -> Judged {
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let quiet = text_changed(ctx, &ada, &card, change)?;
    stored(&mut link, &quiet.parcel, 0).await?;
    let marker = text(ctx, &ada, &card)?;
    stored(&mut link, &marker.parcel, 0).await?;
    let last = confirmed(&mut link, &ada, &marker).await?;
    let before = receipts(&link, &ada, &ada.sealing_key());
    let wrong = before.iter().chain([&last]).any(|receipt| receipt.names(&quiet.message_id));
    check(!wrong, || "it has a receipt".to_owned())
}

async fn of_a_receipt(ctx: &mut Ctx) -> Judged {
    let entry =
        ReceiptEntry { message_id: ctx.fresh.array(), signed_hash: ctx.fresh.array(), kind: 1 };
    unconfirmed(ctx, |letter| letter.invisible(kind::RECEIPT, receipt(&[entry]))).await
}

async fn of_a_stranger(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let (mut link, ours) = meet(ctx, &ada, &Start::default()).await?;
    let eve = Person::stranger(&mut ctx.fresh);
    let mut to_eve = ctx.link(&eve).await?;
    begin(ctx, &mut to_eve, &eve, &Start::default()).await;
    let card = expect_card(&mut to_eve, 0).await.map_err(came("no intro card"))?;
    let text_of_eve = text(ctx, &eve, &card)?;
    refused(&mut to_eve, &text_of_eve.parcel, RefusalReason::NotForMe).await?;
    // Ada brings another one of hers.
    let other = text(ctx, &eve, &ours)?;
    refused(&mut link, &other.parcel, RefusalReason::NotForMe).await?;
    // What is due to Ada shows that the time for it has come, twice.
    for _ in 0..2 {
        let marker = text(ctx, &ada, &ours)?;
        stored(&mut link, &marker.parcel, 0).await?;
        confirmed(&mut link, &ada, &marker).await?;
    }
    settle(&mut to_eve).await?;
    let given = |frame: &Frame| matches!(frame, Frame::Msg(_) | Frame::Have(_));
    check(!to_eve.passed_over.iter().any(given), || {
        "something is handed to a stranger whose texts were refused".to_owned()
    })
}

async fn again_at_once(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let first = text(ctx, &ada, &card)?;
    stored(&mut link, &first.parcel, 0).await?;
    confirmed(&mut link, &ada, &first).await?;
    gives(&mut link, &first.parcel, 0, AckResult::Duplicate).await?;
    let marker = text(ctx, &ada, &card)?;
    stored(&mut link, &marker.parcel, 0).await?;
    let last = confirmed(&mut link, &ada, &marker).await?;
    let before = receipts(&link, &ada, &ada.sealing_key());
    let again = before.iter().chain([&last]).any(|receipt| receipt.names(&first.message_id));
    check(!again, || "a duplicate has another receipt within 10 min".to_owned())
}

async fn read_receipts(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let mut seen = Vec::new();
    for _ in 0..3 {
        let text = text(ctx, &ada, &card)?;
        stored(&mut link, &text.parcel, 0).await?;
        seen.extend(confirmed(&mut link, &ada, &text).await?.entries);
    }
    settle(&mut link).await?;
    seen.extend(receipts(&link, &ada, &ada.sealing_key()).into_iter().flat_map(|r| r.entries));
    check(seen.iter().all(|entry| entry.kind == 1), || {
        "a receipt of kind 2 comes, and nobody has switched those on".to_owned()
    })
}

/// Ada has lost the key that her receipt is sealed to, and shows another one.
async fn sealed_once(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let first = text(ctx, &ada, &card)?;
    stored(&mut link, &first.parcel, 0).await?;
    let lost = receipt_with(&mut link, &ada, &ada.sealing_key(), &first.message_id).await?;
    let lost = lost.parcel().id;
    let ack = v1::Ack {
        id: lost.to_vec(),
        result: AckResult::Refused as i32,
        reason: RefusalReason::UnknownKey as i32,
        ..v1::Ack::default()
    };
    link.send(&Frame::Ack(ack)).await;
    settle(&mut link).await?;
    drop(link);
    let mut changed = ada.clone();
    changed.sealing_seed = ctx.fresh.array();
    let key = changed.sealing_key();
    let start = Start { store_id: Some(ctx.fresh.array()), ..Start::default() };
    let judged = with_other_key(ctx, &changed, &start, (&first, lost), &key).await;
    // Her usual key again, for whatever comes later.
    arrive(ctx, &ada, &Start::default()).await?;
    judged
}

async fn with_other_key(
    ctx: &mut Ctx,
    ada: &Person,
    start: &Start,
    (first, lost): (&Text, [u8; 32]),
    key: &SealingKey,
) -> Judged {
    let (mut link, card) = meet(ctx, ada, start).await?;
    let marker = text(ctx, ada, &card)?;
    stored(&mut link, &marker.parcel, 0).await?;
    let last = receipt_with(&mut link, ada, key, &marker.message_id).await?;
    answer(&mut link, &last.parcel(), AckResult::Stored).await;
    settle(&mut link).await?;
    let mut all = receipts(&link, ada, key);
    // To her usual key it may have been sealed again before she showed the other.
    let usual = Person::contact(0);
    all.extend(receipts(&link, &usual, &usual.sealing_key()));
    let again = all
        .iter()
        .chain([&last])
        .any(|receipt| receipt.names(&first.message_id) && receipt.parcel().id != lost);
    check(!again, || "a receipt is sealed again".to_owned())
}

/// Three times: SIGKILL as soon as the receipt is here.
async fn kill_after_receipt(ctx: &mut Ctx) -> Judged {
    let Some(process) = ctx.process.clone() else {
        return Err(Verdict::NotTested("it needs --spawn".to_owned()));
    };
    let ada = Person::contact(0);
    for _ in 0..3 {
        let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
        let text = text(ctx, &ada, &card)?;
        // The Ack is not waited for: a receipt may come before it.
        link.send(&text.parcel.frame(0)).await;
        receipt_with(&mut link, &ada, &ada.sealing_key(), &text.message_id).await?;
        link.note("SIGKILL, and start again");
        let started = process.lock().await.restart().await;
        started.map_err(|error| Verdict::Fail(format!("it does not start again: {error}")))?;
        let mut link = arrive(ctx, &ada, &Start::default()).await?;
        gives(&mut link, &text.parcel, 0, AckResult::Duplicate).await?;
    }
    Ok(())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("delivery.of-a-receipt", "DLV-08",
        "A receipt, then a text. Only the text has a receipt.", of_a_receipt),
    script!("delivery.of-a-stranger", "DLV-07",
        "A stranger's texts, from herself and by Ada. NOT_FOR_ME, and she is handed nothing.",
        of_a_stranger),
    script!("delivery.again-at-once", "DLV-09",
        "A text twice. Its receipt comes once, the next text's comes.", again_at_once),
    script!("delivery.kind-2", "DLV-10",
        "Three texts, while read receipts are off. No receipt of kind 2 comes.", read_receipts),
    script!("delivery.sealed-once", "DLV-14",
        "Ada refuses a receipt for its key and shows another key. It does not come again.",
        sealed_once),
    script!("delivery.kill-after-receipt", "DLV-12",
        "Three times: SIGKILL when the receipt is here. After the restart the text is a DUPLICATE.",
        kill_after_receipt).managed(),
];
