//! SIGKILL around every call of a relay (`spec/relay.md`): what was said counts.

use serde_json::json;

use super::drops::put_result;
use super::{Judged, check, fate, plain, registered, saw, stamped, three};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::relay_client::{Client, Fate, Owner, ProofFault, Pulling, pace};
use crate::stack::v1::{self, PullEndReason, PutCardResult};
use crate::target::Spawned;
use crate::verdict::Verdict;

pub(super) async fn restart(target: &mut Spawned) -> Judged {
    let started = target.restart().await;
    started.map_err(|error| Verdict::Fail(format!("it does not start again: {error}")))
}

pub(super) async fn pull(ctx: &mut Ctx, owner: &Owner) -> Result<Pulling, Verdict> {
    let mut client = Client::connect(ctx).await?;
    let pulling = client.pull(owner, ProofFault::None, &mut ctx.fresh).await;
    pulling.map_err(saw("an honest proof"))
}

/// What comes first for the owner is a new envelope, with a sequence above `last`.
pub(super) async fn nothing_but_new(ctx: &mut Ctx, owner: &Owner, last: u64) -> Judged {
    let mut pulling = pull(ctx, owner).await?;
    let mut client = Client::connect(ctx).await?;
    let (live, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(owner, &live), Fate::Stored).await?;
    let got = pulling.envelope().await.map_err(saw("a live envelope"))?;
    check(got.envelope == live.bytes(), || "an envelope came back".to_owned())?;
    check(got.seq > last, || format!("sequence {} after {last}", got.seq))
}

/// Three times: deposits whose answers are not waited for, SIGKILL, the same again.
async fn unanswered(ctx: &mut Ctx) -> Judged {
    const COUNT: usize = 32;
    let mut target = ctx.own_target(&json!({})).await?;
    for _ in 0..3 {
        let (client, owner) = registered(ctx).await?;
        let mut requests = Vec::new();
        for _ in 0..COUNT {
            requests.push(stamped(&owner, &owner.envelope(ctx.now(), &mut ctx.fresh).0));
        }
        let again = requests.clone();
        let mut cut = client.clone();
        let sending = tokio::spawn(async move { cut.deposit(requests).await });
        tokio::task::yield_now().await;
        restart(&mut target).await?;
        let (before, _) = sending.await.map_err(|error| Verdict::Error(error.to_string()))?;
        let mut client = Client::connect(ctx).await?;
        let (fates, ended) = client.deposit(again.clone()).await;
        ended.map_err(saw("deposits after the restart"))?;
        for (id, fate) in &fates {
            let known = before.contains_key(id);
            check(*fate == Fate::Duplicate || !known && *fate == Fate::Stored, || {
                format!("{fate:?} for an envelope whose receipt came before: {known}")
            })?;
        }
        let mut pulling = pull(ctx, &owner).await?;
        let mut expected: std::collections::BTreeSet<_> =
            again.into_iter().map(|request| request.envelope).collect();
        for _ in 0..COUNT {
            let got = pulling.envelope().await.map_err(saw("a stored envelope"))?;
            check(expected.remove(&got.envelope), || "an envelope came twice".to_owned())?;
        }
    }
    Ok(())
}

async fn after_opened(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (_, owner) = registered(ctx).await?;
    restart(&mut target).await?;
    let mut client = Client::connect(ctx).await?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
    // The deposit key was registered with it: 64 places of strangers do not matter.
    for _ in 0..64 {
        let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
        fate(&mut client, plain(&envelope), Fate::Stored).await?;
    }
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await
}

async fn before_ack(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (_, owner, sent) = three(ctx).await?;
    for _ in 0..2 {
        let mut pulling = pull(ctx, &owner).await?;
        for bytes in &sent {
            let got = pulling.envelope().await.map_err(saw("a stored envelope"))?;
            check(&got.envelope == bytes, || "another envelope, or order".to_owned())?;
        }
        restart(&mut target).await?;
    }
    Ok(())
}

async fn after_ack(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (_, owner, _) = three(ctx).await?;
    let mut pulling = pull(ctx, &owner).await?;
    let epoch = pulling.epoch.clone();
    let mut last = 0;
    for _ in 0..3 {
        last = pulling.envelope().await.map_err(saw("a stored envelope"))?.seq;
    }
    pulling.ack(&epoch, last).await;
    let end = pulling.close().await.map_err(saw("closing"))?;
    check(end == Some(PullEndReason::Closed as i32), || format!("ended with {end:?}"))?;
    restart(&mut target).await?;
    nothing_but_new(ctx, &owner, last).await
}

async fn after_purge(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (mut client, owner) = registered(ctx).await?;
    let (envelope, key) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
    pace(&client).await;
    let keys = vec![key.to_vec()];
    client.calls.purge(v1::PurgeRequest { keys }).await.map_err(saw("Purge"))?;
    restart(&mut target).await?;
    nothing_but_new(ctx, &owner, 0).await
}

async fn after_put(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (mut client, owner) = registered(ctx).await?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await?;
    restart(&mut target).await?;
    let mut client = Client::connect(ctx).await?;
    pace(&client).await;
    let request = v1::GetCardRequest { mailbox: owner.mailbox().to_vec() };
    let got = client.calls.get_card(request).await.map_err(saw("GetCard"))?.into_inner();
    check(got.seq == 5, || format!("seq {} instead of 5", got.seq))?;
    put_result(&mut client, &owner, 4, PutCardResult::Old).await
}

async fn same_relay(ctx: &mut Ctx) -> Judged {
    let mut target = ctx.own_target(&json!({})).await?;
    let (client, owner) = registered(ctx).await?;
    let epoch = pull(ctx, &owner).await?.epoch;
    restart(&mut target).await?;
    let again = Client::connect(ctx).await?;
    check(client.relay_key == again.relay_key, || "another relay key".to_owned())?;
    let after = pull(ctx, &owner).await?.epoch;
    check(epoch == after, || "another epoch after a restart with the same data".to_owned())
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-sync.kill-unanswered", "RLY-22",
        "Three times: SIGKILL while 32 are deposited, then the same again. Each comes once.",
        unanswered).managed(),
    script!("relay-pull.kill-after-opened", "RLY-33",
        "SIGKILL right after PullOpened. Mailbox and deposit key are registered.",
        after_opened).managed(),
    script!("relay-pull.kill-before-ack", "RLY-24",
        "Twice: three are fetched, SIGKILL before an acknowledgement. All come again.",
        before_ack).managed(),
    script!("relay-pull.kill-after-ack", "RLY-42",
        "Three are acknowledged, SIGKILL after CLOSED. None comes again.",
        after_ack).managed(),
    script!("relay-pull.kill-sequences", "RLY-36",
        "SIGKILL after all was acknowledged. The next sequence is larger.",
        after_ack).managed(),
    script!("relay-purge.kill-after-answer", "RLY-44",
        "SIGKILL right after the answer to Purge. The envelope stays forgotten.",
        after_purge).managed(),
    script!("relay-card.kill-after-stored", "RLY-50",
        "SIGKILL right after STORED. The drop is there, and an older one is OLD.",
        after_put).managed(),
    script!("relay-info.kill", "RLY-07",
        "SIGKILL and a start. The relay has the same key and the same epoch.",
        same_relay).managed(),
];
