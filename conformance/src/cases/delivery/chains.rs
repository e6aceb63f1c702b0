//! Chains: what is missing, and what is asked for again (`spec/delivery.md`, section 4;
//! SEA-52).

use serde_json::json;

use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::control::{Control, hex};
use crate::people::Person;
use crate::stack::body::{kind, resend_request};
use crate::stack::v1::AckResult;
use crate::stage::{Start, answer, confirmed, meet, settle, stored, text};
use crate::verdict::{Judged, check};
use crate::written::{came_so_far, comes, comes_to, confirm, numbered, send, taken};

const MINUTE_MS: u64 = 60 * 1000;

async fn is_missing(control: &mut Control, who: &Person, count: u64) -> Judged {
    let shown = control.missing(who).await?;
    check(shown == count, || format!("{count} are missing, {shown} are shown"))
}

async fn counted(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let chain: [u8; 8] = ctx.fresh.array();
    for counter in [1, 4] {
        numbered(ctx, &mut link, &ada, &card, (chain, counter)).await?;
    }
    is_missing(&mut user.control, &ada, 0).await?;
    user.control.advance(ctx, MINUTE_MS + 1000).await?;
    is_missing(&mut user.control, &ada, 2).await?;
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    numbered(ctx, &mut link, &ada, &card, (chain, 3)).await?;
    is_missing(&mut user.control, &ada, 1).await?;
    numbered(ctx, &mut link, &ada, &card, (chain, 2)).await?;
    is_missing(&mut user.control, &ada, 0).await
}

async fn ranges(ctx: &mut Ctx) -> Judged {
    const GAPS: u64 = 66;
    const KEPT: u64 = 64;
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let chain: [u8; 8] = ctx.fresh.array();
    for gap in 0..=GAPS {
        numbered(ctx, &mut link, &ada, &card, (chain, 1 + 2 * gap)).await?;
    }
    user.control.advance(ctx, MINUTE_MS + 1000).await?;
    is_missing(&mut user.control, &ada, KEPT).await
}

async fn replaced(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let (old, new): ([u8; 8], [u8; 8]) = (ctx.fresh.array(), ctx.fresh.array());
    for counter in [1, 3] {
        numbered(ctx, &mut link, &ada, &card, (old, counter)).await?;
    }
    numbered(ctx, &mut link, &ada, &card, (new, 1)).await?;
    numbered(ctx, &mut link, &ada, &card, (old, 9)).await?;
    numbered(ctx, &mut link, &ada, &card, (new, 3)).await?;
    user.control.advance(ctx, MINUTE_MS + 1000).await?;
    // Only the second of the new chain.
    is_missing(&mut user.control, &ada, 1).await
}

async fn sent_again(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let mut ids = Vec::new();
    let mut first = Vec::new();
    for text in ["one", "two", "three"] {
        let id = user.control.send(&ada, text).await?;
        let written = taken(&mut link, &ada, &id).await?;
        ids.push(id);
        first.push(written);
    }
    // One has a receipt, the third is given up.
    confirm(ctx, &mut link, &ada, &card, &[first[0].confirmation()]).await?;
    user.control.have("cancel", json!({"message_id": hex(&ids[2])})).await?;
    let chain = first[0].opened.signed.chain_id;
    let body = resend_request(chain, 1, 3);
    send(ctx, &mut link, &ada, &card, kind::RESEND_REQUEST, body).await?;
    for (id, before) in ids.iter().zip(&first).take(2) {
        let again = comes(&mut link, &ada, id).await?;
        answer(&mut link, &again.parcel(), AckResult::Stored).await;
        check(again.opened.signed_bytes == before.opened.signed_bytes, || {
            "a message comes again with other signed bytes".to_owned()
        })?;
    }
    settle(&mut link).await?;
    check(came_so_far(&link, &ada, &ids[2]) == 0, || {
        "what its user gave up is sent again".to_owned()
    })
}

async fn asked_too_often(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let id = user.control.send(&ada, "one").await?;
    let first = taken(&mut link, &ada, &id).await?;
    confirm(ctx, &mut link, &ada, &card, &[first.confirmation()]).await?;
    let body = resend_request(first.opened.signed.chain_id, 1, 1);
    send(ctx, &mut link, &ada, &card, kind::RESEND_REQUEST, body.clone()).await?;
    taken(&mut link, &ada, &id).await?;
    send(ctx, &mut link, &ada, &card, kind::RESEND_REQUEST, body.clone()).await?;
    // What is due to her meanwhile comes.
    let marker = text(ctx, &ada, &card)?;
    stored(&mut link, &marker.parcel, 0).await?;
    confirmed(&mut link, &ada, &marker).await?;
    check(came_so_far(&link, &ada, &id) == 0, || {
        "a second request within 10 min is answered".to_owned()
    })?;
    user.control.advance(ctx, 11 * MINUTE_MS).await?;
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    send(ctx, &mut link, &ada, &card, kind::RESEND_REQUEST, body).await?;
    taken(&mut link, &ada, &id).await.map(drop)
}

/// Ada has a message, and then a new store and another key: it comes again, to that.
async fn other_store(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let ada = Person::contact(0);
    let mut link = meet(ctx, &ada, &Start::default()).await?.0;
    let id = user.control.send(&ada, "before the loss").await?;
    let first = taken(&mut link, &ada, &id).await?;
    drop(link);
    let mut changed = ada.clone();
    changed.sealing_seed = ctx.fresh.array();
    let key = changed.sealing_key();
    let start = Start { store_id: Some(ctx.fresh.array()), ..Start::default() };
    let mut link = meet(ctx, &changed, &start).await?.0;
    let again = comes_to(&mut link, &changed, &key, &id).await?;
    check(again.opened.signed_bytes == first.opened.signed_bytes, || {
        "SEA-13: sealed again with other signed bytes".to_owned()
    })
}

async fn numbers(ctx: &mut Ctx) -> Judged {
    let mut user = ctx.own_user(&json!({})).await?;
    let (ada, ben) = (Person::contact(0), Person::contact(1));
    let mut link = meet(ctx, &ada, &Start::default()).await?.0;
    let mut to_ben = meet(ctx, &ben, &Start::default()).await?.0;
    let mut chain = None;
    for counter in 1..=3 {
        let id = user.control.send(&ada, "to Ada").await?;
        let signed = taken(&mut link, &ada, &id).await?.opened.signed;
        let first = *chain.get_or_insert(signed.chain_id);
        check(signed.chain_id == first && signed.chain_id != [0; 8], || {
            "two chains to one contact".to_owned()
        })?;
        check(signed.counter == counter, || {
            format!("the message {counter} has the number {}", signed.counter)
        })?;
    }
    let id = user.control.send(&ben, "to Ben").await?;
    let signed = taken(&mut to_ben, &ben, &id).await?.opened.signed;
    check(signed.counter == 1 && Some(signed.chain_id) != chain, || {
        "one chain to two contacts".to_owned()
    })
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("chain.missing", "DLV-21",
        "Numbers 1 and 4 of a chain. After a minute two are missing, then one, then none.",
        counted).shim(),
    script!("chain.65-ranges", "DLV-18",
        "66 gaps of one message each. 64 are missing.", ranges).shim(),
    script!("chain.replaced", "DLV-23",
        "A gap in a chain, then another chain with a gap. Only that one counts.",
        replaced).shim(),
    script!("chain.sent-again", "DLV-17",
        "Ada asks for three messages. Two come again, the one that was given up does not.",
        sent_again).shim(),
    script!("chain.asked-too-often", "DLV-19",
        "Two resend requests within 10 min, one later. The second is not answered.",
        asked_too_often).shim(),
    script!("chain.other-store", "DLV-20",
        "Ada shows another store_id and another key. What she had comes sealed to that.",
        other_store).shim(),
    script!("chain.numbers", "SEA-52",
        "Three messages to Ada, one to Ben. 1, 2, 3 in one chain, 1 in another.",
        numbers).shim(),
];
