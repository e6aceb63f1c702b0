//! Which links are kept, and what is read on them (`spec/gossip.md`, sections 1 and 2).

use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use serde_json::json;

use super::came;
use crate::case::{Ctx, unserved};
use crate::cases::dialled::host;
use crate::cases::link_scripts::joined;
use crate::cases::{Script, script};
use crate::peer::{Answered, Ended, Link, Plan, Reached, answer};
use crate::people::{BLOCKED, Person};
use crate::session::{Session, hand_over};
use crate::stack::envelope::envelope_id;
use crate::stack::frame::Frame;
use crate::stack::v1::{self, AckResult, ByeReason};
use crate::stage::{
    Start, arrive, begin, came as missed, confirmed, drain, meet, settle, stored, text,
};
use crate::verdict::{Judged, Verdict, check};

/// Longer than a losing link may live (section 2).
const LOSING: Duration = Duration::from_millis(5_500);

/// A link of a person's device, in this start of theirs.
async fn of_start(ctx: &mut Ctx, plan: &Plan<'_>) -> Result<Box<Link>, Verdict> {
    match ctx.dial(plan).await? {
        Reached::Up(link) => Ok(link),
        Reached::First(ended, _) | Reached::Second(ended, _) => {
            Err(unserved(&format!("an honest link does not come up: {ended}"), &ended))
        }
    }
}

/// This link ends as the losing one of two, and the other one goes on.
async fn loses(loser: &mut Link, winner: &mut Link, why: &str) -> Judged {
    loser.deadline = LOSING;
    let ended = loser.to_end().await;
    let reason = loser.passed_over.iter().find_map(|frame| match frame {
        Frame::Bye(bye) => Some(bye.reason),
        _ => None,
    });
    if ended == Ended::TimedOut {
        return Err(Verdict::Fail(format!("{why}: the losing link still lives after 5 s")));
    }
    check(ended == Ended::Closed && reason == Some(ByeReason::Duplicate as i32), || {
        format!("{why}: expected Bye{{DUPLICATE}}, got {reason:?}, and {ended}")
    })?;
    winner.ping().await.map_err(missed("the link that is kept has no pong"))
}

async fn newer_start(ctx: &mut Ctx) -> Judged {
    let ada = Person::contact(0);
    let mut older = ctx.link(&ada).await?;
    older.ping().await.map_err(missed("no pong"))?;
    let mut newer = ctx.link(&ada).await?;
    loses(&mut older, &mut newer, "another instance_id").await
}

/// Links that are 5 s old when the second ones come, on four devices: by their hashes alone
/// about half of them would be kept.
async fn newer_after(ctx: &mut Ctx) -> Judged {
    const DEVICES: u8 = 4;
    let ada = Person::contact(0);
    let plans: Vec<Plan<'_>> = (0..DEVICES)
        .map(|number| {
            let mut plan = ctx.plan(&ada);
            plan.device_id[0] ^= number;
            plan
        })
        .collect();
    let mut older = Vec::new();
    for plan in &plans {
        older.push(of_start(ctx, plan).await?);
    }
    // The age of a link is what is waited for.
    tokio::time::sleep(Duration::from_millis(5_200)).await;
    for (plan, older) in plans.iter().zip(&mut older) {
        older.ping().await.map_err(missed("no pong"))?;
        let mut newer = of_start(ctx, plan).await?;
        loses(older, &mut newer, "5 s old").await?;
    }
    Ok(())
}

/// Pairs of links that the suite dialled, until one was kept of either order.
async fn lower_hash(ctx: &mut Ctx) -> Judged {
    const ROUNDS: usize = 16;
    let ada = Person::contact(0);
    let (mut first_kept, mut second_kept) = (0, 0);
    for round in 0..ROUNDS {
        if first_kept > 0 && second_kept > 0 && round >= 4 {
            return Ok(());
        }
        let plan = ctx.plan(&ada);
        let mut one = of_start(ctx, &plan).await?;
        let mut two = of_start(ctx, &plan).await?;
        if one.handshake_hash() < two.handshake_hash() {
            first_kept += 1;
            loses(&mut two, &mut one, "the first has the lower hash").await?;
        } else {
            second_kept += 1;
            loses(&mut one, &mut two, "the second has the lower hash").await?;
        }
    }
    Err(Verdict::Inconclusive(format!("{ROUNDS} pairs of links had the same order")))
}

/// A link that each side dialled, three times, so that the hashes decide nothing; the suite's
/// instance_id is the lower or the higher one.
async fn crossed(ctx: &mut Ctx, ours: u8) -> Judged {
    for _ in 0..3 {
        crossed_once(ctx, ours).await?;
    }
    Ok(())
}

async fn crossed_once(ctx: &mut Ctx, ours: u8) -> Judged {
    let ada = Person::contact(0);
    let mut host = host(ctx).await?;
    host.instance_id[..8].fill(ours);
    let Some(stream) = host.invite(ctx.deadline).await else {
        let text = "the target dialled no beacon of the suite (DSC-28)";
        return Err(Verdict::Inconclusive(text.to_owned()));
    };
    let mut plan = ctx.plan(&ada);
    plan.instance_id = host.instance_id;
    let mut own = of_start(ctx, &plan).await?;
    let answered = answer(stream, &plan, &mut ctx.fresh, ctx.deadline, &ctx.log).await;
    let mut theirs = match answered {
        Answered::Up(link) => link,
        // It has us already, and says so before its own Auth.
        Answered::First(ended) | Answered::Second(ended, _) | Answered::Auth(ended) => {
            return Err(unserved(&format!("a link that the target dials: {ended}"), &ended));
        }
    };
    let instance = own.auth.as_ref().map(|auth| auth.instance_id.clone()).unwrap_or_default();
    if plan.instance_id.as_slice() < instance.as_slice() {
        loses(&mut theirs, &mut own, "ours is the lower instance_id").await
    } else {
        loses(&mut own, &mut theirs, "the target's is the lower instance_id").await
    }
}

async fn blocked(ctx: &mut Ctx) -> Judged {
    let dan = Person::published(BLOCKED);
    let plan = ctx.plan(&dan);
    match ctx.dial(&plan).await? {
        Reached::Second(Ended::Closed, 0) => {}
        Reached::Up(_) => return Err(Verdict::Fail("somebody who is blocked has a link".into())),
        Reached::First(ended, bytes) | Reached::Second(ended, bytes) => {
            return Err(unserved(&format!("{ended}, after {bytes} bytes"), &ended));
        }
    }
    Session::open(ctx, Person::contact(0)).await?;
    ctx.still_serves().await
}

fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let target = to.join(entry.file_name());
        if kind.is_dir() {
            copy_all(&entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Two targets with one identity: a start of each, made of one folder.
async fn twins(ctx: &mut Ctx) -> Judged {
    let fails = |error: io::Error| Verdict::Fail(format!("a copy does not start: {error}"));
    let mut two = ctx.own_target(&json!({})).await?;
    let mut one = ctx.own_target(&json!({})).await?;
    one.kill().await.map_err(fails)?;
    two.kill().await.map_err(fails)?;
    fs::remove_dir_all(&two.folder).and_then(|()| copy_all(&one.folder, &two.folder)).map_err(
        |error| Verdict::Error(format!("the target's folder cannot be copied: {error}")),
    )?;
    one.start().await.map_err(fails)?;
    two.start().await.map_err(fails)?;
    let stranger = Person::stranger(&mut ctx.fresh);
    let here = ctx.link(&stranger).await?.auth.map(|auth| auth.identity);
    ctx.target = two.address;
    let there = ctx.link(&stranger).await?.auth.map(|auth| auth.identity);
    ctx.target = one.address;
    check(here == there, || "a copy of its folder has another identity".to_owned())?;
    let (forth, back) = joined(ctx, two.address).await?;
    check(forth > 37, || "it did not come to an Auth".to_owned())?;
    // Message 2 has 53 bytes; more would be an Auth.
    check(back <= 53, || format!("the target answers its own identity with {back} bytes"))?;
    ctx.still_serves().await
}

/// A letter while no file of the target's can be written.
async fn disk_full(ctx: &mut Ctx) -> Judged {
    let lacking = |error| Verdict::NotTested(format!("its files cannot be limited: {error}"));
    let mut target = ctx.own_target(&json!({})).await?;
    let ada = Person::contact(0);
    let (mut link, card) = meet(ctx, &ada, &Start::default()).await?;
    let twin = text(ctx, &ada, &card)?;
    stored(&mut link, &twin.parcel, 0).await?;
    // After that nothing is left to be written.
    confirmed(&mut link, &ada, &twin).await?;
    settle(&mut link).await?;
    let letter = text(ctx, &ada, &card)?;
    target.disk_full().map_err(lacking)?;
    link.note("from now on no file can be written");
    link.send(&letter.parcel.frame(0)).await;
    let ended = link.to_end().await;
    let id = letter.parcel.id;
    let acked = |frame: &Frame| match frame {
        Frame::Ack(ack) => ack.id == id && ack.result != AckResult::Refused as i32,
        _ => false,
    };
    check(!link.passed_over.iter().any(acked), || {
        "a letter is acknowledged that could not be written".to_owned()
    })?;
    check(ended == Ended::Closed, || format!("the link on which it was due: {ended}"))?;
    // It may have ended with it, or wait for a person; what was durable is there.
    target.restart().await.map_err(|e| Verdict::Fail(format!("it does not start: {e}")))?;
    let mut link = arrive(ctx, &ada, &Start::default()).await?;
    stored(&mut link, &letter.parcel, 0).await
}

/// A fault that the target says `Bye` for, and a letter in the same record.
async fn fault_and_letter(ctx: &mut Ctx) -> Result<(Session, Vec<u8>), Verdict> {
    let mut session = Session::open(ctx, Person::contact(1)).await?;
    let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let envelope = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    let msg = v1::Msg { ttl: 0, stamp: Vec::new(), envelope: envelope.clone() };
    let both = [Frame::End(v1::End {}).bytes(), Frame::Msg(msg).bytes()].concat();
    session.link.send_plain(&both, "End without Push, and a letter behind it").await;
    let ended = session.link.to_end().await;
    let bye =
        session.link.passed_over.iter().any(
            |frame| matches!(frame, Frame::Bye(bye) if bye.reason == ByeReason::Protocol as i32),
        );
    check(bye, || format!("no Bye{{PROTOCOL}}: {ended}"))?;
    Ok((session, envelope))
}

async fn behind_a_fault(ctx: &mut Ctx) -> Judged {
    let (session, envelope) = fault_and_letter(ctx).await?;
    let id = envelope_id(&envelope);
    let acked =
        session.link.passed_over.iter().any(|f| matches!(f, Frame::Ack(ack) if ack.id == id));
    check(!acked, || "a letter was answered before the fault in front of it".to_owned())?;
    ctx.still_serves().await
}

async fn after_their_bye(ctx: &mut Ctx) -> Judged {
    let (_, envelope) = fault_and_letter(ctx).await?;
    let mut again = Session::open(ctx, Person::contact(1)).await?;
    let ack = again.hand_over(&envelope).await.map_err(came("no Ack"))?;
    check(ack.result == AckResult::Stored as i32, || {
        "what came after the target's Bye was taken in".to_owned()
    })
}

/// A letter on the losing link, behind the end of which it lies in the target's buffers.
async fn on_the_losing_link(ctx: &mut Ctx) -> Judged {
    let ben = Person::contact(1);
    let session = Session::open(ctx, ben.clone()).await?;
    let mut losing = ctx.link(&ben).await?;
    begin(ctx, &mut losing, &ben, &Start::default()).await;
    // What earlier cases were owed keeps a losing link for 5 s.
    drain(&mut losing).await?;
    settle(&mut losing).await?;
    let mut newer = ctx.link(&ben).await?;
    begin(ctx, &mut newer, &ben, &Start::default()).await;
    let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let envelope = letter.seal(|_| {}).map_err(|r| Verdict::Fail(r.to_string()))?;
    losing.deadline = LOSING;
    losing
        .expect(|frame| matches!(frame, Frame::Bye(_)).then_some(()))
        .await
        .map_err(missed("the losing link ends without a Bye"))?;
    // The target has said Bye: whatever it still reads counts for nothing.
    let msg = v1::Msg { ttl: 0, stamp: Vec::new(), envelope: envelope.clone() };
    losing.send(&Frame::Msg(msg)).await;
    let ended = losing.to_end().await;
    let id = envelope_id(&envelope);
    let acked = losing.passed_over.iter().any(|f| matches!(f, Frame::Ack(ack) if ack.id == id));
    check(!acked && ended == Ended::Closed, || format!("after its Bye: {ended}"))?;
    let ack = hand_over(&mut newer, &envelope).await.map_err(came("no Ack"))?;
    check(ack.result == AckResult::Stored as i32, || {
        "what came after the target's Bye was taken in".to_owned()
    })
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("gossip.own-identity", "GSP-03",
        "The target, started from a copy of its folder too. The two have no link with each other.",
        twins).managed(),
    script!("gossip.blocked", "GSP-04",
        "Dan, who is blocked. The connection is closed without an Auth; Ada has a link.", blocked),
    script!("gossip.crossed-lower", "GSP-05",
        "Both sides dialled, ours is the lower instance_id. The link that we dialled is kept.",
        crossed, 0),
    script!("gossip.crossed-higher", "GSP-05",
        "Both sides dialled, our instance_id is higher. The link that the target dialled is kept.",
        crossed, 0xff),
    script!("gossip.lower-hash", "GSP-42",
        "Pairs of links of one start. The one with the lower handshake hash is kept.", lower_hash),
    script!("gossip.newer-start", "GSP-34",
        "Ada links again after a new start. The newer link is kept.", newer_start),
    script!("gossip.newer-after", "GSP-34",
        "Ada's four devices link again after 5 s, in the same start. The newer links are kept.",
        newer_after).slow(),
    script!("gossip.disk-full", "GSP-02",
        "A letter while no file can be written. No Ack, and the link ends; later it is STORED.",
        disk_full).managed(),
    script!("gossip.fault-first", "GSP-44",
        "A fault and a letter in one record. Bye{PROTOCOL}, and no Ack of the letter.",
        behind_a_fault),
    script!("gossip.after-fault", "GSP-43",
        "A fault and a letter in one record. The letter was not taken in.", after_their_bye),
    script!("gossip.after-duplicate", "GSP-43",
        "A letter on the losing link, after its Bye. It was not taken in.", on_the_losing_link),
];
