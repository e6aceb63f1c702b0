//! `Sync` (`spec/relay.md`, section 3): quotas, answers and receipts.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use super::{Judged, check, expect_code, fate, good_deposit, plain, registered, saw, stamped};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::relay_client::{Client, Fate, Owner, ProofFault, unexpected, verified_ids};
use crate::stack::envelope::{Envelope, HOUR_MS, envelope_id};
use crate::stack::v1::{self, DepositRefusal};
use crate::verdict::Verdict;

/// What an envelope costs beside its bytes (section 3.1).
const OVERHEAD: usize = 256;
/// An own target's quota for one mailbox.
const QUOTA: usize = 1 << 20;
/// How long a busy machine may take to see two thousand streams come or go.
const PATIENCE: Duration = Duration::from_secs(20);

/// An envelope of the largest class that is sealed to nobody.
fn large(ctx: &mut Ctx, owner: &Owner) -> Envelope {
    let (mut envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    envelope.sealed = ctx.fresh.array::<1392>().to_vec();
    envelope.sealed.resize(1_136 + 65_536, 7);
    envelope
}

/// The whole answer to one envelope.
async fn answer(
    client: &mut Client,
    request: v1::SyncRequest,
    patience: Duration,
) -> Result<v1::SyncResponse, Verdict> {
    let answers = client.calls.sync(tokio_stream::iter([request])).await;
    let mut answers = answers.map_err(saw("Sync"))?.into_inner();
    let silent = |_| Verdict::Inconclusive("no answer within the deadline".to_owned());
    let answer = timeout(patience, answers.message()).await.map_err(silent)?;
    let none = || Verdict::Fail("the stream ended without an answer".to_owned());
    answer.map_err(saw("an answer"))?.ok_or_else(none)
}

/// Deposits large envelopes until one is refused; their bytes, and the refusal.
async fn fill(
    ctx: &mut Ctx,
    client: &mut Client,
    owner: &Owner,
    with_stamp: bool,
) -> Result<(usize, i32), Verdict> {
    let mut held = 0;
    for _ in 0..64 {
        let envelope = large(ctx, owner);
        let request = if with_stamp { stamped(owner, &envelope) } else { plain(&envelope) };
        let length = request.envelope.len() + OVERHEAD;
        let id = envelope_id(&request.envelope).to_vec();
        let (fates, ended) = client.deposit(vec![request]).await;
        ended.map_err(saw("a deposit"))?;
        match fates.get(&id) {
            Some(Fate::Stored) => held += length,
            Some(Fate::Refused(reason)) => return Ok((held, *reason)),
            other => return Err(Verdict::Fail(format!("{other:?} for a new envelope"))),
        }
    }
    Err(Verdict::Fail(format!("{held} bytes are held and none was refused")))
}

/// Both parts of a small quota are filled, and are apart.
async fn quota(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({ "mailbox_bytes": QUOTA })).await?;
    let (mut client, owner) = registered(ctx).await?;
    let (stamped_bytes, reason) = fill(ctx, &mut client, &owner, true).await?;
    check(reason == DepositRefusal::Full as i32, || format!("reason {reason}, not FULL"))?;
    let fits = QUOTA / 8 * 7;
    check(stamped_bytes <= fits && stamped_bytes + 70_000 > fits, || {
        format!("{stamped_bytes} stamped bytes are held of {fits}")
    })?;
    let (plain_bytes, reason) = fill(ctx, &mut client, &owner, false).await?;
    check(reason == DepositRefusal::NoRoom as i32, || format!("reason {reason}, not NO_ROOM"))?;
    check(plain_bytes > 0 && plain_bytes <= QUOTA / 8, || {
        format!("{plain_bytes} unstamped bytes are held of {}", QUOTA / 8)
    })?;
    // Somebody else's mailbox has a quota of its own.
    let (mut other, beside) = registered(ctx).await?;
    good_deposit(ctx, &mut other, &beside).await
}

/// A relay that is full as a whole says so of mailboxes that it knows and does not know.
async fn busy(ctx: &mut Ctx) -> Judged {
    let settings = json!({ "mailbox_bytes": 4 * QUOTA, "total_bytes": QUOTA });
    let _target = ctx.own_target(&settings).await?;
    let (mut client, owner) = registered(ctx).await?;
    let (held, reason) = fill(ctx, &mut client, &owner, true).await?;
    check(reason == DepositRefusal::Busy as i32, || format!("reason {reason}, not BUSY"))?;
    check(held > 0 && held <= QUOTA, || format!("{held} bytes are held of {QUOTA}"))?;
    let nobody = Owner::new(&mut ctx.fresh);
    let envelope = large(ctx, &nobody);
    fate(&mut client, plain(&envelope), Fate::Refused(DepositRefusal::Busy as i32)).await
}

/// Stamps count by the deposit key that was registered last.
async fn stamps(ctx: &mut Ctx) -> Judged {
    let (mut client, mut owner) = registered(ctx).await?;
    let mut requests = Vec::new();
    for _ in 0..64 {
        requests.push(plain(&owner.envelope(ctx.now(), &mut ctx.fresh).0));
    }
    client.deposit(requests).await.1.map_err(saw("64 unstamped envelopes"))?;
    good_deposit(ctx, &mut client, &owner).await?;
    let old = owner.clone();
    owner.deposit_key = ctx.fresh.array();
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    pulling.map_err(saw("an honest proof"))?.close().await.map_err(saw("closing a Pull"))?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let no_room = Fate::Refused(DepositRefusal::NoRoom as i32);
    fate(&mut client, stamped(&old, &envelope), no_room).await?;
    good_deposit(ctx, &mut client, &owner).await
}

/// Unknown mailboxes and full parts for strangers are answered alike.
async fn ambiguous(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mut requests = Vec::new();
    for _ in 0..64 {
        requests.push(plain(&owner.envelope(ctx.now(), &mut ctx.fresh).0));
    }
    client.deposit(requests).await.1.map_err(saw("64 unstamped envelopes"))?;
    let nobody = Owner::new(&mut ctx.fresh);
    let mut answers = Vec::new();
    for who in [&owner, &nobody] {
        let (envelope, _) = who.envelope(ctx.now(), &mut ctx.fresh);
        let mut got = answer(&mut client, plain(&envelope), ctx.deadline).await?;
        check(got.refusals.len() == 1, || format!("no refusal: {got:?}"))?;
        got.now = 0;
        got.refusals[0].id.clear();
        answers.push(got);
    }
    check(answers[0] == answers[1], || format!("{:?} and {:?}", answers[0], answers[1]))?;
    good_deposit(ctx, &mut client, &owner).await
}

async fn refusal_clock(ctx: &mut Ctx) -> Judged {
    let (mut client, _) = registered(ctx).await?;
    let nobody = Owner::new(&mut ctx.fresh);
    let (envelope, _) = nobody.envelope(ctx.now(), &mut ctx.fresh);
    let got = answer(&mut client, plain(&envelope), ctx.deadline).await?;
    let off = got.now.abs_diff(ctx.now());
    check(got.refusals.len() == 1 && off < HOUR_MS, || {
        format!("{} refusals, and a clock that is {off} ms off", got.refusals.len())
    })
}

/// 300 envelopes and junk between them on one stream.
async fn all_answered(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (mut requests, mut ids) = (Vec::new(), BTreeSet::new());
    for at in 0..300_u32 {
        let request = if at % 100 == 7 {
            v1::SyncRequest { stamp: Vec::new(), envelope: vec![9, at as u8, (at >> 8) as u8] }
        } else {
            stamped(&owner, &owner.envelope(ctx.now(), &mut ctx.fresh).0)
        };
        ids.insert(envelope_id(&request.envelope).to_vec());
        requests.push(request);
    }
    let answers = client.calls.sync(tokio_stream::iter(requests)).await;
    let mut answers = answers.map_err(saw("Sync"))?.into_inner();
    let mut said = BTreeSet::new();
    while let Some(got) = timeout(ctx.deadline, answers.message())
        .await
        .map_err(|_| Verdict::Inconclusive(format!("{} of 300 were answered", said.len())))?
        .map_err(saw("an answer"))?
    {
        let receipted = verified_ids(&client.relay_key, &got).map_err(Verdict::Fail)?;
        check(receipted.len() <= 256, || format!("{} ids in one receipt", receipted.len()))?;
        for id in receipted.into_iter().chain(got.refusals.into_iter().map(|r| r.id)) {
            check(said.insert(id.clone()), || "an envelope is answered twice".to_owned())?;
        }
    }
    check(said == ids, || format!("{} answers, and not to the {} ids", said.len(), ids.len()))
}

/// What was fetched and acknowledged, or purged, is a duplicate still.
async fn remembered(ctx: &mut Ctx, purged: bool) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (envelope, key) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
    if purged {
        crate::relay_client::pace(&client).await;
        let keys = vec![key.to_vec()];
        client.calls.purge(v1::PurgeRequest { keys }).await.map_err(saw("Purge"))?;
    } else {
        let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
        let mut pulling = pulling.map_err(saw("an honest proof"))?;
        let got = pulling.envelope().await.map_err(saw("an envelope"))?;
        pulling.ack(&pulling.epoch.clone(), got.seq).await;
        pulling.close().await.map_err(saw("closing"))?;
    }
    fate(&mut client, stamped(&owner, &envelope), Fate::Duplicate).await?;
    good_deposit(ctx, &mut client, &owner).await
}

/// A stream that is cut in its middle: what had a receipt is there.
async fn cancelled(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (send, receive) = tokio::sync::mpsc::channel(16);
    let answers = client.calls.sync(ReceiverStream::new(receive)).await;
    let mut answers = answers.map_err(saw("Sync"))?.into_inner();
    let (first, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let _sent = send.send(stamped(&owner, &first)).await;
    let got = timeout(ctx.deadline, answers.message()).await;
    let silent = |_| Verdict::Inconclusive("no answer while the stream is open".to_owned());
    let got = got.map_err(silent)?.map_err(saw("an answer"))?;
    check(got.is_some(), || "the stream ended".to_owned())?;
    // A message that is begun and never ends, and a stream that is reset.
    std::mem::drop((send, answers));
    fate(&mut client, stamped(&owner, &first), Fate::Duplicate).await?;
    good_deposit(ctx, &mut client, &owner).await
}

/// More streams than a relay has places for.
async fn streams(ctx: &mut Ctx) -> Judged {
    use crate::attack::Attacker;
    use crate::attack::http2::{Connection, END_HEADERS, call, frame, kind};
    let _target = ctx.own_target(&json!({})).await?;
    let (mut client, owner) = registered(ctx).await?;
    good_deposit(ctx, &mut client, &owner).await?;
    let lost = |error| Verdict::Inconclusive(format!("a connection: {error}"));
    let (mut open, target) = (Vec::new(), ctx.target);
    for number in 0..120 {
        let attacker = Attacker::new(2 + number % 4, usize::from(number), target);
        let mut connection = Connection::open(&attacker, 65_535).await.map_err(lost)?;
        for _ in 0..16 {
            let stream = connection.stream();
            let headers = frame(kind::HEADERS, END_HEADERS, stream, &call("Sync"));
            connection.write(&headers).await.map_err(lost)?;
        }
        open.push(connection);
    }
    let until = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
        match client.deposit(vec![stamped(&owner, &envelope)]).await.1 {
            Err(status) if status.code() == Code::ResourceExhausted => break,
            Err(status) => return Err(unexpected("beyond the limit", &status)),
            Ok(()) if tokio::time::Instant::now() > until => {
                return Err(Verdict::Fail("1,920 streams are open, and one more".to_owned()));
            }
            Ok(()) => {}
        }
        // The deposit may have had the last place while the others came; somebody takes it.
        let attacker = Attacker::new(6, open.len(), target);
        let mut connection = Connection::open(&attacker, 65_535).await.map_err(lost)?;
        let headers = frame(kind::HEADERS, END_HEADERS, connection.stream(), &call("Sync"));
        connection.write(&headers).await.map_err(lost)?;
        if open.len() < 148 {
            open.push(connection);
        }
    }
    std::mem::drop(open);
    let until = tokio::time::Instant::now() + PATIENCE;
    while good_deposit(ctx, &mut client, &owner).await.is_err() {
        check(tokio::time::Instant::now() < until, || {
            "streams that have ended are still counted".to_owned()
        })?;
    }
    Ok(())
}

/// Calls beyond the rate of one address.
async fn rate(ctx: &mut Ctx) -> Judged {
    let _target = ctx.own_target(&json!({})).await?;
    let (mut client, owner) = registered(ctx).await?;
    let authority = client.authority.clone();
    for _ in 0..400 {
        let (nonce, authority) = (vec![7; 32], authority.clone());
        match client.calls.get_info(v1::GetInfoRequest { nonce, authority }).await {
            Ok(_) => {}
            Err(status) => {
                expect_code(Err::<(), _>(status), Code::ResourceExhausted)?;
                // Leaving envelopes is bounded otherwise.
                return good_deposit(ctx, &mut client, &owner).await;
            }
        }
    }
    Err(Verdict::Fail("400 calls at once were all answered".to_owned()))
}

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-sync.full", "RLY-17",
        "A quota of 1 MiB is filled with stamped envelopes. FULL at 7/8 of it.", quota).managed(),
    script!("relay-sync.quota", "RLY-65",
        "A quota of 1 MiB is filled from both sides. No more is held, and others have theirs.",
        quota).managed(),
    script!("relay-sync.busy", "RLY-13",
        "1 MiB for all is filled. BUSY, for a mailbox that is known and for one that is not.",
        busy).managed(),
    script!("relay-sync.stamp-key", "RLY-16",
        "Another deposit key is registered. Stamps of the old one count no more.", stamps),
    script!("relay-sync.ambiguous", "RLY-19",
        "A mailbox that is not known, and one full of strangers' envelopes. The same answer.",
        ambiguous),
    script!("relay-sync.refusal-clock", "RLY-20",
        "A refusal. It has the relay's clock.", refusal_clock),
    script!("relay-sync.all-answered", "RLY-21",
        "300 envelopes on one stream, three of them junk. One answer to each, by its id.",
        all_answered),
    script!("relay-sync.receipt-256", "RLY-23",
        "300 envelopes on one stream. No receipt covers more than 256, each verifies.",
        all_answered),
    script!("relay-sync.acknowledged-again", "RLY-15",
        "An envelope that was fetched and acknowledged. DUPLICATE.", remembered, false),
    script!("relay-sync.purged-again", "RLY-15",
        "An envelope that was purged. DUPLICATE.", remembered, true),
    script!("relay-sync.cancelled", "RLY-22",
        "A stream is reset after its first receipt. The envelope is a DUPLICATE.", cancelled),
    script!("relay-limits.streams", "RLY-64",
        "1,920 streams of four addresses are open. RESOURCE_EXHAUSTED, until they end.",
        streams).managed(),
    script!("relay-limits.rate", "RLY-61",
        "400 questions at once. RESOURCE_EXHAUSTED; leaving envelopes goes on.",
        rate).managed(),
];
