//! What strangers may use up once they are authenticated (`spec/limits.md`, section 2).

use std::time::Duration;

use super::letters::words;
use super::{Script, script};
use crate::case::Ctx;
use crate::peer::{Ended, Link};
use crate::people::Person;
use crate::session::expect_card;
use crate::stack::card::Card;
use crate::stack::crypto::public;
use crate::stack::envelope::{Envelope, HOUR_MS, key_id};
use crate::stack::frame::Frame;
use crate::stack::proofs::sign_mailbox;
use crate::stack::v1::{self, AckResult, ByeReason, RefusalReason};
use crate::stage::{
    Parcel, Start, acknowledged, arrive, begin, came, give, meet, refused, settle, text,
};
use crate::verdict::{Judged, Verdict, check};

/// A stranger on a link, and the target's intro card.
async fn stranger(ctx: &mut Ctx) -> Result<(Person, Box<Link>, Card), Verdict> {
    let eve = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&eve).await?;
    begin(ctx, &mut link, &eve, &Start::default()).await;
    let card = expect_card(&mut link, 0).await.map_err(came("no intro card"))?;
    Ok((eve, link, card))
}

/// The link ends with this.
async fn says_bye(link: &mut Link, what: &str) -> Judged {
    let ended = link.to_end().await;
    let protocol = ByeReason::Protocol as i32;
    let bye = |frame: &Frame| matches!(frame, Frame::Bye(bye) if bye.reason == protocol);
    let said = link.passed_over.iter().any(bye);
    check(said, || format!("{what}: expected Bye{{PROTOCOL}}, got none, and {ended}"))?;
    check(ended == Ended::Closed, || format!("{what}: after the Bye: {ended}"))
}

async fn mailboxes(ctx: &mut Ctx) -> Judged {
    let eve = Person::stranger(&mut ctx.fresh);
    let mut link = ctx.link(&eve).await?;
    let (hash, role) = (link.handshake_hash(), link.role);
    let seeds: Vec<[u8; 32]> = (0..17).map(|_| ctx.fresh.array()).collect();
    let proof = |seed: &[u8; 32]| v1::MailboxProof {
        mailbox: public(seed).to_vec(),
        signature: sign_mailbox(seed, role, &hash).to_vec(),
    };
    let proofs: Vec<_> = seeds.iter().map(proof).collect();
    // Sixteen, and the same sixteen again.
    for _ in 0..2 {
        link.send(&Frame::Mailboxes(v1::Mailboxes { proofs: proofs[..16].to_vec() })).await;
    }
    settle(&mut link).await?;
    link.note("the 17th");
    link.send(&Frame::Mailboxes(v1::Mailboxes { proofs: proofs[16..].to_vec() })).await;
    says_bye(&mut link, "17 mailboxes").await?;
    ctx.still_serves().await
}

/// Which of these cards the target took shows in its next `Hello`.
async fn cards(ctx: &mut Ctx) -> Judged {
    const CARDS: u64 = 12;
    let ada = Person::contact(0);
    let first = ctx.now();
    // Signed before, so that all of them come at once.
    let mut stream = Vec::new();
    for at in 1..=CARDS {
        stream.extend(Frame::Card(v1::Card { card: ada.card_bytes(1, first + at) }).bytes());
    }
    let start = Start { card: Some(ada.card_bytes(1, first)), ..Start::default() };
    let mut link = arrive(ctx, &ada, &start).await?;
    for chunk in stream.chunks(16_384) {
        link.send_plain(chunk, "cards").await;
    }
    settle(&mut link).await?;
    drop(link);
    let mut link = ctx.link(&ada).await?;
    let hello = link
        .expect(|frame| match frame {
            Frame::Hello(hello) => Some(hello.clone()),
            _ => None,
        })
        .await
        .map_err(came("no Hello"))?;
    // Two, and two more if a second has begun meanwhile; the first of them on the link before.
    let taken = hello.your_card_seq.checked_sub(first);
    check(taken.is_some_and(|taken| taken < 5), || {
        format!("of {CARDS} cards at once it took the last or a late one: {taken:?}")
    })?;
    // What comes later is made later.
    while ctx.now() <= first + CARDS {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

async fn junk_of_stranger(ctx: &mut Ctx) -> Judged {
    let (_, mut link, _) = stranger(ctx).await?;
    nine(&mut link, |at| Parcel::of(vec![9, at], [0; 32])).await?;
    ctx.still_serves().await
}

async fn junk_of_contact(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    nine(&mut link, |at| Parcel::of(vec![9, at], [0; 32])).await?;
    arrive(ctx, &ada, &Start::default()).await.map(drop)
}

/// Eight are answered as malformed, the ninth by the end of the link.
async fn nine(link: &mut Link, mut make: impl FnMut(u8) -> Parcel) -> Judged {
    for at in 0..8 {
        let parcel = make(at);
        refused(link, &parcel, RefusalReason::Malformed).await?;
    }
    let parcel = make(8);
    link.note("the ninth");
    link.send(&parcel.frame(0)).await;
    says_bye(link, "the ninth malformed envelope").await?;
    let id = parcel.id;
    let acked = link.passed_over.iter().any(|f| matches!(f, Frame::Ack(ack) if ack.id == id));
    check(!acked, || "the ninth has an Ack".to_owned())
}

/// Well-formed, with the right mailbox and key_id, and nobody can open it.
fn unopenable(ctx: &mut Ctx, card: &Card) -> Parcel {
    let now = ctx.now();
    let key = card.sealing_at(now).map(|key| key_id(&key.public)).unwrap_or_default();
    let mailbox = card.mailbox(0).unwrap_or_default();
    Parcel::changed(mailbox, now, &mut ctx.fresh, |e: &mut Envelope| {
        e.key_id = key;
        e.expires_at = (now / HOUR_MS + 48) * HOUR_MS;
    })
}

async fn unopened_of_stranger(ctx: &mut Ctx) -> Judged {
    let (_, mut link, card) = stranger(ctx).await?;
    let parcels: Vec<Parcel> = (0..9).map(|_| unopenable(ctx, &card)).collect();
    // Eight openings a second are within LIM-09, the ninth has to wait for its own.
    for parcel in &parcels[..8] {
        refused(&mut link, parcel, RefusalReason::Malformed).await?;
    }
    let begun = std::time::Instant::now();
    loop {
        link.send(&parcels[8].frame(0)).await;
        match acknowledged(&mut link, &parcels[8]).await {
            Ok(ack)
                if ack.reason == RefusalReason::Busy as i32 && begun.elapsed().as_secs() < 4 =>
            {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Ok(ack) => return Err(Verdict::Fail(format!("the ninth: {}", words(&ack)))),
            Err(_) => break,
        }
    }
    says_bye(&mut link, "the ninth that does not open").await?;
    ctx.still_serves().await
}

async fn unopened_of_contact(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    for _ in 0..20 {
        let parcel = unopenable(ctx, &card);
        refused(&mut link, &parcel, RefusalReason::Malformed).await?;
    }
    let good = text(ctx, &ada, &card)?;
    crate::stage::stored(&mut link, &good.parcel, 0).await
}

/// So many texts of a stranger, each of which costs an opening, in one go.
fn texts(ctx: &mut Ctx, eve: &Person, card: &Card, count: usize) -> Result<Vec<Parcel>, Verdict> {
    (0..count).map(|_| text(ctx, eve, card).map(|text| text.parcel)).collect()
}

/// How many of these were opened: those are NOT_FOR_ME, the others BUSY.
async fn opened(link: &mut Link, parcels: &[Parcel]) -> Result<usize, Verdict> {
    let mut count = 0;
    for parcel in parcels {
        let ack = acknowledged(link, parcel).await?;
        if ack.reason == RefusalReason::NotForMe as i32 {
            count += 1;
        } else {
            let busy =
                ack.result == AckResult::Refused as i32 && ack.reason == RefusalReason::Busy as i32;
            check(busy, || format!("expected NOT_FOR_ME or BUSY, got {}", words(&ack)))?;
        }
    }
    Ok(count)
}

async fn openings_of_one(ctx: &mut Ctx) -> Judged {
    let (eve, mut link, card) = stranger(ctx).await?;
    let parcels = texts(ctx, &eve, &card, 40)?;
    let begun = std::time::Instant::now();
    for parcel in &parcels {
        link.send(&parcel.frame(0)).await;
    }
    let count = opened(&mut link, &parcels).await?;
    let most = 8 * (2 + begun.elapsed().as_secs() as usize);
    check((1..=most).contains(&count), || format!("{count} of 40 were opened at once"))?;
    // One that was told to come again is opened then.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let ack = give(&mut link, &parcels[39], 0).await?;
    check(ack.reason == RefusalReason::NotForMe as i32, || {
        format!("a second later: {}", words(&ack))
    })
}

async fn openings_of_all(ctx: &mut Ctx) -> Judged {
    const STRANGERS: usize = 24;
    let mut all = Vec::new();
    for _ in 0..STRANGERS {
        let (eve, link, card) = stranger(ctx).await?;
        let parcels = texts(ctx, &eve, &card, 8)?;
        all.push((link, parcels));
    }
    let begun = std::time::Instant::now();
    for (link, parcels) in &mut all {
        for parcel in parcels.iter() {
            link.send(&parcel.frame(0)).await;
        }
    }
    let mut count = 0;
    for (link, parcels) in &mut all {
        count += opened(link, parcels).await?;
    }
    let took = begun.elapsed();
    let most = 64 * (2 + took.as_secs() as usize);
    if most >= 8 * STRANGERS {
        return Err(Verdict::Inconclusive(format!("the answers took {took:?}")));
    }
    check((1..=most).contains(&count), || {
        format!("{count} of {} were opened within {took:?}", 8 * STRANGERS)
    })?;
    // A contact's is opened all the same.
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let good = text(ctx, &ada, &card)?;
    crate::stage::stored(&mut link, &good.parcel, 0).await
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("limits.mailboxes-17", "LIM-06",
        "A stranger proves 16 mailboxes, twice, and then a 17th. Bye{PROTOCOL}.", mailboxes),
    script!("limits.cards", "LIM-07",
        "Ada shows twelve cards at once. The last ones are not taken.", cards),
    script!("limits.malformed", "LIM-08",
        "A stranger's ninth envelope that is none. Bye{PROTOCOL}, and no Ack.", junk_of_stranger),
    script!("limits.malformed-contact", "LIM-08",
        "A contact's ninth envelope that is none. Bye{PROTOCOL}, and no Ack.", junk_of_contact),
    script!("limits.unopened", "LIM-08",
        "A stranger's ninth envelope that does not open. Bye{PROTOCOL}.", unopened_of_stranger),
    script!("limits.unopened-contact", "LIM-08",
        "Twenty envelopes of a contact that do not open. A text behind them is stored.",
        unopened_of_contact),
    script!("limits.openings", "LIM-09",
        "40 texts of one stranger at once. Two seconds' worth are opened; the others are BUSY.",
        openings_of_one),
    script!("limits.openings-all", "LIM-09",
        "24 strangers with 8 texts each. Not all of them are opened at once.", openings_of_all),
];
