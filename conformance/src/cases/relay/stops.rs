//! SIGKILL before an answer, and the other ways in which a relay is stopped: whatever
//! it did of a call, it did as a whole (`spec/relay.md`; annex-targets.md, section 4).

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;
use std::{fs, io};

use rustix::process::Signal;
use serde_json::json;
use tonic::Code;

use super::drops::put_result;
use super::edges::half_deposit;
use super::kills::{nothing_but_new, pull, restart};
use super::{Judged, check, expect_code, fate, good_deposit, registered, saw, stamped, three};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::relay_client::{Client, Fate, Owner, ProofFault, pace};
use crate::stack::v1::pull_response::Step;
use crate::stack::v1::{self, PullEndReason, PutCardResult};
use crate::verdict::Verdict;

fn of_process(what: &str) -> impl Fn(io::Error) -> Verdict {
    move |error| Verdict::Fail(format!("{what}: {error}"))
}

/// SIGKILL while a request is not complete: nothing of it counts.
async fn half_request(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (_, owner) = registered(ctx).await?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    half_deposit(ctx, &owner, &envelope).await?;
    restart(&mut target).await?;
    let mut client = Client::connect(ctx).await?;
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await
}

/// SIGKILL while proofs are judged: the mailbox can be registered afterwards.
async fn proof_unanswered(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let mut client = Client::connect(ctx).await?;
    let owner = Owner::new(&mut ctx.fresh);
    let (cut, mut rng) = (owner.clone(), crate::stack::crypto::Rng::new(&owner.seed, "cut"));
    let proving = tokio::spawn(async move {
        let opened = client.pull(&cut, ProofFault::None, &mut rng).await;
        opened.is_ok()
    });
    tokio::task::yield_now().await;
    restart(&mut target).await?;
    let opened = proving.await.map_err(|error| Verdict::Error(error.to_string()))?;
    let mut client = Client::connect(ctx).await?;
    if opened {
        good_deposit(ctx, &mut client, &owner).await?;
    }
    nothing_but_new(ctx, &owner, 0).await
}

/// SIGKILL right after an acknowledgement was written: all of it counts, or nothing.
async fn ack_unanswered(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (_, owner, sent) = three(ctx).await?;
    let mut pulling = pull(ctx, &owner).await?;
    let epoch = pulling.epoch.clone();
    let mut seqs = Vec::new();
    for _ in 0..3 {
        seqs.push(pulling.envelope().await.map_err(saw("a stored envelope"))?.seq);
    }
    pulling.ack(&epoch, seqs[1]).await;
    restart(&mut target).await?;
    let mut pulling = pull(ctx, &owner).await?;
    let first = pulling.envelope().await.map_err(saw("an envelope after the restart"))?;
    let at = seqs.iter().position(|seq| *seq == first.seq);
    check(at == Some(0) || at == Some(2), || format!("{at:?} is the first that comes"))?;
    check(Some(&first.envelope) == at.and_then(|at| sent.get(at)), || {
        "other bytes than were stored".to_owned()
    })
}

/// SIGKILL while a Purge is not answered: both envelopes of a key are there, or none.
async fn purge_unanswered(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (mut client, owner) = registered(ctx).await?;
    let (mut first, key) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let mut held = BTreeSet::new();
    for byte in 0..2 {
        first.key_id[0] = byte;
        fate(&mut client, stamped(&owner, &first), Fate::Stored).await?;
        held.insert(first.bytes());
    }
    let request = v1::PurgeRequest { keys: vec![key.to_vec()] };
    let (mut cut, again) = (client.clone(), request.clone());
    pace(&client).await;
    let purging = tokio::spawn(async move { cut.calls.purge(request).await.is_ok() });
    tokio::task::yield_now().await;
    restart(&mut target).await?;
    let answered = purging.await.map_err(|error| Verdict::Error(error.to_string()))?;
    let mut client = Client::connect(ctx).await?;
    let mut pulling = pull(ctx, &owner).await?;
    let (last, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &last), Fate::Stored).await?;
    let mut came = 0;
    loop {
        let got = pulling.envelope().await.map_err(saw("the last envelope"))?.envelope;
        if got == last.bytes() {
            break;
        }
        check(held.contains(&got), || "another envelope".to_owned())?;
        came += 1;
    }
    check(came == 0 || !answered && came == 2, || {
        format!("{came} of two are there; the Purge was answered: {answered}")
    })?;
    pace(&client).await;
    client.calls.purge(again).await.map_err(saw("Purge after the restart"))?;
    good_deposit(ctx, &mut client, &owner).await
}

/// SIGKILL while a drop is not answered: it is the old one or the new one.
async fn put_unanswered(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (mut client, owner) = registered(ctx).await?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await?;
    let (mut cut, who) = (client.clone(), owner.clone());
    let putting =
        tokio::spawn(
            async move { put_result(&mut cut, &who, 6, PutCardResult::Stored).await.is_ok() },
        );
    tokio::task::yield_now().await;
    restart(&mut target).await?;
    let answered = putting.await.map_err(|error| Verdict::Error(error.to_string()))?;
    let mut client = Client::connect(ctx).await?;
    let seq = read_seq(&mut client, &owner).await?;
    check(seq == 6 || !answered && seq == 5, || {
        format!("seq {seq} is read; the newer drop was answered: {answered}")
    })?;
    put_result(&mut client, &owner, 7, PutCardResult::Stored).await
}

/// SIGKILL while a drop is read, and after it.
async fn reading(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (mut client, owner) = registered(ctx).await?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await?;
    let (mut cut, who) = (client.clone(), owner.clone());
    let read = tokio::spawn(async move { read_seq(&mut cut, &who).await.is_ok() });
    tokio::task::yield_now().await;
    restart(&mut target).await?;
    read.await.map_err(|error| Verdict::Error(error.to_string()))?;
    for _ in 0..2 {
        let mut client = Client::connect(ctx).await?;
        let seq = read_seq(&mut client, &owner).await?;
        check(seq == 5, || format!("seq {seq} instead of 5"))?;
        restart(&mut target).await?;
    }
    Ok(())
}

async fn read_seq(client: &mut Client, owner: &Owner) -> Result<u64, Verdict> {
    pace(client).await;
    let request = v1::GetCardRequest { mailbox: owner.mailbox().to_vec() };
    Ok(client.calls.get_card(request).await.map_err(saw("GetCard"))?.into_inner().seq)
}

/// SIGTERM: streams end in order, and so does the process.
async fn terminated(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (_, owner, sent) = three(ctx).await?;
    let mut pulling = pull(ctx, &owner).await?;
    for _ in 0..3 {
        pulling.envelope().await.map_err(saw("a stored envelope"))?;
    }
    target.signal(Signal::TERM).map_err(of_process("SIGTERM"))?;
    match pulling.next().await.map_err(saw("the end of a stream"))? {
        Some(Step::End(end)) => {
            check(end.reason == PullEndReason::Drain as i32, || format!("{end:?}"))?;
        }
        other => return Err(Verdict::Fail(format!("{other:?} after SIGTERM"))),
    }
    std::mem::drop(pulling);
    let status = target.terminate().await.map_err(of_process("after SIGTERM"))?;
    check(status.success(), || format!("after SIGTERM it ended with {status}"))?;
    target.start().await.map_err(of_process("a start after SIGTERM"))?;
    let mut pulling = pull(ctx, &owner).await?;
    for bytes in &sent {
        let got = pulling.envelope().await.map_err(saw("a stored envelope"))?;
        check(&got.envelope == bytes, || "another envelope than was stored".to_owned())?;
    }
    Ok(())
}

/// SIGSTOP while an owner listens and somebody deposits; SIGCONT.
async fn suspended(ctx: &mut Ctx) -> Judged {
    let target = ctx.own_target(&json!({})).await?;
    let (client, owner) = registered(ctx).await?;
    let mut pulling = pull(ctx, &owner).await?;
    target.signal(Signal::STOP).map_err(of_process("SIGSTOP"))?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let (mut cut, request) = (client.clone(), stamped(&owner, &envelope));
    let depositing = tokio::spawn(async move { fate(&mut cut, request, Fate::Stored).await });
    let early = tokio::time::timeout(Duration::from_millis(300), pulling.next()).await;
    check(early.is_err(), || "SIGSTOP did not stop it".to_owned())?;
    target.signal(Signal::CONT).map_err(of_process("SIGCONT"))?;
    depositing.await.map_err(|error| Verdict::Error(error.to_string()))??;
    let got = pulling.envelope().await.map_err(saw("a live envelope"))?;
    check(got.envelope == envelope.bytes(), || "another envelope".to_owned())
}

/// A second start in the same folder.
async fn second_start(ctx: &mut Ctx) -> Judged {
    let target = ctx.own_target(&json!({})).await?;
    let (mut client, owner, sent) = three(ctx).await?;
    let status = target.start_twice().await.map_err(of_process("a second start"))?;
    check(!status.success(), || "a second start ended with 0".to_owned())?;
    let mut pulling = pull(ctx, &owner).await?;
    let mut last = 0;
    for bytes in &sent {
        let got = pulling.envelope().await.map_err(saw("a stored envelope"))?;
        check(&got.envelope == bytes, || "another envelope than was stored".to_owned())?;
        last = got.seq;
    }
    let (live, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &live), Fate::Stored).await?;
    let got = pulling.envelope().await.map_err(saw("a live envelope"))?;
    check(got.seq > last, || format!("sequence {} after {last}", got.seq))
}

/// What the folder held is put back, and the relay is told so.
async fn put_back(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({ "restored": false })).await?;
    let (_, owner, sent) = three(ctx).await?;
    target.terminate().await.map_err(of_process("SIGTERM"))?;
    let copy = target.folder.with_extension("copy");
    let disk = |error: io::Error| Verdict::Error(format!("a copy of the folder: {error}"));
    copy_folder(&target.folder, &copy).map_err(disk)?;
    target.start().await.map_err(of_process("a start"))?;
    let mut client = Client::connect(ctx).await?;
    good_deposit(ctx, &mut client, &owner).await?;
    let mut pulling = pull(ctx, &owner).await?;
    let (epoch, mut last) = (pulling.epoch.clone(), 0);
    for _ in 0..4 {
        last = pulling.envelope().await.map_err(saw("a stored envelope"))?.seq;
    }
    std::mem::drop(pulling);
    target.terminate().await.map_err(of_process("SIGTERM"))?;
    fs::remove_dir_all(&target.folder).map_err(disk)?;
    copy_folder(&copy, &target.folder).map_err(disk)?;
    target.set(&json!({ "restored": true })).map_err(disk)?;
    target.start().await.map_err(of_process("a start with what was put back"))?;
    let mut pulling = pull(ctx, &owner).await?;
    check(pulling.epoch != epoch, || "the epoch is that of what was lost".to_owned())?;
    for bytes in &sent {
        let got = pulling.envelope().await.map_err(saw("an envelope that was put back"))?;
        check(&got.envelope == bytes, || "another envelope".to_owned())?;
    }
    // A sequence of the epoch that has ended says nothing here.
    pulling.ack(&epoch, last).await;
    expect_code(pulling.next().await, Code::InvalidArgument)?;
    let info = Client::connect(ctx).await?;
    check(info.relay_key == client.relay_key, || "another relay key".to_owned())
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-sync.kill-half-request", "RLY-15",
        "SIGKILL before the last byte of a request. The envelope is new after the restart.",
        half_request).managed(),
    script!("relay-pull.kill-unproved", "RLY-33",
        "SIGKILL while a proof is judged. What was opened is registered; the rest can be.",
        proof_unanswered).managed(),
    script!("relay-pull.kill-at-ack", "RLY-42",
        "SIGKILL right after an acknowledgement of two. None or both come again.",
        ack_unanswered).managed(),
    script!("relay-purge.kill-unanswered", "RLY-44",
        "SIGKILL while a Purge is not answered. Both of its envelopes are there, or none.",
        purge_unanswered).managed(),
    script!("relay-card.kill-unanswered", "RLY-50",
        "SIGKILL while a newer drop is not answered. One of the two is read.",
        put_unanswered).managed(),
    script!("relay-card.kill-reading", "RLY-51",
        "SIGKILL while a drop is read, and after it. It is read again.", reading).managed(),
    script!("relay-pull.terminate", "RLY-24",
        "SIGTERM. The stream ends with DRAIN, the process with 0; all three are there again.",
        terminated).managed(),
    script!("relay-pull.suspend", "RLY-37",
        "SIGSTOP, a deposit, SIGCONT. It is answered, and comes to the owner.",
        suspended).managed(),
    script!("relay-pull.second-start", "RLY-24",
        "A second start in the same folder ends with an error. The first goes on.",
        second_start).managed(),
    script!("relay-pull.put-back", "RLY-69",
        "An earlier copy of the folder is put back. Another epoch; old sequences are refused.",
        put_back).managed(),
];
