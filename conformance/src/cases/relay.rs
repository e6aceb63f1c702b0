//! Relays (`spec/relay.md`). Each script has its twin in itself: the honest
//! owner and depositor are served before and after.

pub mod depositing;
pub mod drops;
pub mod edges;
pub mod fetching;
pub mod kills;
pub mod places;
pub mod proofs;
pub mod stops;
pub mod times;

use tonic::{Code, Status};

use self::drops::{
    drop_blob, drop_kept, drop_none, drop_signature, drop_unregistered, purge, purge_refused,
};
use super::{Script, script};
use crate::case::Ctx;
use crate::relay_client::{Client, Fate, Owner, ProofFault, unexpected, verified};
use crate::stack::crypto::{blake2b_256, label};
use crate::stack::envelope::{Envelope, HOUR_MS, envelope_id};
use crate::stack::proofs::stamp;
use crate::stack::relay::Authority;
use crate::stack::v1::{self, DepositRefusal, PullEndReason, pull_response};
use crate::verdict::{Judged, Verdict, check, verdict};

fn saw(what: &str) -> impl Fn(Status) -> Verdict {
    move |status| unexpected(what, &status)
}

fn expect_code<T>(result: Result<T, Status>, code: Code) -> Judged {
    match result {
        Ok(_) => Err(Verdict::Fail(format!("accepted instead of {code:?}"))),
        Err(status) if status.code() == code => Ok(()),
        Err(status) => Err(unexpected(&format!("instead of {code:?}"), &status)),
    }
}

/// A relay that proves its key: what is tried first and last of all.
pub async fn sanity(ctx: &mut Ctx) -> Verdict {
    verdict(Client::connect(ctx).await.map(drop))
}

/// A client, and an owner whose mailbox is registered.
pub(super) async fn registered(ctx: &mut Ctx) -> Result<(Client, Owner), Verdict> {
    let mut client = Client::connect(ctx).await?;
    let owner = Owner::new(&mut ctx.fresh);
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    pulling.map_err(saw("an honest proof"))?.close().await.map_err(saw("closing a Pull"))?;
    Ok((client, owner))
}

fn plain(envelope: &Envelope) -> v1::SyncRequest {
    v1::SyncRequest { stamp: Vec::new(), envelope: envelope.bytes() }
}

fn stamped(owner: &Owner, envelope: &Envelope) -> v1::SyncRequest {
    let bytes = envelope.bytes();
    let stamp = stamp(&owner.deposit_key, &envelope_id(&bytes)).to_vec();
    v1::SyncRequest { stamp, envelope: bytes }
}

async fn fate(client: &mut Client, request: v1::SyncRequest, expected: Fate) -> Judged {
    let id = envelope_id(&request.envelope).to_vec();
    let (fates, ended) = client.deposit(vec![request]).await;
    ended.map_err(saw("a deposit"))?;
    let got = fates.get(&id).copied();
    check(got == Some(expected), || format!("expected {expected:?}, got {got:?}"))
}

pub(super) async fn good_deposit(ctx: &mut Ctx, client: &mut Client, owner: &Owner) -> Judged {
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(client, stamped(owner, &envelope), Fate::Stored).await
}

async fn info_authority(ctx: &mut Ctx) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let other = Authority::host("elsewhere.example", 443).bytes();
    let nonce: [u8; 32] = ctx.fresh.array();
    expect_code(client.info(&nonce, &other).await, Code::FailedPrecondition)?;
    Client::connect(ctx).await.map(drop)
}

async fn info_nonce(ctx: &mut Ctx) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let authority = client.authority.clone();
    for _ in 0..2 {
        let nonce: [u8; 32] = ctx.fresh.array();
        let info = client.info(&nonce, &authority).await.map_err(saw("GetInfo"))?;
        check(verified(&info, &nonce, &authority).is_some(), || {
            "the signature is not over this nonce".to_owned()
        })?;
        check(info.epoch.len() == 16 && info.versions.contains(&1), || {
            "no epoch of 16 bytes, or no version 1".to_owned()
        })?;
    }
    Ok(())
}

async fn proof_fault(ctx: &mut Ctx, fault: ProofFault, code: Code) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    expect_code(client.pull(&owner, fault, &mut ctx.fresh).await, code)?;
    registered(ctx).await.map(drop)
}

async fn stored_and_duplicate(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
    fate(&mut client, stamped(&owner, &envelope), Fate::Duplicate).await
}

async fn refused(
    ctx: &mut Ctx,
    change: fn(&mut v1::SyncRequest, Envelope, u64),
    reason: DepositRefusal,
) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    good_deposit(ctx, &mut client, &owner).await?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let mut request = stamped(&owner, &envelope);
    change(&mut request, envelope, ctx.now());
    fate(&mut client, request, Fate::Refused(reason as i32)).await?;
    good_deposit(ctx, &mut client, &owner).await
}

async fn ended(ctx: &mut Ctx, change: fn(&mut v1::SyncRequest)) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let mut request = stamped(&owner, &envelope);
    fate(&mut client, request.clone(), Fate::Stored).await?;
    change(&mut request);
    let (_, ended) = client.deposit(vec![request]).await;
    expect_code(ended, Code::InvalidArgument)?;
    good_deposit(ctx, &mut client, &owner).await
}

async fn malformed_nine(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let junk = |n: u8| v1::SyncRequest { stamp: Vec::new(), envelope: vec![9, n] };
    let (fates, eight) = client.deposit((0..8).map(junk).collect()).await;
    eight.map_err(saw("eight malformed envelopes"))?;
    check(fates.len() == 8, || format!("{} answers to eight envelopes", fates.len()))?;
    let (_, nine) = client.deposit((0..9).map(junk).collect()).await;
    expect_code(nine, Code::InvalidArgument)?;
    good_deposit(ctx, &mut client, &owner).await
}

async fn unregistered(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    good_deposit(ctx, &mut client, &owner).await?;
    let nobody = Owner::new(&mut ctx.fresh);
    let (envelope, _) = nobody.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, plain(&envelope), Fate::Refused(DepositRefusal::NoRoom as i32)).await
}

async fn strangers_64(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mut requests = Vec::new();
    for _ in 0..64 {
        requests.push(plain(&owner.envelope(ctx.now(), &mut ctx.fresh).0));
    }
    let (fates, ended) = client.deposit(requests).await;
    ended.map_err(saw("64 unstamped envelopes"))?;
    let stored = fates.values().filter(|fate| **fate == Fate::Stored).count();
    check(stored == 64, || format!("{stored} of 64 unstamped envelopes are stored"))?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let no_room = Fate::Refused(DepositRefusal::NoRoom as i32);
    fate(&mut client, plain(&envelope), no_room).await?;
    // A stamp of another envelope is no stamp.
    let mut wrong = plain(&envelope);
    wrong.stamp = stamp(&owner.deposit_key, &[7; 32]).to_vec();
    fate(&mut client, wrong, no_room).await?;
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await
}

/// A mailbox with no room for strangers: what is stored counted as stamped.
async fn stamp_formula(ctx: &mut Ctx, make: fn(&Owner, &[u8; 32]) -> Vec<u8>) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mut requests = Vec::new();
    for _ in 0..64 {
        requests.push(plain(&owner.envelope(ctx.now(), &mut ctx.fresh).0));
    }
    client.deposit(requests).await.1.map_err(saw("64 unstamped envelopes"))?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let mut wrong = plain(&envelope);
    wrong.stamp = make(&owner, &envelope_id(&wrong.envelope));
    let no_room = Fate::Refused(DepositRefusal::NoRoom as i32);
    fate(&mut client, wrong, no_room).await?;
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await
}

/// Deposits three and gives them in their order, with a stream that is open.
async fn three(ctx: &mut Ctx) -> Result<(Client, Owner, Vec<Vec<u8>>), Verdict> {
    let (mut client, owner) = registered(ctx).await?;
    let mut sent = Vec::new();
    for _ in 0..3 {
        let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
        fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
        sent.push(envelope.bytes());
    }
    Ok((client, owner, sent))
}

async fn pull_order(ctx: &mut Ctx) -> Judged {
    let (mut client, owner, mut sent) = three(ctx).await?;
    for _ in 0..2 {
        // Nothing is acknowledged, so everything comes again.
        let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
        let mut pulling = pulling.map_err(saw("an honest proof"))?;
        let mut last = 0;
        for bytes in &sent {
            let got = pulling.envelope().await.map_err(saw("a queued envelope"))?;
            check(got.seq > last, || format!("sequence {} after {last}", got.seq))?;
            check(&got.envelope == bytes, || "another envelope, or other bytes".to_owned())?;
            last = got.seq;
        }
        let (live, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
        fate(&mut client, stamped(&owner, &live), Fate::Stored).await?;
        let got = pulling.envelope().await.map_err(saw("a live envelope"))?;
        check(got.seq > last && got.envelope == live.bytes(), || {
            "the live envelope is another or has no larger sequence".to_owned()
        })?;
        sent.push(live.bytes());
        pulling.close().await.map_err(saw("closing"))?;
    }
    Ok(())
}

async fn acknowledged(ctx: &mut Ctx) -> Judged {
    let (mut client, owner, sent) = three(ctx).await?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    for _ in 0..2 {
        let got = pulling.envelope().await.map_err(saw("an envelope"))?;
        pulling.ack(&pulling.epoch.clone(), got.seq).await;
    }
    let end = pulling.close().await.map_err(saw("closing"))?;
    check(end == Some(PullEndReason::Closed as i32), || format!("the stream ended with {end:?}"))?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let got =
        pulling.map_err(saw("an honest proof"))?.envelope().await.map_err(saw("the third"))?;
    check(got.envelope == sent[2], || "an acknowledged envelope came again".to_owned())
}

async fn wrong_ack(ctx: &mut Ctx, other_epoch: bool) -> Judged {
    let (mut client, owner, sent) = three(ctx).await?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    let mut last = 0;
    for _ in 0..3 {
        last = pulling.envelope().await.map_err(saw("an envelope"))?.seq;
    }
    if other_epoch {
        pulling.ack(&[7; 16], last).await;
    } else {
        pulling.ack(&pulling.epoch.clone(), last + 1).await;
    }
    expect_code(pulling.next().await, Code::InvalidArgument)?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let got =
        pulling.map_err(saw("an honest proof"))?.envelope().await.map_err(saw("the first"))?;
    check(got.envelope == sent[0], || "a wrong acknowledgement released something".to_owned())
}

async fn superseded(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let older = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut older = older.map_err(saw("an honest proof"))?;
    let newer = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let _newer = newer.map_err(saw("a second proof"))?;
    match older.next().await.map_err(saw("the older stream"))? {
        Some(pull_response::Step::End(end)) => {
            check(end.reason == PullEndReason::Superseded as i32, || format!("{end:?}"))
        }
        other => Err(Verdict::Fail(format!("{other:?} on the older stream"))),
    }
}

async fn kill_after_stored(ctx: &mut Ctx) -> Judged {
    let Some(process) = ctx.process.clone() else {
        return Err(Verdict::NotTested("it needs --spawn".to_owned()));
    };
    let (_, owner, sent) = three(ctx).await?;
    let started = process.lock().await.restart().await;
    started.map_err(|error| Verdict::Fail(format!("it does not start again: {error}")))?;
    let mut client = Client::connect(ctx).await?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    for bytes in &sent {
        let got = pulling.envelope().await.map_err(saw("a stored envelope"))?;
        check(&got.envelope == bytes, || "another envelope than was stored".to_owned())?;
    }
    Ok(())
}

use DepositRefusal::{Expiry, Malformed};
use ProofFault as P;

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-info.nonce", "RLY-07",
        "GetInfo twice. Each answer is signed over its own nonce.", info_nonce),
    script!("relay-info.authority", "RLY-06",
        "GetInfo for elsewhere.example:443. FAILED_PRECONDITION.", info_authority),
    script!("relay-pull.signature", "RLY-31",
        "One bit of a proof's signature. UNAUTHENTICATED.",
        proof_fault, P::Signature, Code::Unauthenticated),
    script!("relay-pull.challenge", "RLY-03",
        "A proof for another challenge. UNAUTHENTICATED.",
        proof_fault, P::OtherChallenge, Code::Unauthenticated),
    script!("relay-pull.relay", "RLY-03",
        "A proof for another relay. UNAUTHENTICATED.",
        proof_fault, P::OtherRelay, Code::Unauthenticated),
    script!("relay-pull.mailbox", "RLY-31",
        "A proof by another key than the mailbox. UNAUTHENTICATED.",
        proof_fault, P::OtherMailbox, Code::Unauthenticated),
    script!("relay-pull.small-order", "RLY-31",
        "A mailbox of small order, with a signature that lenient verifiers take. UNAUTHENTICATED.",
        proof_fault, P::SmallOrder, Code::Unauthenticated),
    script!("relay-pull.authority", "RLY-30",
        "A proof for elsewhere.example:443. FAILED_PRECONDITION.",
        proof_fault, P::OtherAuthority, Code::FailedPrecondition),
    script!("relay-pull.no-mailbox", "RLY-29",
        "A proof without a mailbox. INVALID_ARGUMENT.",
        proof_fault, P::NoMailbox, Code::InvalidArgument),
    script!("relay-pull.short-mailbox", "RLY-29",
        "A mailbox of 31 bytes. INVALID_ARGUMENT.",
        proof_fault, P::ShortMailbox, Code::InvalidArgument),
    script!("relay-pull.short-nonce", "RLY-29",
        "A nonce of 31 bytes. INVALID_ARGUMENT.",
        proof_fault, P::ShortNonce, Code::InvalidArgument),
    script!("relay-pull.ack-first", "RLY-29",
        "An acknowledgement where the proof belongs. INVALID_ARGUMENT.",
        proof_fault, P::AckFirst, Code::InvalidArgument),
    script!("relay-pull.order", "RLY-37",
        "Three envelopes, twice pulled, and a live one. In order and with rising sequence.",
        pull_order),
    script!("relay-pull.acknowledged", "RLY-42",
        "Two of three are acknowledged. Only the third comes again.", acknowledged),
    script!("relay-pull.ack-ahead", "RLY-41",
        "An acknowledgement of a sequence that was not sent. INVALID_ARGUMENT, nothing released.",
        wrong_ack, false),
    script!("relay-pull.ack-other-epoch", "RLY-41",
        "An acknowledgement of another epoch. INVALID_ARGUMENT, nothing released.",
        wrong_ack, true),
    script!("relay-pull.superseded", "RLY-34",
        "Two streams of one mailbox. The older ends with SUPERSEDED.", superseded),
    script!("relay-sync.duplicate", "RLY-15",
        "An envelope twice. STORED, then DUPLICATE, each in a receipt that verifies.",
        stored_and_duplicate),
    script!("relay-sync.malformed", "RLY-11",
        "A byte behind an envelope. MALFORMED.",
        refused, |r, _, _| r.envelope.push(0), Malformed),
    script!("relay-sync.no-hour", "ENV-04",
        "An expiry that is no whole hour. MALFORMED.",
        refused, |r, mut e, _| { e.expires_at += 1; *r = plain(&e); }, Malformed),
    script!("relay-sync.malformed-nine", "RLY-11",
        "Eight malformed envelopes are answered; nine end the stream with INVALID_ARGUMENT.",
        malformed_nine),
    script!("relay-sync.expired", "RLY-12",
        "An expiry 26 hours ago. EXPIRY.",
        refused, |r, mut e, now| {
            e.expires_at = now / HOUR_MS * HOUR_MS - 26 * HOUR_MS;
            *r = plain(&e);
        }, Expiry),
    script!("relay-sync.expiry-ahead", "RLY-12",
        "An expiry 16 days ahead. EXPIRY.",
        refused, |r, mut e, now| {
            e.expires_at = now / HOUR_MS * HOUR_MS + 16 * 24 * HOUR_MS;
            *r = plain(&e);
        }, Expiry),
    script!("relay-sync.no-envelope", "RLY-10",
        "A request without an envelope. INVALID_ARGUMENT.", ended, |r| r.envelope.clear()),
    script!("relay-sync.stamp-65", "RLY-10",
        "A stamp of 65 bytes. INVALID_ARGUMENT.", ended, |r| r.stamp = vec![7; 65]),
    script!("relay-sync.envelope-67018", "RLY-10",
        "An envelope of 67,018 bytes. INVALID_ARGUMENT.",
        ended, |r| r.envelope = vec![1; 67_018]),
    script!("relay-sync.unregistered", "RLY-14",
        "An envelope for a mailbox that nobody proved. NO_ROOM.", unregistered),
    script!("relay-sync.stamp-15", "IDN-08",
        "No room for strangers; a stamp that lacks its last byte. NO_ROOM; with it, stored.",
        stamp_formula, |owner, id| stamp(&owner.deposit_key, id)[..15].to_vec()),
    script!("relay-sync.stamp-flipped", "IDN-07",
        "No room for strangers; a stamp with a flipped bit. NO_ROOM; without it, stored.",
        stamp_formula, |owner, id| {
            let mut stamp = stamp(&owner.deposit_key, id);
            stamp[15] ^= 1;
            stamp.to_vec()
        }),
    script!("relay-sync.stamp-unkeyed", "CNV-09",
        "No room for strangers; a stamp with the key before what is hashed. NO_ROOM; with the \
         key as BLAKE2b's own, stored.",
        stamp_formula, |owner, id| {
            blake2b_256(&[&owner.deposit_key, &label("stamp"), id])[..16].to_vec()
        }),
    script!("relay-sync.strangers-64", "RLY-18",
        "64 unstamped envelopes, a 65th, one with a stamp of another, and a stamped one. \
         NO_ROOM for the 65th and the wrong stamp; the stamped one is stored.", strangers_64),
    script!("relay-purge.forgets", "RLY-44",
        "A purge key of the first of two envelopes. Only the second is pulled.", purge),
    script!("relay-purge.257", "RLY-43", "257 keys. INVALID_ARGUMENT.",
        purge_refused, vec![vec![7; 32]; 257]),
    script!("relay-purge.short", "RLY-43", "A key of 31 bytes. INVALID_ARGUMENT.",
        purge_refused, vec![vec![7; 31]]),
    script!("relay-card.kept", "RLY-49",
        "A drop twice, then an older one. STORED, STORED, OLD; the first is what is read.",
        drop_kept),
    script!("relay-card.unregistered", "RLY-48",
        "A drop of a mailbox that nobody proved. UNREGISTERED.", drop_unregistered),
    script!("relay-card.empty", "RLY-46", "An empty blob. INVALID_ARGUMENT.", drop_blob, 0),
    script!("relay-card.8193", "RLY-46", "A blob of 8,193 bytes. INVALID_ARGUMENT.",
        drop_blob, 8193),
    script!("relay-card.signature", "RLY-47",
        "A drop signed for another sequence. UNAUTHENTICATED.", drop_signature),
    script!("relay-card.none", "RLY-51",
        "A mailbox without a drop and one that is not known. NOT_FOUND for both.", drop_none),
    script!("relay-sync.kill-after-stored", "RLY-22",
        "SIGKILL right after three receipts. After the restart all three are pulled.",
        kill_after_stored).managed(),
];
