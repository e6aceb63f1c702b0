//! The giver's side: to whom the target spreads what it carries, and how often.

use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::peer::Link;
use crate::people::Person;
use crate::stack::crypto::public;
use crate::stack::frame::Frame;
use crate::stack::proofs::stamp;
use crate::stack::v1::{self, AckResult};
use crate::stage::{
    Parcel, Start, answer, arrive, begin, cleared, contacts, fetch, for_nobody, handed, offer,
    offered, offers_of, parcel_for, pull, settle, stored, want, wanted, was_handed,
};
use crate::verdict::{Judged, Verdict, check};

/// Hands two parcels over, one after the other: when the second is offered to somebody, the
/// first one would have been.
async fn marked(
    giver: &mut Link,
    first: (&Parcel, u32),
    marker: &Parcel,
    other: &mut Link,
) -> Judged {
    stored(giver, first.0, first.1).await?;
    stored(giver, marker, 2).await?;
    offered(other, marker).await
}

async fn spread(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), _, (_, mut cyr)] = contacts(ctx).await?;
    let parcel = for_nobody(ctx);
    stored(&mut ada, &parcel, 3).await?;
    let msg = fetch(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    check(msg.ttl == 2 && msg.envelope == parcel.bytes, || {
        format!("it came with ttl 3 and went on with ttl {}", msg.ttl)
    })?;
    cleared(&mut ada, &[&parcel]).await
}

async fn lowers(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), (_, mut cyr)] = contacts(ctx).await?;
    let parcel = for_nobody(ctx);
    stored(&mut ada, &parcel, 3).await?;
    fetch(&mut ben, &parcel).await?;
    answer(&mut ben, &parcel, AckResult::Stored).await;
    settle(&mut ben).await?;
    let second = fetch(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    check(second.ttl == 1, || {
        format!("ttl 3, given once with 2 and stored: the next has ttl {}", second.ttl)
    })?;
    cleared(&mut ada, &[&parcel]).await
}

async fn duplicate_costs_nothing(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), (_, mut cyr)] = contacts(ctx).await?;
    let parcel = for_nobody(ctx);
    stored(&mut ada, &parcel, 1).await?;
    fetch(&mut ben, &parcel).await?;
    answer(&mut ben, &parcel, AckResult::Duplicate).await;
    settle(&mut ben).await?;
    let second = fetch(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    check(second.ttl == 0, || format!("ttl 1 goes on with ttl {}", second.ttl))?;
    cleared(&mut ada, &[&parcel]).await
}

async fn ttl_zero(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), _, (_, mut cyr)] = contacts(ctx).await?;
    let (last, marker) = (for_nobody(ctx), for_nobody(ctx));
    marked(&mut ada, (&last, 0), &marker, &mut cyr).await?;
    want(&mut cyr, &last).await;
    fetch(&mut cyr, &marker).await?;
    answer(&mut cyr, &marker, AckResult::Stored).await;
    check(offers_of(&cyr, &last) == 0 && !was_handed(&cyr, &last), || {
        "an envelope of ttl 0 was spread".to_owned()
    })?;
    cleared(&mut ada, &[&last, &marker]).await
}

async fn ttl_used_up(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), (cyr, link)] = contacts(ctx).await?;
    drop(link);
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    stored(&mut ada, &parcel, 1).await?;
    let msg = fetch(&mut ben, &parcel).await?;
    check(msg.ttl == 0, || format!("ttl 1 goes on with ttl {}", msg.ttl))?;
    answer(&mut ben, &parcel, AckResult::Stored).await;
    settle(&mut ben).await?;
    let mut link = arrive(ctx, &cyr, &Start::default()).await?;
    stored(&mut ada, &marker, 2).await?;
    offered(&mut link, &marker).await?;
    check(offers_of(&link, &parcel) == 0, || "a ttl that is used up is offered".to_owned())?;
    cleared(&mut ada, &[&parcel, &marker]).await
}

async fn not_to_giver(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), _, (_, mut cyr)] = contacts(ctx).await?;
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    stored(&mut ada, &parcel, 3).await?;
    offered(&mut cyr, &parcel).await?;
    // What Cyr gives is offered to Ada, behind what would have been before.
    stored(&mut cyr, &marker, 2).await?;
    offered(&mut ada, &marker).await?;
    check(offers_of(&ada, &parcel) == 0, || "it is offered to its giver".to_owned())?;
    cleared(&mut ada, &[&parcel, &marker]).await
}

async fn not_to_holder(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), (cyr, mut link)] = contacts(ctx).await?;
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    stored(&mut ada, &parcel, 3).await?;
    fetch(&mut link, &parcel).await?;
    answer(&mut link, &parcel, AckResult::Stored).await;
    settle(&mut link).await?;
    let mut again = arrive(ctx, &cyr, &Start::default()).await?;
    stored(&mut ada, &marker, 2).await?;
    offered(&mut again, &marker).await?;
    offered(&mut ben, &parcel).await?;
    check(offers_of(&again, &parcel) == 0, || {
        "it is offered to somebody who has acknowledged it".to_owned()
    })?;
    cleared(&mut ada, &[&parcel, &marker]).await
}

async fn stranger(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), _, (_, mut cyr)] = contacts(ctx).await?;
    let eve = Person::stranger(&mut ctx.fresh);
    let mut to_eve = ctx.link(&eve).await?;
    begin(ctx, &mut to_eve, &eve, &Start::default()).await;
    settle(&mut to_eve).await?;
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    stored(&mut ada, &parcel, 3).await?;
    fetch(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    want(&mut to_eve, &parcel).await;
    stored(&mut ada, &marker, 3).await?;
    offered(&mut cyr, &marker).await?;
    settle(&mut to_eve).await?;
    let told = to_eve
        .passed_over
        .iter()
        .any(|frame| matches!(frame, Frame::Have(_) | Frame::Msg(_) | Frame::Want(_)));
    check(!told, || "a stranger is offered or handed what others carry".to_owned())?;
    cleared(&mut ada, &[&parcel, &marker]).await
}

async fn only_on_want(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), _, (_, mut cyr)] = contacts(ctx).await?;
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    stored(&mut ada, &parcel, 3).await?;
    offered(&mut cyr, &parcel).await?;
    stored(&mut ada, &marker, 3).await?;
    fetch(&mut cyr, &marker).await?;
    answer(&mut cyr, &marker, AckResult::Stored).await;
    check(!was_handed(&cyr, &parcel), || "it came without a Want".to_owned())?;
    // The same link, the same envelope: now it is wanted.
    want(&mut cyr, &parcel).await;
    handed(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    cleared(&mut ada, &[&parcel, &marker]).await
}

/// Cyr knows an id before the target has the envelope.
async fn want_unoffered(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), _, (_, mut cyr)] = contacts(ctx).await?;
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    want(&mut cyr, &parcel).await;
    settle(&mut cyr).await?;
    stored(&mut ada, &parcel, 3).await?;
    stored(&mut ada, &marker, 3).await?;
    fetch(&mut cyr, &marker).await?;
    answer(&mut cyr, &marker, AckResult::Stored).await;
    settle(&mut cyr).await?;
    check(!was_handed(&cyr, &parcel), || {
        "it is spread for a Want that came before its offer".to_owned()
    })?;
    fetch(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    cleared(&mut ada, &[&parcel, &marker]).await
}

async fn offered_once(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), _, (_, mut cyr)] = contacts(ctx).await?;
    let (parcel, marker) = (for_nobody(ctx), for_nobody(ctx));
    stored(&mut ada, &parcel, 3).await?;
    offered(&mut cyr, &parcel).await?;
    pull(&mut cyr).await;
    stored(&mut ada, &marker, 3).await?;
    offered(&mut cyr, &marker).await?;
    let times = offers_of(&cyr, &parcel);
    check(times == 1, || format!("it is offered {times} times on one link"))?;
    cleared(&mut ada, &[&parcel, &marker]).await
}

async fn one_at_a_time(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), (_, mut cyr)] = contacts(ctx).await?;
    let parcel = for_nobody(ctx);
    stored(&mut ada, &parcel, 3).await?;
    offered(&mut ben, &parcel).await?;
    offered(&mut cyr, &parcel).await?;
    want(&mut ben, &parcel).await;
    handed(&mut ben, &parcel).await?;
    want(&mut cyr, &parcel).await;
    // Twice: what follows from a frame may come behind the answer to the next one.
    settle(&mut cyr).await?;
    settle(&mut cyr).await?;
    check(!was_handed(&cyr, &parcel), || {
        "two spreads of one envelope are unanswered at a time".to_owned()
    })?;
    answer(&mut ben, &parcel, AckResult::Stored).await;
    handed(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    cleared(&mut ada, &[&parcel]).await
}

async fn cut_before_answer(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), (_, mut cyr)] = contacts(ctx).await?;
    let parcel = for_nobody(ctx);
    stored(&mut ada, &parcel, 3).await?;
    offered(&mut cyr, &parcel).await?;
    fetch(&mut ben, &parcel).await?;
    want(&mut cyr, &parcel).await;
    // The link is cut, and nobody knows whether the copy arrived.
    drop(ben);
    let msg = handed(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    check(msg.ttl == 2, || format!("ttl 3, not acknowledged: now it has ttl {}", msg.ttl))?;
    cleared(&mut ada, &[&parcel]).await
}

async fn to_recipient(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (ben, mut link), _] = contacts(ctx).await?;
    let parcel = parcel_for(ctx, &ben);
    stored(&mut ada, &parcel, 0).await?;
    let msg = handed(&mut link, &parcel).await?;
    check(msg.ttl == 0 && msg.stamp.is_empty(), || {
        format!("ttl {} and a stamp of {} bytes to the recipient", msg.ttl, msg.stamp.len())
    })?;
    answer(&mut link, &parcel, AckResult::Stored).await;
    check(offers_of(&link, &parcel) == 0, || "it was offered first".to_owned())?;
    cleared(&mut ada, &[&parcel]).await
}

async fn to_recipient_later(ctx: &mut Ctx) -> Judged {
    let ben = Person::contact(1);
    let mut ada = arrive(ctx, &Person::contact(0), &Start::default()).await?;
    let parcel = parcel_for(ctx, &ben);
    stored(&mut ada, &parcel, 0).await?;
    let mut link = arrive(ctx, &ben, &Start::default()).await?;
    handed(&mut link, &parcel).await?;
    answer(&mut link, &parcel, AckResult::Stored).await;
    cleared(&mut ada, &[&parcel]).await
}

async fn stamp_intact(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), _, (_, mut cyr)] = contacts(ctx).await?;
    let mailbox = public(&ctx.fresh.array());
    let now = ctx.now();
    let parcel = Parcel::changed(mailbox, now, &mut ctx.fresh, |e| e.ext = vec![5; 256]);
    let stamp = stamp(&ctx.fresh.array(), &parcel.id).to_vec();
    let envelope = parcel.bytes.clone();
    ada.send(&Frame::Msg(v1::Msg { ttl: 2, stamp: stamp.clone(), envelope })).await;
    let ack = crate::stage::acknowledged(&mut ada, &parcel).await?;
    check(ack.result == AckResult::Stored as i32, || "it is not stored".to_owned())?;
    let msg = fetch(&mut cyr, &parcel).await?;
    answer(&mut cyr, &parcel, AckResult::Stored).await;
    check(msg.envelope == parcel.bytes && msg.stamp == stamp, || {
        "the ext or the stamp did not go on as it came".to_owned()
    })?;
    cleared(&mut ada, &[&parcel]).await
}

/// Ada to the target to Cyr, who hands it to the target's other contact by way of the target
/// again: three hops through two carriers, and each envelope arrives once.
async fn hops(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (ben, to_ben), (cyr, mut to_cyr)] = contacts(ctx).await?;
    drop(to_ben);
    let parcel = parcel_for(ctx, &ben);
    stored(&mut ada, &parcel, 3).await?;
    let msg = fetch(&mut to_cyr, &parcel).await?;
    answer(&mut to_cyr, &parcel, AckResult::Stored).await;
    settle(&mut to_cyr).await?;
    // Cyr, carrying too, meets the target again.
    drop(to_cyr);
    let mut to_cyr = arrive(ctx, &cyr, &Start::default()).await?;
    crate::stage::gives(&mut to_cyr, &parcel, msg.ttl, AckResult::Duplicate).await?;
    let mut to_ben = arrive(ctx, &ben, &Start::default()).await?;
    handed(&mut to_ben, &parcel).await?;
    answer(&mut to_ben, &parcel, AckResult::Stored).await;
    settle(&mut to_ben).await?;
    check(!was_handed(&to_ben, &parcel), || "it came twice".to_owned())?;
    cleared(&mut ada, &[&parcel]).await
}

async fn three_at_once(ctx: &mut Ctx) -> Judged {
    const EACH: usize = 40;
    let [(_, mut ada), (ben, mut to_ben), (_, mut cyr)] = contacts(ctx).await?;
    let sets: Vec<Vec<Parcel>> =
        (0..3).map(|_| (0..EACH).map(|_| parcel_for(ctx, &ben)).collect()).collect();
    for ((one, two), three) in sets[0].iter().zip(&sets[1]).zip(&sets[2]) {
        // The same moment on three links, with each answer outstanding.
        ada.send(&one.frame(2)).await;
        cyr.send(&two.frame(2)).await;
        to_ben.send(&three.frame(2)).await;
    }
    for (link, set) in [(&mut ada, &sets[0]), (&mut cyr, &sets[1])] {
        for parcel in set {
            let ack = crate::stage::acknowledged(link, parcel).await?;
            check(ack.result == AckResult::Stored as i32, || "one is not stored".to_owned())?;
        }
    }
    for parcel in sets[0].iter().chain(&sets[1]) {
        let came = handed(&mut to_ben, parcel).await;
        answer(&mut to_ben, parcel, AckResult::Stored).await;
        came.map_err(|verdict| match verdict {
            Verdict::Inconclusive(_) => Verdict::Fail("an envelope that was stored is lost".into()),
            other => other,
        })?;
    }
    let all: Vec<&Parcel> = sets.iter().flatten().collect();
    cleared(&mut ada, &all).await
}

/// Ben offers one id and hands over another envelope.
async fn other_than_offered(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), _] = contacts(ctx).await?;
    let (offered_id, handed) = (for_nobody(ctx), for_nobody(ctx));
    offer(&mut ben, &[&offered_id]).await;
    wanted(&mut ben, &offered_id).await?;
    // It is named by its own bytes.
    stored(&mut ben, &handed, 2).await?;
    // What was offered is not there: it is new to the target.
    stored(&mut ada, &offered_id, 2).await?;
    cleared(&mut ada, &[&offered_id, &handed]).await
}

/// An envelope with an extension that nobody knows, as it came and as it goes on.
async fn as_it_came(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), _] = contacts(ctx).await?;
    let mailbox = public(&ctx.fresh.array());
    let now = ctx.now();
    let parcel = Parcel::changed(mailbox, now, &mut ctx.fresh, |envelope| {
        envelope.ext = vec![0xff, 0xf0, 0x00, 0x03, 1, 2, 3];
    });
    stored(&mut ada, &parcel, 2).await?;
    let msg = fetch(&mut ben, &parcel).await?;
    check(msg.envelope == parcel.bytes, || "other bytes are passed on than came".to_owned())?;
    answer(&mut ben, &parcel, AckResult::Stored).await;
    cleared(&mut ada, &[&parcel]).await
}

/// A key that is not that of the envelope, and then the right one.
async fn wrong_key(ctx: &mut Ctx) -> Judged {
    let [(_, mut ada), (_, mut ben), _] = contacts(ctx).await?;
    let parcel = for_nobody(ctx);
    stored(&mut ada, &parcel, 2).await?;
    let mut wrong = parcel.clone();
    wrong.purge_key[31] ^= 1;
    cleared(&mut ada, &[&wrong]).await?;
    let kept = fetch(&mut ben, &parcel).await?;
    answer(&mut ben, &parcel, AckResult::Stored).await;
    check(kept.envelope == parcel.bytes, || "another envelope comes".to_owned())?;
    cleared(&mut ada, &[&parcel]).await?;
    // It is forgotten now: it is offered to nobody who comes later.
    let mut cyr = arrive(ctx, &Person::contact(2), &Start::default()).await?;
    settle(&mut cyr).await?;
    check(offers_of(&cyr, &parcel) == 0, || "it is offered after its purge key".to_owned())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("carry.spread", "CAR-04",
        "Ada gives an envelope of ttl 3. Cyr is offered it, wants it, and gets it with ttl 2.",
        spread),
    script!("carry.ttl-lowered", "CAR-05",
        "Ttl 3, given to Ben, who stores it. Cyr gets it with ttl 1.", lowers),
    script!("carry.duplicate-free", "CAR-05",
        "Ttl 1, given to Ben, who has it already. Cyr gets it with ttl 0.",
        duplicate_costs_nothing),
    script!("carry.ttl-zero", "CAR-03",
        "Ttl 0, then a marker of ttl 2. Cyr is offered the marker alone.", ttl_zero),
    script!("carry.ttl-used-up", "CAR-03",
        "Ttl 1, given once. Cyr, who comes later, is not offered it.", ttl_used_up),
    script!("carry.not-to-giver", "CAR-06",
        "Ada's envelope is offered to Cyr and not to Ada.", not_to_giver),
    script!("carry.not-to-holder", "CAR-06",
        "Cyr stored it. On Cyr's next link it is not offered.", not_to_holder),
    script!("carry.stranger", "CAR-02",
        "A stranger with Pull, who wants an id. It is neither offered nor handed over.", stranger),
    script!("carry.only-on-want", "CAR-07",
        "Two are offered, one is wanted, and only that one comes; then the other.", only_on_want),
    script!("carry.want-unoffered", "CAR-08",
        "A Want that comes before the offer is ignored; after the offer it is answered.",
        want_unoffered),
    script!("carry.offered-once", "CAR-11",
        "A second Pull. Nothing is offered on the link again.", offered_once),
    script!("carry.one-at-a-time", "CAR-10",
        "Ben and Cyr want it. Cyr gets it when Ben has answered, not before.", one_at_a_time),
    script!("carry.cut-before-answer", "CAR-05",
        "Ben's link is cut before he answers. Cyr gets it with the ttl that it would have had.",
        cut_before_answer),
    script!("carry.recipient-linked", "CAR-09",
        "Ttl 0 for Ben, who is linked. He gets it at once, without an offer.", to_recipient),
    script!("carry.recipient-later", "CAR-09",
        "Ttl 0 for Ben, who comes later. He gets it on his link.", to_recipient_later),
    script!("carry.recipient-plain", "GSP-18",
        "What is carried for Ben comes to him with ttl 0 and an empty stamp.", to_recipient),
    script!("carry.intact", "ENV-03",
        "An ext of 256 bytes and a stamp. Both go on as they came.", stamp_intact),
    script!("carry.hops", "GSP-20",
        "Ada, target, Cyr, target, Ben. Ben gets it once.", hops),
    script!("carry.three-at-once", "CAR-24",
        "Three people hand over 40 each at once. Ben gets all that was stored.", three_at_once),
    script!("carry.other-than-offered", "ENV-07",
        "Ben offers one envelope and hands over another. Its Ack names that; the first is new.",
        other_than_offered),
    script!("carry.as-it-came", "CNV-01",
        "An envelope with an unknown extension. It is passed on byte for byte.",
        as_it_came),
    script!("carry.wrong-key", "ENV-06",
        "A purge key with a flipped bit, and the right one. The envelope goes with the right one.",
        wrong_key),
];
