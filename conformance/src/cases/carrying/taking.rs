//! The taker's side: what the target wants, takes in, keeps and forgets.

use std::collections::BTreeSet;

use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::people::Person;
use crate::stack::crypto::public;
use crate::stack::envelope::HOUR_MS;
use crate::stack::frame::Frame;
use crate::stack::v1::{self, AckResult, RefusalReason};
use crate::stage::{
    Parcel, Start, answer, arrive, begin, came, cleared, contacts, fetch, for_nobody, gives,
    handed, offer, offered, offers_of, parcel_for, purge, refused, settle, stored, want, wanted,
    was_handed, was_wanted,
};
use crate::verdict::{Judged, Verdict, check};

async fn from_stranger(ctx: &mut Ctx) -> Judged {
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let eve = Person::stranger(&mut ctx.fresh);
    let mut to_eve = ctx.link(&eve).await?;
    begin(ctx, &mut to_eve, &eve, &Start::default()).await;
    let parcel = for_nobody(ctx);
    refused(&mut to_eve, &parcel, RefusalReason::NotForMe).await?;
    stored(&mut ada, &parcel, 2).await?;
    cleared(&mut ada, &[&parcel]).await
}

async fn raised(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), (_, mut cyr)] = contacts(ctx).await?;
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    stored(&mut ada, &parcel, 0).await?;
    gives(&mut ben, &parcel, 2, AckResult::Duplicate).await?;
    // What may go round from now on is offered, so this has to be, too.
    stored(&mut ada, &marker, 2).await?;
    offered(&mut cyr, &marker).await?;
    settle(&mut cyr).await?;
    check(offers_of(&cyr, &parcel) > 0, || "ttl 0 was not raised to 2".to_owned())?;
    let msg = fetch(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    check(msg.ttl == 1, || format!("raised to 2, it goes on with ttl {}", msg.ttl))?;
    cleared(&mut ada, &[&parcel, &marker]).await
}

async fn clamped(ctx: &mut Ctx, again: bool) -> Judged {
    let [(_, mut ada), (_, mut ben), (_, mut cyr)] = contacts(ctx).await?;
    let parcel = for_nobody(ctx);
    stored(&mut ada, &parcel, if again { 0 } else { 200 }).await?;
    if again {
        gives(&mut ben, &parcel, 200, AckResult::Duplicate).await?;
    }
    let msg = fetch(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    check(msg.ttl == 5, || format!("ttl 200 goes on with ttl {}", msg.ttl))?;
    cleared(&mut ada, &[&parcel]).await
}

/// An envelope that expires in so many hours, or did.
fn expiring(ctx: &mut Ctx, hours: i64) -> Parcel {
    let mailbox = public(&ctx.fresh.array());
    let now = ctx.now();
    let hour = (now / HOUR_MS).saturating_add_signed(hours);
    Parcel::changed(mailbox, now, &mut ctx.fresh, |e| e.expires_at = hour * HOUR_MS)
}

async fn expiry(ctx: &mut Ctx, good: i64, bad: i64) -> Judged {
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let (twin, parcel) = (expiring(ctx, good), expiring(ctx, bad));
    stored(&mut ada, &twin, 0).await?;
    refused(&mut ada, &parcel, RefusalReason::Expired).await?;
    cleared(&mut ada, &[&twin]).await
}

async fn quota(ctx: &mut Ctx, size: usize, most: usize) -> Judged {
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let mut cyr = arrive(ctx, &Person::contact(2), &Start::default()).await?;
    let mut held = Vec::new();
    let mut full = None;
    for _ in 0..=most {
        let mailbox = public(&ctx.fresh.array());
        let now = ctx.now();
        let parcel = Parcel::changed(mailbox, now, &mut ctx.fresh, |e| {
            e.sealed.resize(size, 7);
        });
        let ack = crate::stage::give(&mut ada, &parcel, 0).await?;
        if ack.result != AckResult::Stored as i32 {
            full = Some((ack, parcel));
            break;
        }
        held.push(parcel);
    }
    let Some((ack, parcel)) = full else {
        return Err(Verdict::Fail(format!("{} envelopes of one giver are stored", most + 1)));
    };
    check(ack.reason == RefusalReason::Quota as i32, || {
        format!("refused with {} instead of QUOTA", crate::cases::letters::words(&ack))
    })?;
    check(held.len() > most / 2, || format!("no more than {} are stored", held.len()))?;
    // The quota is the giver's: somebody else's is stored, and nothing made room for it.
    stored(&mut cyr, &parcel, 0).await?;
    gives(&mut ada, &held[0], 0, AckResult::Duplicate).await?;
    let all: Vec<&Parcel> = held.iter().chain([&parcel]).collect();
    cleared(&mut ada, &all).await
}

async fn wants_new(ctx: &mut Ctx) -> Judged {
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let (held, fresh) = (for_nobody(ctx), for_nobody(ctx));
    stored(&mut ada, &held, 0).await?;
    offer(&mut ada, &[&held]).await;
    offer(&mut ada, &[&fresh]).await;
    wanted(&mut ada, &fresh).await?;
    check(!was_wanted(&ada, &held), || "it wants what it holds".to_owned())?;
    stored(&mut ada, &fresh, 0).await?;
    cleared(&mut ada, &[&held, &fresh]).await
}

async fn wants_once(ctx: &mut Ctx) -> Judged {
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let mut cyr = arrive(ctx, &Person::contact(2), &Start::default()).await?;
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    offer(&mut ada, &[&parcel]).await;
    wanted(&mut ada, &parcel).await?;
    offer(&mut cyr, &[&parcel]).await;
    offer(&mut cyr, &[&marker]).await;
    wanted(&mut cyr, &marker).await?;
    check(!was_wanted(&cyr, &parcel), || "it wants one envelope on two links".to_owned())?;
    // The link on which it was wanted ends: another one has it.
    drop(ada);
    wanted(&mut cyr, &parcel).await?;
    stored(&mut cyr, &parcel, 0).await?;
    stored(&mut cyr, &marker, 0).await?;
    cleared(&mut cyr, &[&parcel, &marker]).await
}

async fn wants_of_stranger(ctx: &mut Ctx) -> Judged {
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let eve = Person::stranger(&mut ctx.fresh);
    let mut to_eve = ctx.link(&eve).await?;
    begin(ctx, &mut to_eve, &eve, &Start::default()).await;
    let parcel = for_nobody(ctx);
    offer(&mut to_eve, &[&parcel]).await;
    settle(&mut to_eve).await?;
    offer(&mut ada, &[&parcel]).await;
    wanted(&mut ada, &parcel).await?;
    settle(&mut to_eve).await?;
    check(!was_wanted(&to_eve, &parcel), || "it wants an envelope of a stranger".to_owned())?;
    stored(&mut ada, &parcel, 0).await?;
    cleared(&mut ada, &[&parcel]).await
}

/// Two for Ben; `keys` are shown by somebody in between, and what comes to Ben is told.
async fn purged(ctx: &mut Ctx, right: bool, contact: bool) -> Result<bool, Verdict> {
    let ben = Person::contact(1);
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let (parcel, marker) = (parcel_for(ctx, &ben), parcel_for(ctx, &ben));
    stored(&mut ada, &parcel, 0).await?;
    stored(&mut ada, &marker, 0).await?;
    let mut shown = parcel.clone();
    if !right {
        shown.purge_key[31] ^= 1;
    }
    if contact {
        let mut cyr = arrive(ctx, &Person::contact(2), &Start::default()).await?;
        purge(&mut cyr, &[&shown]).await;
        settle(&mut cyr).await?;
    } else {
        let eve = Person::stranger(&mut ctx.fresh);
        let mut to_eve = ctx.link(&eve).await?;
        begin(ctx, &mut to_eve, &eve, &Start::default()).await;
        purge(&mut to_eve, &[&shown]).await;
        settle(&mut to_eve).await?;
    }
    let mut link = arrive(ctx, &ben, &Start::default()).await?;
    handed(&mut link, &marker).await?;
    let held = gives(&mut ada, &parcel, 0, AckResult::Duplicate).await;
    settle(&mut link).await?;
    let came = was_handed(&link, &parcel);
    cleared(&mut ada, &[&parcel, &marker]).await?;
    held.map(|()| came)
}

async fn purge_right(ctx: &mut Ctx) -> Judged {
    let came = purged(ctx, true, true).await?;
    check(!came, || "it was handed over after its purge key was shown".to_owned())
}

async fn purge_wrong(ctx: &mut Ctx) -> Judged {
    let came = purged(ctx, false, true).await?;
    check(came, || "it was forgotten on a key that is not its own".to_owned())
}

async fn purge_by_stranger(ctx: &mut Ctx) -> Judged {
    let came = purged(ctx, true, false).await?;
    check(came, || "it was forgotten on a stranger's key".to_owned())
}

async fn proof_first(ctx: &mut Ctx) -> Judged {
    let ben = Person::contact(1);
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let parcel = parcel_for(ctx, &ben);
    stored(&mut ada, &parcel, 0).await?;
    let mut link = arrive(ctx, &ben, &Start::unproved()).await?;
    settle(&mut link).await?;
    check(!was_handed(&link, &parcel) && offers_of(&link, &parcel) == 0, || {
        "it was handed to somebody who has not proved the mailbox".to_owned()
    })?;
    // An acknowledgement of what was not handed over here means nothing (GSP-15).
    answer(&mut link, &parcel, AckResult::Stored).await;
    settle(&mut link).await?;
    crate::stage::prove(&mut link, &ben).await;
    handed(&mut link, &parcel).await?;
    answer(&mut link, &parcel, AckResult::Stored).await;
    cleared(&mut ada, &[&parcel]).await
}

async fn store_id(ctx: &mut Ctx, other: bool) -> Judged {
    let ben = Person::contact(1);
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let (parcel, marker) = (parcel_for(ctx, &ben), parcel_for(ctx, &ben));
    stored(&mut ada, &parcel, 0).await?;
    let mut link = arrive(ctx, &ben, &Start::default()).await?;
    handed(&mut link, &parcel).await?;
    answer(&mut link, &parcel, AckResult::Stored).await;
    settle(&mut link).await?;
    stored(&mut ada, &marker, 0).await?;
    handed(&mut link, &marker).await?;
    // Not answered: while the link lives the marker is on its way there.
    drop(link);
    let start = Start { store_id: other.then(|| ctx.fresh.array()), ..Start::default() };
    let mut link = arrive(ctx, &ben, &start).await?;
    if other {
        handed(&mut link, &parcel).await?;
    } else {
        handed(&mut link, &marker).await?;
        settle(&mut link).await?;
        check(!was_handed(&link, &parcel), || "what is stored is handed over again".to_owned())?;
    }
    cleared(&mut ada, &[&parcel, &marker]).await
}

async fn window(ctx: &mut Ctx) -> Judged {
    let ben = Person::contact(1);
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let parcels: Vec<Parcel> = (0..4).map(|_| parcel_for(ctx, &ben)).collect();
    for parcel in &parcels {
        stored(&mut ada, parcel, 0).await?;
    }
    let start = Start { unacked_max: 1, ..Start::default() };
    let mut link = arrive(ctx, &ben, &start).await?;
    let any = |frame: &Frame| match frame {
        Frame::Msg(msg) => Some(Parcel::of(msg.envelope.clone(), [0; 32])),
        _ => None,
    };
    let mut open: BTreeSet<[u8; 32]> = parcels.iter().map(|parcel| parcel.id).collect();
    let mut judged = 0;
    while !open.is_empty() {
        // Among them may be what earlier cases were still owed.
        let next = link.expect(any).await.map_err(came("the next envelope"))?;
        // At most eight are answered as junk on one link, so not each is judged so.
        if judged < 4 {
            judged += 1;
            settle(&mut link).await?;
        }
        let more = link.passed_over.iter().filter_map(any).count();
        check(more == 0, || "more than one is unacknowledged".to_owned())?;
        open.remove(&next.id);
        answer(&mut link, &next, AckResult::Stored).await;
    }
    let all: Vec<&Parcel> = parcels.iter().collect();
    cleared(&mut ada, &all).await
}

async fn kill_carried(ctx: &mut Ctx) -> Judged {
    let Some(process) = ctx.process.clone() else {
        return Err(Verdict::NotTested("it needs --spawn".to_owned()));
    };
    let ben = Person::contact(1);
    for _ in 0..3 {
        let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
        let parcel = parcel_for(ctx, &ben);
        stored(&mut ada, &parcel, 2).await?;
        ada.note("SIGKILL, and start again");
        let started = process.lock().await.restart().await;
        started.map_err(|error| Verdict::Fail(format!("it does not start again: {error}")))?;
        let mut link = arrive(ctx, &ben, &Start::default()).await?;
        handed(&mut link, &parcel).await?;
        answer(&mut link, &parcel, AckResult::Stored).await;
        cleared(&mut link, &[&parcel]).await?;
    }
    Ok(())
}

async fn kill_forgotten(ctx: &mut Ctx) -> Judged {
    let Some(process) = ctx.process.clone() else {
        return Err(Verdict::NotTested("it needs --spawn".to_owned()));
    };
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let parcel = for_nobody(ctx);
    stored(&mut ada, &parcel, 2).await?;
    cleared(&mut ada, &[&parcel]).await?;
    gives(&mut ada, &parcel, 2, AckResult::Duplicate).await?;
    let started = process.lock().await.restart().await;
    started.map_err(|error| Verdict::Fail(format!("it does not start again: {error}")))?;
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    gives(&mut ada, &parcel, 2, AckResult::Duplicate).await
}

/// More frames at once than a second has room for.
async fn frames_a_second(ctx: &mut Ctx) -> Judged {
    const FRAMES: usize = 160;
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let begun = std::time::Instant::now();
    let parcels: Vec<Parcel> = (0..FRAMES).map(|_| for_nobody(ctx)).collect();
    for parcel in &parcels {
        offer(&mut ada, &[parcel]).await;
    }
    settle(&mut ada).await?;
    wanted(&mut ada, &parcels[0]).await?;
    settle(&mut ada).await?;
    let took = begun.elapsed().as_secs() as usize + 1;
    let count = parcels.iter().filter(|parcel| was_wanted(&ada, parcel)).count();
    check(count <= 64 * (took + 1), || format!("{count} of {FRAMES} Have frames were heard"))
}

async fn two_offers(ctx: &mut Ctx) -> Judged {
    // The recipient's own envelope is offered to nobody while the want of another is open.
    let [(_, mut ada), (_, mut ben), (_, mut cyr)] = contacts(ctx).await?;
    let parcel = for_nobody(ctx);
    offer(&mut ada, &[&parcel]).await;
    wanted(&mut ada, &parcel).await?;
    want(&mut cyr, &parcel).await;
    settle(&mut cyr).await?;
    check(offers_of(&cyr, &parcel) == 0 && offers_of(&ben, &parcel) == 0, || {
        "it offers what it does not hold".to_owned()
    })?;
    stored(&mut ada, &parcel, 2).await?;
    offered(&mut ben, &parcel).await?;
    cleared(&mut ada, &[&parcel]).await
}

/// More offers on one link than a taker remembers; what it wants is counted.
async fn offers_remembered(ctx: &mut Ctx) -> Judged {
    const FRAMES: usize = 20;
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    for _ in 0..FRAMES {
        let ids = (0..256).map(|_| ctx.fresh.array::<32>().to_vec()).collect();
        ada.send(&Frame::Have(v1::Have { ids })).await;
    }
    settle(&mut ada).await?;
    settle(&mut ada).await?;
    let wanted: usize = ada
        .passed_over
        .iter()
        .map(|frame| if let Frame::Want(want) = frame { want.ids.len() } else { 0 })
        .sum();
    check((1..=4096).contains(&wanted), || {
        format!("{} are offered, and it wants {wanted}", FRAMES * 256)
    })
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("carry.from-stranger", "CAR-01",
        "A stranger's envelope for somebody else. NOT_FOR_ME; Ada's is stored.", from_stranger),
    script!("carry.ttl-raised", "CAR-19",
        "Ttl 0, then the same with ttl 2. Cyr gets it with ttl 1.", raised),
    script!("carry.ttl-clamped", "CAR-23", "Ttl 200. Cyr gets it with ttl 5.", clamped, false),
    script!("carry.ttl-clamped-again", "CAR-23",
        "Ttl 0, then the same with ttl 200. Cyr gets it with ttl 5.", clamped, true),
    script!("carry.expired", "CAR-20",
        "An expiry 20 h ago is stored, one 26 h ago is EXPIRED.", expiry, -20, -26),
    script!("carry.far-ahead", "CAR-21",
        "An expiry in 14 days is stored, one in 15 days and 3 h is EXPIRED.",
        expiry, 14 * 24, 15 * 24 + 3),
    script!("carry.quota-count", "CAR-22",
        "One giver's 513th envelope at the latest is refused with QUOTA; another's is stored.",
        quota, 1392, 512),
    script!("carry.quota-bytes", "CAR-22",
        "8 MiB of one giver at the latest are followed by QUOTA; somebody else's is stored.",
        quota, 66_672, 125),
    script!("carry.want-held", "CAR-12",
        "What it holds is offered to it, then something new. It wants the new alone.", wants_new),
    script!("carry.want-once", "CAR-13",
        "Ada and Cyr offer one envelope. It is wanted on Ada's link, and on Cyr's when Ada's ends.",
        wants_once),
    script!("carry.want-stranger", "CAR-01",
        "A stranger's offer is not wanted; Ada's of the same is.", wants_of_stranger),
    script!("carry.offers-held", "CAR-11",
        "An envelope that was only offered to it is not offered on; once stored it is.",
        two_offers),
    script!("carry.frames-a-second", "CAR-33",
        "160 Have frames at once. No more than two seconds' worth are heard.", frames_a_second),
    script!("carry.offers-remembered", "CAR-34",
        "5,120 offers on a link. At most 4,096 of them are wanted.", offers_remembered),
    script!("carry.purge", "CAR-28",
        "Cyr shows the key of an envelope for Ben. Ben gets a later one and not this.",
        purge_right),
    script!("carry.purge-wrong", "CAR-29",
        "Cyr shows another key. Ben gets the envelope.", purge_wrong),
    script!("carry.purge-stranger", "CAR-32",
        "A stranger shows the key. Ben gets the envelope.", purge_by_stranger),
    script!("carry.proof-first", "GSP-35",
        "Ben pulls without a proof. He gets what is carried for him after the proof, not before.",
        proof_first),
    script!("carry.ack-of-nothing", "GSP-15",
        "Ben acknowledges an envelope that was not handed to him. It is handed to him later.",
        proof_first),
    script!("carry.store-same", "GSP-20",
        "Ben stored an envelope and links again. It is not handed over again.", store_id, false),
    script!("carry.store-new", "GSP-10",
        "Ben shows another store_id. What he stored is handed over again.", store_id, true),
    script!("carry.window", "GSP-16",
        "Ben takes one at a time. The next comes after his acknowledgement.", window),
    script!("carry.kill-carried", "GSP-01",
        "Three times: SIGKILL right after STORED. After the restart Ben gets the envelope.",
        kill_carried).managed(),
    script!("carry.kill-forgotten", "GSP-33",
        "An envelope that was purged is a DUPLICATE, before a SIGKILL and after it.",
        kill_forgotten).managed(),
];
