//! Limits at and one beyond, checks in their order, and what gRPC itself refuses.

use tokio::time::timeout;
use tonic::Code;

use super::drops::{put, put_result};
use super::{Judged, check, expect_code, fate, good_deposit, plain, registered, saw, stamped};
use crate::attack::Attacker;
use crate::attack::http2::{Connection, END_HEADERS, call, frame, kind};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::relay_client::{Client, Fate, Owner, pace};
use crate::stack::envelope::{Envelope, HOUR_MS};
use crate::stack::relay::{sign_drop, verify_drop};
use crate::stack::v1::{self, DepositRefusal, PutCardResult};
use crate::verdict::Verdict;

/// The address of the suite that is not that of its honest clients.
const OTHER: u8 = 9;

/// The largest envelope there is, with the longest stamp.
async fn largest(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (mut envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    envelope.ext = vec![7; 256];
    envelope.sealed.resize(1_136 + 65_536, 7);
    let request = v1::SyncRequest { stamp: vec![7; 64], envelope: envelope.bytes() };
    check(request.envelope.len() == 67_017, || "the suite's largest is another".to_owned())?;
    fate(&mut client, request, Fate::Stored).await
}

/// Expiries within a relay's bounds, by an hour at least.
async fn expiry_within(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let hour = ctx.now() / HOUR_MS * HOUR_MS;
    for expires_at in [hour - 22 * HOUR_MS, hour, hour + 15 * 24 * HOUR_MS] {
        let (mut envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
        envelope.expires_at = expires_at;
        fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
    }
    Ok(())
}

/// An envelope with two faults gets the reason that is checked first.
async fn first_fault(
    ctx: &mut Ctx,
    change: fn(&mut Envelope, u64) -> Vec<u8>,
    reason: DepositRefusal,
) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let nobody = Owner::new(&mut ctx.fresh);
    let (mut envelope, _) = nobody.envelope(ctx.now(), &mut ctx.fresh);
    let bytes = change(&mut envelope, ctx.now());
    let request = v1::SyncRequest { stamp: Vec::new(), envelope: bytes };
    fate(&mut client, request, Fate::Refused(reason as i32)).await?;
    good_deposit(ctx, &mut client, &owner).await
}

/// Four depositors with the same envelope: one is first.
async fn same_at_once(ctx: &mut Ctx) -> Judged {
    let (client, owner) = registered(ctx).await?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let mut depositing = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (mut client, request) = (client.clone(), stamped(&owner, &envelope));
        depositing.spawn(async move { client.deposit(vec![request]).await });
    }
    let mut stored = 0;
    while let Some(done) = depositing.join_next().await {
        let (fates, ended) = done.map_err(|error| Verdict::Error(error.to_string()))?;
        ended.map_err(saw("a deposit"))?;
        match fates.values().next() {
            Some(Fate::Stored) => stored += 1,
            Some(Fate::Duplicate) => {}
            other => return Err(Verdict::Fail(format!("{other:?} for a copy"))),
        }
    }
    check(stored == 1, || format!("{stored} of four copies are STORED"))
}

/// A message that ends in its middle, and then the call.
async fn half_message(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    half_deposit(ctx, &owner, &envelope).await?;
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await
}

/// Deposits all of an envelope's request but its last byte, and closes the connection.
pub(super) async fn half_deposit(ctx: &mut Ctx, owner: &Owner, envelope: &Envelope) -> Judged {
    let lost = |error| Verdict::Inconclusive(format!("a connection: {error}"));
    let attacker = Attacker::new(OTHER, 0, ctx.target);
    let mut connection = Connection::open(&attacker, 65_535).await.map_err(lost)?;
    let request = prost::Message::encode_to_vec(&stamped(owner, envelope));
    let mut message = vec![0];
    message.extend_from_slice(&(request.len() as u32).to_be_bytes());
    message.extend_from_slice(&request[..request.len() - 1]);
    let stream = connection.stream();
    let headers = frame(kind::HEADERS, END_HEADERS, stream, &call("Sync"));
    connection.write_deaf(&headers).await.map_err(lost)?;
    connection.write_deaf(&frame(kind::DATA, 0, stream, &message)).await.map_err(lost)?;
    connection.write_deaf(&frame(kind::PING, 0, 0, &[7; 8])).await.map_err(lost)?;
    // Its answer says that what stood before it was read.
    loop {
        let next = timeout(ctx.deadline, connection.read_frame()).await;
        let silent = |_| Verdict::Inconclusive("no answer to a PING".to_owned());
        if next.map_err(silent)?.map_err(lost)?.0 == kind::PING {
            return Ok(());
        }
    }
}

/// A call whose message is longer than any.
async fn oversize(ctx: &mut Ctx, purge: bool) -> Judged {
    let mut client = Client::connect(ctx).await?;
    pace(&client).await;
    if purge {
        let keys = vec![vec![7; 32]; 4_000];
        let refused = client.calls.purge(v1::PurgeRequest { keys }).await;
        expect_code(refused, Code::OutOfRange)?;
    } else {
        let owner = Owner::new(&mut ctx.fresh);
        expect_code(put(&mut client, &owner, 5, &vec![7; 131_072]).await, Code::OutOfRange)?;
    }
    Client::connect(ctx).await.map(drop)
}

/// An envelope in a message that is longer than any: in a stream a wrong length.
async fn oversize_in_stream(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let mut bytes = envelope.bytes();
    bytes.resize(131_073, 7);
    let request = v1::SyncRequest { stamp: Vec::new(), envelope: bytes };
    let (_, ended) = client.deposit(vec![request]).await;
    expect_code(ended, Code::InvalidArgument)?;
    good_deposit(ctx, &mut client, &owner).await
}

/// Blobs of the least and the most bytes, then a newer one, then another of the same seq.
async fn blob_lengths(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    for (seq, length) in [(1, 1), (2, 8_192)] {
        let got = put(&mut client, &owner, seq, &vec![7; length]).await;
        let got = got.map_err(saw("PutCard"))?;
        let stored = got.result == PutCardResult::Stored as i32 && got.seq == seq;
        check(stored, || format!("{got:?} for a blob of {length} bytes"))?;
    }
    Ok(())
}

/// A newer drop takes the place of the older one; another of its sequence does not.
async fn newer(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    put_result(&mut client, &owner, 5, PutCardResult::Stored).await?;
    let blob = vec![9; 4_096];
    for (seq, other, result) in
        [(9, &blob, PutCardResult::Stored), (9, &vec![8; 2_048], PutCardResult::Old)]
    {
        let got = put(&mut client, &owner, seq, other).await.map_err(saw("PutCard"))?;
        check(got.result == result as i32 && got.seq == 9, || {
            format!("expected {result:?} and 9, got {got:?}")
        })?;
    }
    pace(&client).await;
    let mailbox = owner.mailbox();
    let request = v1::GetCardRequest { mailbox: mailbox.to_vec() };
    let got = client.calls.get_card(request).await.map_err(saw("GetCard"))?.into_inner();
    check(got.seq == 9 && got.blob == blob, || format!("seq {} is read", got.seq))?;
    let signature = got.signature.as_slice().try_into().unwrap_or(&[0; 64]);
    let verified = verify_drop(&mailbox, got.seq, &got.blob, signature);
    check(verified.is_ok(), || "the drop that is read does not verify".to_owned())
}

/// A drop with two faults gets the answer that is checked first.
async fn drop_order(ctx: &mut Ctx, blob: usize, code: Code) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let nobody = Owner::new(&mut ctx.fresh);
    let (mailbox, blob) = (nobody.mailbox(), vec![7; blob]);
    // A signature over another sequence, of a mailbox that is not registered.
    let signature = sign_drop(&nobody.seed, &mailbox, 6, &[7; 2048]).to_vec();
    pace(&client).await;
    let request = v1::PutCardRequest { mailbox: mailbox.to_vec(), seq: 5, blob, signature };
    expect_code(client.calls.put_card(request).await, code)?;
    put_result(&mut client, &nobody, 5, PutCardResult::Unregistered).await
}

/// Stamps that are not those of the registered deposit key.
async fn other_stamps(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mut requests = Vec::new();
    for _ in 0..64 {
        requests.push(plain(&owner.envelope(ctx.now(), &mut ctx.fresh).0));
    }
    client.deposit(requests).await.1.map_err(saw("64 unstamped envelopes"))?;
    let no_room = Fate::Refused(DepositRefusal::NoRoom as i32);
    // By somebody else's deposit key; 15 bytes; 17 bytes of which 16 are right.
    let other = Owner::new(&mut ctx.fresh);
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let good = stamped(&owner, &envelope);
    let (mut short, mut long) = (good.clone(), good.clone());
    short.stamp.truncate(15);
    long.stamp.push(0);
    for request in [stamped(&other, &envelope), short, long] {
        fate(&mut client, request, no_room).await?;
    }
    fate(&mut client, good, Fate::Stored).await
}

use DepositRefusal::{Expiry, Malformed};

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-sync.largest", "RLY-10",
        "An envelope of 67,017 bytes with a stamp of 64. STORED.", largest),
    script!("relay-sync.oversize", "RLY-10",
        "A message of more than 131,072 bytes. INVALID_ARGUMENT, as for a wrong length.",
        oversize_in_stream),
    script!("relay-sync.expiry-within", "RLY-12",
        "Expiries 22 hours ago, now, and 15 days ahead. STORED.", expiry_within),
    script!("relay-sync.malformed-first", "RLY-11",
        "A byte behind an envelope that has expired, for a mailbox that is not known. MALFORMED.",
        first_fault, |e: &mut Envelope, now: u64| {
            e.expires_at = now / HOUR_MS * HOUR_MS - 26 * HOUR_MS;
            let mut bytes = e.bytes();
            bytes.push(0);
            bytes
        }, Malformed),
    script!("relay-sync.expiry-first", "RLY-12",
        "An envelope that has expired, for a mailbox that is not known. EXPIRY.",
        first_fault, |e: &mut Envelope, now: u64| {
            e.expires_at = now / HOUR_MS * HOUR_MS - 26 * HOUR_MS;
            e.bytes()
        }, Expiry),
    script!("relay-sync.same-at-once", "RLY-15",
        "Four streams with the same envelope. One STORED, three DUPLICATE.", same_at_once),
    script!("relay-sync.half-message", "RLY-22",
        "A request that ends before its last byte. The envelope is not there.", half_message),
    script!("relay-sync.stamp-others", "RLY-16",
        "Stamps of another deposit key, of 15 and of 17 bytes. They count as none.",
        other_stamps),
    script!("relay-purge.oversize", "RLY-43",
        "4,000 keys, in a message of more than 131,072 bytes. OUT_OF_RANGE.", oversize, true),
    script!("relay-card.oversize", "RLY-46",
        "A blob of 131,072 bytes. OUT_OF_RANGE.", oversize, false),
    script!("relay-card.lengths", "RLY-46",
        "Blobs of 1 and of 8,192 bytes. STORED.", blob_lengths),
    script!("relay-card.newer", "RLY-49",
        "A newer drop, and another of the same sequence. STORED and OLD.", newer),
    script!("relay-card.read-as-put", "RLY-51",
        "A drop that took an older one's place. It is read as it was put, and verifies.", newer),
    script!("relay-card.length-first", "RLY-46",
        "An empty blob and a bad signature. INVALID_ARGUMENT, which is checked first.",
        drop_order, 0, Code::InvalidArgument),
    script!("relay-card.signature-first", "RLY-47",
        "A bad signature of a mailbox that is not registered. UNAUTHENTICATED.",
        drop_order, 2_048, Code::Unauthenticated),
];
