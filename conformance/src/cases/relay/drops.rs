//! Purging and card drops (`spec/relay.md` sections 5 and 6).

use prost::Message;
use tonic::{Code, Status};

use super::{Judged, check, expect_code, fate, registered, saw, stamped};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::relay_client::{Client, Fate, Owner, ProofFault, pace};
use crate::stack::relay::sign_drop;
use crate::stack::v1::{self, PutCardResult};

pub(super) async fn purge(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (first, key) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let (second, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    for envelope in [&first, &second] {
        fate(&mut client, stamped(&owner, envelope), Fate::Stored).await?;
    }
    pace(&client).await;
    let keys = vec![key.to_vec(), vec![7; 32]];
    client.calls.purge(v1::PurgeRequest { keys }).await.map_err(saw("Purge"))?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let got = pulling.map_err(saw("an honest proof"))?.envelope().await.map_err(saw("one"))?;
    check(got.envelope == second.bytes(), || "the purged envelope came".to_owned())
}

pub(super) async fn purge_refused(ctx: &mut Ctx, keys: Vec<Vec<u8>>) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let fine = v1::PurgeRequest { keys: vec![vec![7; 32]; 256] };
    pace(&client).await;
    client.calls.purge(fine).await.map_err(saw("256 keys"))?;
    pace(&client).await;
    let refused = client.calls.purge(v1::PurgeRequest { keys }).await;
    expect_code(refused, Code::InvalidArgument)?;
    Client::connect(ctx).await.map(drop)
}

pub(super) async fn put(
    client: &mut Client,
    owner: &Owner,
    seq: u64,
    blob: &[u8],
) -> Result<v1::PutCardResponse, Status> {
    pace(client).await;
    let mailbox = owner.mailbox();
    let signature = sign_drop(&owner.seed, &mailbox, seq, blob).to_vec();
    let request =
        v1::PutCardRequest { mailbox: mailbox.to_vec(), seq, blob: blob.to_vec(), signature };
    Ok(client.calls.put_card(request).await?.into_inner())
}

pub(super) async fn put_result(
    client: &mut Client,
    owner: &Owner,
    seq: u64,
    result: PutCardResult,
) -> Judged {
    let got = put(client, owner, seq, &[7; 2048]).await.map_err(saw("PutCard"))?;
    check(got.result == result as i32, || format!("expected {result:?}, got {got:?}"))
}

pub(super) async fn drop_kept(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await?;
    put_result(&mut client, &owner, 4, PutCardResult::Old).await?;
    pace(&client).await;
    let request = v1::GetCardRequest { mailbox: owner.mailbox().to_vec() };
    let got = client.calls.get_card(request).await.map_err(saw("GetCard"))?.into_inner();
    check(got.seq == 5 && got.blob == [7; 2048], || "another drop than was put".to_owned())
}

pub(super) async fn drop_unregistered(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await?;
    let nobody = Owner::new(&mut ctx.fresh);
    put_result(&mut client, &nobody, 5, PutCardResult::Unregistered).await
}

pub(super) async fn drop_blob(ctx: &mut Ctx, length: usize) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let bad = put(&mut client, &owner, 5, &vec![7; length]).await;
    expect_code(bad, Code::InvalidArgument)?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await
}

pub(super) async fn drop_signature(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mailbox = owner.mailbox();
    let signature = sign_drop(&owner.seed, &mailbox, 6, &[7; 2048]).to_vec();
    pace(&client).await;
    let (mailbox, blob) = (mailbox.to_vec(), vec![7; 2048]);
    let request = v1::PutCardRequest { mailbox, seq: 5, blob, signature };
    expect_code(client.calls.put_card(request).await, Code::Unauthenticated)?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await
}

pub(super) async fn drop_none(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let nobody = Owner::new(&mut ctx.fresh);
    for who in [&owner, &nobody] {
        pace(&client).await;
        let request = v1::GetCardRequest { mailbox: who.mailbox().to_vec() };
        expect_code(client.calls.get_card(request).await, Code::NotFound)?;
    }
    Ok(())
}

/// 64 envelopes that share a purge hash.
async fn purge_many(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (first, key) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let mut requests = Vec::new();
    for _ in 0..64 {
        let (mut envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
        envelope.purge_hash = first.purge_hash;
        requests.push(stamped(&owner, &envelope));
    }
    client.deposit(requests).await.1.map_err(saw("64 envelopes"))?;
    let (last, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &last), Fate::Stored).await?;
    pace(&client).await;
    let keys = vec![key.to_vec()];
    client.calls.purge(v1::PurgeRequest { keys }).await.map_err(saw("Purge"))?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let got = pulling.map_err(saw("an honest proof"))?.envelope().await.map_err(saw("one"))?;
    check(got.envelope == last.bytes(), || "a purged envelope came".to_owned())
}

/// A key that forgets something and one that does not.
async fn purge_silent(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (envelope, key) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
    let mut answers = Vec::new();
    for key in [key.to_vec(), vec![7; 32]] {
        pace(&client).await;
        let answer = client.calls.purge(v1::PurgeRequest { keys: vec![key] }).await;
        let answer = answer.map_err(saw("Purge"))?;
        answers.push((answer.get_ref().encoded_len(), answer.metadata().len()));
    }
    check(answers[0] == answers[1], || format!("{:?} and {:?}", answers[0], answers[1]))
}

/// A signature over another drop of the same mailbox, or by another mailbox.
async fn drop_other(ctx: &mut Ctx, change: fn(&mut v1::PutCardRequest)) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mailbox = owner.mailbox();
    let blob = vec![7; 2048];
    let signature = sign_drop(&owner.seed, &mailbox, 5, &blob).to_vec();
    let mut request = v1::PutCardRequest { mailbox: mailbox.to_vec(), seq: 5, blob, signature };
    change(&mut request);
    pace(&client).await;
    expect_code(client.calls.put_card(request).await, Code::Unauthenticated)?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await
}

/// All that are not in the table above this module.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-purge.many", "RLY-44",
        "A purge key of 64 envelopes. All of them are forgotten, and no other.", purge_many),
    script!("relay-purge.silent", "RLY-45",
        "A key that forgets something and one that does not. The same answer.", purge_silent),
    script!("relay-card.other-blob", "RLY-04",
        "A drop whose signature is over another blob. UNAUTHENTICATED.",
        drop_other, |r: &mut v1::PutCardRequest| r.blob[9] ^= 1),
    script!("relay-card.other-seq", "RLY-04",
        "A drop whose signature is over another sequence. UNAUTHENTICATED.",
        drop_other, |r: &mut v1::PutCardRequest| r.seq += 1),
    script!("relay-card.flipped", "RLY-04",
        "A drop with one bit of its signature wrong. UNAUTHENTICATED.",
        drop_other, |r: &mut v1::PutCardRequest| r.signature[40] ^= 1),
];
