//! Purging and card drops (`spec/relay.md` sections 5 and 6).

use tonic::{Code, Status};

use super::{Judged, check, expect_code, fate, registered, saw, stamped};
use crate::case::Ctx;
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
    pace().await;
    let keys = vec![key.to_vec(), vec![7; 32]];
    client.calls.purge(v1::PurgeRequest { keys }).await.map_err(saw("Purge"))?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let got = pulling.map_err(saw("an honest proof"))?.envelope().await.map_err(saw("one"))?;
    check(got.envelope == second.bytes(), || "the purged envelope came".to_owned())
}

pub(super) async fn purge_refused(ctx: &mut Ctx, keys: Vec<Vec<u8>>) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let fine = v1::PurgeRequest { keys: vec![vec![7; 32]; 256] };
    pace().await;
    client.calls.purge(fine).await.map_err(saw("256 keys"))?;
    pace().await;
    let refused = client.calls.purge(v1::PurgeRequest { keys }).await;
    expect_code(refused, Code::InvalidArgument)?;
    Client::connect(ctx).await.map(drop)
}

async fn put(
    client: &mut Client,
    owner: &Owner,
    seq: u64,
    blob: &[u8],
) -> Result<v1::PutCardResponse, Status> {
    pace().await;
    let mailbox = owner.mailbox();
    let signature = sign_drop(&owner.seed, &mailbox, seq, blob).to_vec();
    let request =
        v1::PutCardRequest { mailbox: mailbox.to_vec(), seq, blob: blob.to_vec(), signature };
    Ok(client.calls.put_card(request).await?.into_inner())
}

async fn expect_put(client: &mut Client, owner: &Owner, seq: u64, result: PutCardResult) -> Judged {
    let got = put(client, owner, seq, &[7; 2048]).await.map_err(saw("PutCard"))?;
    check(got.result == result as i32, || format!("expected {result:?}, got {got:?}"))
}

pub(super) async fn drop_kept(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    expect_put(&mut client, &owner, 5, PutCardResult::Stored).await?;
    expect_put(&mut client, &owner, 5, PutCardResult::Stored).await?;
    expect_put(&mut client, &owner, 4, PutCardResult::Old).await?;
    pace().await;
    let request = v1::GetCardRequest { mailbox: owner.mailbox().to_vec() };
    let got = client.calls.get_card(request).await.map_err(saw("GetCard"))?.into_inner();
    check(got.seq == 5 && got.blob == [7; 2048], || "another drop than was put".to_owned())
}

pub(super) async fn drop_unregistered(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    expect_put(&mut client, &owner, 5, PutCardResult::Stored).await?;
    let nobody = Owner::new(&mut ctx.fresh);
    expect_put(&mut client, &nobody, 5, PutCardResult::Unregistered).await
}

pub(super) async fn drop_blob(ctx: &mut Ctx, length: usize) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let bad = put(&mut client, &owner, 5, &vec![7; length]).await;
    expect_code(bad, Code::InvalidArgument)?;
    expect_put(&mut client, &owner, 5, PutCardResult::Stored).await
}

pub(super) async fn drop_signature(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mailbox = owner.mailbox();
    let signature = sign_drop(&owner.seed, &mailbox, 6, &[7; 2048]).to_vec();
    pace().await;
    let (mailbox, blob) = (mailbox.to_vec(), vec![7; 2048]);
    let request = v1::PutCardRequest { mailbox, seq: 5, blob, signature };
    expect_code(client.calls.put_card(request).await, Code::Unauthenticated)?;
    expect_put(&mut client, &owner, 5, PutCardResult::Stored).await
}

pub(super) async fn drop_none(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let nobody = Owner::new(&mut ctx.fresh);
    for who in [&owner, &nobody] {
        pace().await;
        let request = v1::GetCardRequest { mailbox: who.mailbox().to_vec() };
        expect_code(client.calls.get_card(request).await, Code::NotFound)?;
    }
    Ok(())
}
