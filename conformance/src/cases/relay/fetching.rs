//! `Pull` (`spec/relay.md`, section 4): registration, order, windows.

use std::time::Duration;

use serde_json::json;
use tonic::Code;

use super::{Judged, check, expect_code, fate, good_deposit, registered, saw, stamped, three};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::relay_client::{Client, Fate, Owner, ProofFault, pace};
use crate::stack::v1::pull_response::Step;
use crate::stack::v1::{self, PullEndReason};
use crate::verdict::Verdict;

/// Two streams are challenged differently, and with the same epoch.
async fn challenges(ctx: &mut Ctx) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let mut seen: Vec<v1::PullChallenge> = Vec::new();
    for _ in 0..2 {
        pace(&client).await;
        let requests = tokio_stream::pending::<v1::PullRequest>();
        let answers = client.calls.pull(requests).await.map_err(saw("Pull"))?;
        let first = answers.into_inner().message().await.map_err(saw("a challenge"))?;
        let Some(Step::Challenge(challenge)) = first.and_then(|first| first.step) else {
            return Err(Verdict::Fail("the stream does not begin with a challenge".to_owned()));
        };
        seen.push(challenge);
    }
    check(seen[0].challenge != seen[1].challenge, || "one challenge for two".to_owned())?;
    check(seen.iter().all(|c| c.challenge.len() == 32 && c.epoch == seen[0].epoch), || {
        "not 32 bytes, or another epoch".to_owned()
    })
}

/// A stream without a proof.
async fn no_proof(ctx: &mut Ctx) -> Judged {
    ctx.deadline = Duration::from_secs(15);
    let mut client = Client::connect(ctx).await?;
    pace(&client).await;
    let requests = tokio_stream::pending::<v1::PullRequest>();
    let mut answers = client.calls.pull(requests).await.map_err(saw("Pull"))?.into_inner();
    answers.message().await.map_err(saw("a challenge"))?;
    let end = tokio::time::timeout(ctx.deadline, answers.message()).await;
    let silent = |_| Verdict::Fail("the stream is open after 15 s".to_owned());
    expect_code(end.map_err(silent)?, Code::DeadlineExceeded)?;
    registered(ctx).await.map(drop)
}

/// A relay that takes two mailboxes and no more.
async fn mailboxes(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({ "mailboxes": 2 })).await?;
    let (mut client, first) = registered(ctx).await?;
    registered(ctx).await?;
    let third = Owner::new(&mut ctx.fresh);
    let refused = client.pull(&third, ProofFault::None, &mut ctx.fresh).await;
    expect_code(refused, Code::ResourceExhausted)?;
    let known = client.pull(&first, ProofFault::None, &mut ctx.fresh).await;
    known.map_err(saw("a mailbox that is registered"))?;
    good_deposit(ctx, &mut client, &first).await
}

/// More new mailboxes from one address within an hour than it may have.
async fn new_mailboxes(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({})).await?;
    let (mut client, first) = registered(ctx).await?;
    for _ in 0..128 {
        let owner = Owner::new(&mut ctx.fresh);
        match client.pull(&owner, ProofFault::None, &mut ctx.fresh).await {
            Ok(_) => {}
            Err(status) => {
                expect_code(Err::<(), _>(status), Code::ResourceExhausted)?;
                let known = client.pull(&first, ProofFault::None, &mut ctx.fresh).await;
                return known.map(drop).map_err(saw("a mailbox that is registered"));
            }
        }
    }
    Err(Verdict::Fail("128 new mailboxes of one address were registered".to_owned()))
}

/// Several depositors at once while the owner listens.
async fn concurrent(ctx: &mut Ctx) -> Judged {
    const STREAMS: usize = 4;
    const EACH: usize = 16;
    let (mut client, owner) = registered(ctx).await?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    let mut expected = std::collections::BTreeSet::new();
    let mut depositing = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let mut requests = Vec::new();
        for _ in 0..EACH {
            let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
            expected.insert(envelope.bytes());
            requests.push(stamped(&owner, &envelope));
        }
        let mut client = client.clone();
        depositing.spawn(async move { client.deposit(requests).await.1 });
    }
    let mut last = 0;
    for _ in 0..STREAMS * EACH {
        let got = pulling.envelope().await.map_err(saw("a live envelope"))?;
        check(got.seq > last, || format!("sequence {} after {last}", got.seq))?;
        check(expected.remove(&got.envelope), || "twice, or never deposited".to_owned())?;
        last = got.seq;
    }
    while let Some(deposited) = depositing.join_next().await {
        deposited.map_err(|e| Verdict::Error(e.to_string()))?.map_err(saw("a deposit"))?;
    }
    Ok(())
}

/// No sequence comes twice, though the mailbox was empty in between.
async fn sequences(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mut last = 0;
    for _ in 0..3 {
        good_deposit(ctx, &mut client, &owner).await?;
        let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
        let mut pulling = pulling.map_err(saw("an honest proof"))?;
        let got = pulling.envelope().await.map_err(saw("an envelope"))?;
        check(got.seq > last, || format!("sequence {} after {last}", got.seq))?;
        last = got.seq;
        pulling.ack(&pulling.epoch.clone(), last).await;
        pulling.close().await.map_err(saw("closing"))?;
    }
    Ok(())
}

/// 260 envelopes, of which 256 may be on their way.
async fn window(ctx: &mut Ctx) -> Judged {
    const ALL: usize = 260;
    const WINDOW: usize = 256;
    let (mut client, owner) = registered(ctx).await?;
    let mut requests = Vec::new();
    for _ in 0..ALL {
        requests.push(stamped(&owner, &owner.envelope(ctx.now(), &mut ctx.fresh).0));
    }
    client.deposit(requests).await.1.map_err(saw("deposits"))?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    let mut last = 0;
    for _ in 0..WINDOW {
        last = pulling.envelope().await.map_err(saw("an envelope of the window"))?.seq;
    }
    // A deposit wakes the stream, and a call is answered after it: whoever sends
    // beyond the window does so now.
    good_deposit(ctx, &mut client, &owner).await?;
    let authority = client.authority.clone();
    client.info(&[7; 32], &authority).await.map_err(saw("GetInfo"))?;
    let more = tokio::time::timeout(Duration::from_millis(300), pulling.next()).await;
    check(more.is_err(), || "more than 256 are unacknowledged".to_owned())?;
    pulling.ack(&pulling.epoch.clone(), last).await;
    for _ in WINDOW..=ALL {
        pulling.envelope().await.map_err(saw("an envelope after the acknowledgement"))?;
    }
    Ok(())
}

/// Somebody new and somebody whose mailbox was emptied see the same.
async fn empty(ctx: &mut Ctx) -> Judged {
    let (mut client, emptied, _) = three(ctx).await?;
    let pulling = client.pull(&emptied, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    for _ in 0..3 {
        let got = pulling.envelope().await.map_err(saw("an envelope"))?;
        pulling.ack(&pulling.epoch.clone(), got.seq).await;
    }
    pulling.close().await.map_err(saw("closing"))?;
    let unknown = Owner::new(&mut ctx.fresh);
    for who in [&emptied, &unknown] {
        let pulling = client.pull(who, ProofFault::None, &mut ctx.fresh).await;
        let mut pulling = pulling.map_err(saw("an honest proof"))?;
        // Nothing stands before the first live one.
        let (live, _) = who.envelope(ctx.now(), &mut ctx.fresh);
        fate(&mut client, stamped(who, &live), Fate::Stored).await?;
        let got = pulling.envelope().await.map_err(saw("a live envelope"))?;
        check(got.envelope == live.bytes(), || "something came before it".to_owned())?;
        let end = pulling.close().await.map_err(saw("closing"))?;
        check(end == Some(PullEndReason::Closed as i32), || format!("ended with {end:?}"))?;
    }
    Ok(())
}

/// A client that takes nothing of what is due to it.
async fn takes_nothing(ctx: &mut Ctx) -> Judged {
    const COUNT: usize = 64;
    let (mut client, owner) = registered(ctx).await?;
    // 4 MiB, which is all that may be unacknowledged, and more than windows take.
    for _ in 0..COUNT {
        let (mut envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
        envelope.sealed.resize(1_136 + 65_536, 7);
        fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
    }
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    tokio::time::sleep(Duration::from_secs(65)).await;
    for _ in 0..=COUNT {
        match pulling.next().await {
            Ok(Some(Step::Envelope(_))) => {}
            Ok(other) => return Err(Verdict::Fail(format!("{other:?} after 65 s"))),
            Err(status) => {
                expect_code(Err::<(), _>(status), Code::DeadlineExceeded)?;
                return good_deposit(ctx, &mut client, &owner).await;
            }
        }
    }
    Err(Verdict::Fail("a stream that nobody read for 65 s goes on".to_owned()))
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-pull.challenges", "RLY-27",
        "Two streams. Each begins with 32 bytes that the other has not.", challenges),
    script!("relay-pull.no-proof", "RLY-28",
        "No proof for 15 s. DEADLINE_EXCEEDED.", no_proof).slow(),
    script!("relay-pull.mailboxes", "RLY-32",
        "A third mailbox where two are taken. RESOURCE_EXHAUSTED; the first is served.",
        mailboxes).managed(),
    script!("relay-limits.new-mailboxes", "RLY-62",
        "128 new mailboxes of one address. RESOURCE_EXHAUSTED at last; the first is served.",
        new_mailboxes).managed().slow(),
    script!("relay-pull.concurrent", "RLY-35",
        "Four streams deposit while the owner listens. Sequences rise, and none is missing.",
        concurrent),
    script!("relay-pull.sequences", "RLY-36",
        "Stored and acknowledged, three times. Each sequence is larger than the last.",
        sequences),
    script!("relay-pull.window", "RLY-38",
        "260 envelopes. 256 come, the others after the acknowledgement.", window),
    script!("relay-pull.empty", "RLY-39",
        "A mailbox that was emptied and one that is new. Both streams look the same.", empty),
    script!("relay-pull.takes-nothing", "RLY-63",
        "An owner who reads nothing for 65 s. DEADLINE_EXCEEDED.", takes_nothing).slow(),
];
