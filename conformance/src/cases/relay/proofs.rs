//! What a proof binds, and what a stream takes after it (`spec/relay.md`, section 4).

use tonic::Code;

use super::{Judged, check, expect_code, fate, plain, registered, saw, stamped, three};
use crate::case::Ctx;
use crate::cases::{Script, script};
use crate::relay_client::{Client, Fate, Owner, ProofFault};
use crate::stack::relay::Authority;
use crate::stack::v1::pull_request::Step;
use crate::stack::v1::pull_response::Step as Answer;
use crate::stack::v1::{self, DepositRefusal, PullEndReason};
use crate::verdict::Verdict;

/// When a proof was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signed {
    /// Before it was changed: the signature is over something else.
    Before,
    /// After it was changed: the signature is good.
    After,
}

fn proof(proof: v1::PullProof) -> v1::PullRequest {
    v1::PullRequest { step: Some(Step::Proof(proof)) }
}

async fn offered(
    ctx: &mut Ctx,
    client: &mut Client,
    owner: &Owner,
    signed: Signed,
    change: fn(&mut v1::PullProof),
) -> Result<crate::relay_client::Pulling, tonic::Status> {
    let rng = &mut ctx.fresh;
    client
        .pull_first(|client, challenge| {
            let challenge = &challenge.challenge;
            let mut made = client.proof(owner, ProofFault::None, challenge, rng);
            change(&mut made);
            if signed == Signed::After {
                made.signature = client.sign(owner, challenge, &made);
            }
            proof(made)
        })
        .await
}

/// A field of a proof is changed.
async fn refused(
    ctx: &mut Ctx,
    signed: Signed,
    change: fn(&mut v1::PullProof),
    code: Code,
) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    expect_code(offered(ctx, &mut client, &owner, signed, change).await, code)?;
    Client::connect(ctx).await.map(drop)
}

/// A consumer that is not zero, with a good signature.
async fn consumer(ctx: &mut Ctx) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let owner = Owner::new(&mut ctx.fresh);
    let other = |proof: &mut v1::PullProof| proof.consumer = vec![7; 8];
    let opened = offered(ctx, &mut client, &owner, Signed::After, other).await;
    opened.map(drop).map_err(saw("a proof with a consumer"))
}

/// A proof that another stream has seen.
async fn replayed(ctx: &mut Ctx) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let owner = Owner::new(&mut ctx.fresh);
    let rng = &mut ctx.fresh;
    let mut kept = None;
    let first = client.pull_first(|client, challenge| {
        let made = client.proof(&owner, ProofFault::None, &challenge.challenge, rng);
        proof(kept.insert(made).clone())
    });
    first.await.map_err(saw("an honest proof"))?;
    let kept = kept.ok_or_else(|| Verdict::Error("no proof was made".to_owned()))?;
    let again = client.pull_first(|_, _| proof(kept)).await;
    expect_code(again, Code::Unauthenticated)?;
    Client::connect(ctx).await.map(drop)
}

/// A second proof on a stream that is open.
async fn second_proof(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let rng = &mut ctx.fresh;
    let mut kept = None;
    let first = client.pull_first(|client, challenge| {
        let made = client.proof(&owner, ProofFault::None, &challenge.challenge, rng);
        proof(kept.insert(made).clone())
    });
    let mut pulling = first.await.map_err(saw("an honest proof"))?;
    pulling.send(v1::PullRequest { step: kept.map(Step::Proof) }).await;
    expect_code(pulling.next().await, Code::InvalidArgument)?;
    Client::connect(ctx).await.map(drop)
}

/// A proof without a deposit key leaves the one that is registered.
async fn key_kept(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let mut requests = Vec::new();
    for _ in 0..64 {
        requests.push(plain(&owner.envelope(ctx.now(), &mut ctx.fresh).0));
    }
    client.deposit(requests).await.1.map_err(saw("64 unstamped envelopes"))?;
    let without = |proof: &mut v1::PullProof| proof.deposit_key.clear();
    let opened = offered(ctx, &mut client, &owner, Signed::After, without).await;
    opened.map_err(saw("a proof without a deposit key"))?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    let no_room = Fate::Refused(DepositRefusal::NoRoom as i32);
    fate(&mut client, plain(&envelope), no_room).await?;
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await
}

/// An attempt that fails ends no stream of the owner.
async fn not_superseded(ctx: &mut Ctx) -> Judged {
    let (mut client, owner) = registered(ctx).await?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    let other = client.pull(&owner, ProofFault::Signature, &mut ctx.fresh).await;
    expect_code(other, Code::Unauthenticated)?;
    let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
    fate(&mut client, stamped(&owner, &envelope), Fate::Stored).await?;
    let got = pulling.envelope().await.map_err(saw("a live envelope"))?;
    check(got.envelope == envelope.bytes(), || "another envelope".to_owned())
}

/// Two owners listen at once.
async fn two_owners(ctx: &mut Ctx) -> Judged {
    let mut client = Client::connect(ctx).await?;
    let owners = [Owner::new(&mut ctx.fresh), Owner::new(&mut ctx.fresh)];
    let mut streams = Vec::new();
    for owner in &owners {
        let pulling = client.pull(owner, ProofFault::None, &mut ctx.fresh).await;
        streams.push(pulling.map_err(saw("an honest proof"))?);
    }
    let mut expected = [Vec::new(), Vec::new()];
    for _ in 0..4 {
        for (owner, expected) in owners.iter().zip(&mut expected) {
            let (envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
            fate(&mut client, stamped(owner, &envelope), Fate::Stored).await?;
            expected.push(envelope.bytes());
        }
    }
    for (pulling, expected) in streams.iter_mut().zip(&expected) {
        for bytes in expected {
            let got = pulling.envelope().await.map_err(saw("a live envelope"))?;
            check(&got.envelope == bytes, || "another's envelope, or order".to_owned())?;
        }
    }
    Ok(())
}

/// 70 envelopes of the largest class, of which 62 fit into 4 MiB.
async fn window_bytes(ctx: &mut Ctx) -> Judged {
    const ALL: usize = 70;
    const WINDOW_BYTES: usize = 4 << 20;
    let (mut client, owner) = registered(ctx).await?;
    let (mut requests, mut length) = (Vec::new(), 0);
    for _ in 0..ALL {
        let (mut envelope, _) = owner.envelope(ctx.now(), &mut ctx.fresh);
        envelope.sealed.resize(1_136 + 65_536, 7);
        length = envelope.bytes().len();
        requests.push(stamped(&owner, &envelope));
    }
    client.deposit(requests).await.1.map_err(saw("deposits"))?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    let fits = WINDOW_BYTES / length;
    let (mut came, mut last) = (0, 0);
    // What more there is comes at once: the first that is missing shows the window. A relay
    // may stop earlier by one envelope of the largest size.
    let soon = std::time::Duration::from_millis(300);
    loop {
        let patience = if came + 1 < fits { ctx.deadline } else { soon };
        match tokio::time::timeout(patience, pulling.envelope()).await {
            Ok(got) => last = got.map_err(saw("an envelope of the window"))?.seq,
            Err(_) => break,
        }
        came += 1;
        check(came <= fits, || format!("{came} envelopes of {length} bytes are on their way"))?;
    }
    check(came + 1 >= fits, || format!("only {came} of {fits} envelopes came"))?;
    pulling.ack(&pulling.epoch.clone(), last).await;
    for _ in came..ALL {
        pulling.envelope().await.map_err(saw("an envelope after the acknowledgement"))?;
    }
    Ok(())
}

/// An acknowledgement that says less than the one before it.
async fn ack_less(ctx: &mut Ctx) -> Judged {
    let (mut client, owner, sent) = three(ctx).await?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    let mut seqs = Vec::new();
    for _ in 0..3 {
        seqs.push(pulling.envelope().await.map_err(saw("an envelope"))?.seq);
    }
    let epoch = pulling.epoch.clone();
    for up_to in [seqs[1], seqs[0], 0] {
        pulling.ack(&epoch, up_to).await;
    }
    let end = pulling.close().await.map_err(saw("a smaller acknowledgement"))?;
    check(end == Some(PullEndReason::Closed as i32), || format!("ended with {end:?}"))?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let got =
        pulling.map_err(saw("an honest proof"))?.envelope().await.map_err(saw("the third"))?;
    check(got.envelope == sent[2], || "an acknowledged envelope came again".to_owned())
}

/// What was not sent on this stream, though it was on another, cannot be acknowledged.
async fn ack_not_sent_here(ctx: &mut Ctx) -> Judged {
    let (mut client, owner, _) = three(ctx).await?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    let mut last = 0;
    for _ in 0..3 {
        last = pulling.envelope().await.map_err(saw("an envelope"))?.seq;
    }
    pulling.ack(&pulling.epoch.clone(), last).await;
    pulling.close().await.map_err(saw("closing"))?;
    // Nothing is held, so nothing is sent: even what was good before is too much.
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    pulling.ack(&pulling.epoch.clone(), last).await;
    expect_code(pulling.next().await, Code::InvalidArgument)?;
    Client::connect(ctx).await.map(drop)
}

/// An acknowledgement whose epoch has another length.
async fn ack_short_epoch(ctx: &mut Ctx) -> Judged {
    let (mut client, owner, _) = three(ctx).await?;
    let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
    let mut pulling = pulling.map_err(saw("an honest proof"))?;
    let seq = pulling.envelope().await.map_err(saw("an envelope"))?.seq;
    pulling.ack(&pulling.epoch[..15], seq).await;
    loop {
        match pulling.next().await {
            Ok(Some(Answer::Envelope(_))) => {}
            ended => {
                expect_code(ended, Code::InvalidArgument)?;
                return Client::connect(ctx).await.map(drop);
            }
        }
    }
}

/// A stream that is reset in its middle acknowledges nothing.
async fn reset(ctx: &mut Ctx) -> Judged {
    let (mut client, owner, sent) = three(ctx).await?;
    for _ in 0..2 {
        let pulling = client.pull(&owner, ProofFault::None, &mut ctx.fresh).await;
        let mut pulling = pulling.map_err(saw("an honest proof"))?;
        let got = pulling.envelope().await.map_err(saw("an envelope"))?;
        check(got.envelope == sent[0], || "an envelope that nobody acknowledged is gone".into())?;
    }
    Ok(())
}

use Code::{FailedPrecondition, InvalidArgument, Unauthenticated};
use Signed::{After, Before};

/// All of them.
#[rustfmt::skip] // a table
pub const SCRIPTS: &[Script] = &[
    script!("relay-pull.other-nonce", "RLY-03",
        "Another client nonce than was signed. UNAUTHENTICATED.",
        refused, Before, |p: &mut v1::PullProof| p.client_nonce[5] ^= 1, Unauthenticated),
    script!("relay-pull.other-consumer", "RLY-03",
        "Another consumer than was signed. UNAUTHENTICATED.",
        refused, Before, |p: &mut v1::PullProof| p.consumer = vec![7; 8], Unauthenticated),
    script!("relay-pull.other-deposit-key", "RLY-03",
        "Another deposit key than was signed. UNAUTHENTICATED.",
        refused, Before, |p: &mut v1::PullProof| p.deposit_key[5] ^= 1, Unauthenticated),
    script!("relay-pull.no-deposit-key", "RLY-03",
        "A deposit key was signed and is not there. UNAUTHENTICATED.",
        refused, Before, |p: &mut v1::PullProof| p.deposit_key.clear(), Unauthenticated),
    script!("relay-pull.consumer", "RLY-03",
        "A consumer that is not zero, and signed. The stream is opened.", consumer),
    script!("relay-pull.replayed", "RLY-03",
        "The proof of an earlier stream, byte for byte. UNAUTHENTICATED.", replayed),
    script!("relay-pull.second-proof", "RLY-27",
        "The same proof twice on one stream. INVALID_ARGUMENT.", second_proof),
    script!("relay-pull.short-consumer", "RLY-29",
        "A consumer of 7 bytes. INVALID_ARGUMENT.",
        refused, After, |p: &mut v1::PullProof| p.consumer.truncate(7), InvalidArgument),
    script!("relay-pull.short-deposit-key", "RLY-29",
        "A deposit key of 31 bytes. INVALID_ARGUMENT.",
        refused, After, |p: &mut v1::PullProof| p.deposit_key.truncate(31), InvalidArgument),
    script!("relay-pull.short-signature", "RLY-29",
        "A signature of 63 bytes. INVALID_ARGUMENT.",
        refused, Before, |p: &mut v1::PullProof| p.signature.truncate(63), InvalidArgument),
    script!("relay-pull.length-first", "RLY-29",
        "A nonce of 31 bytes and another authority. INVALID_ARGUMENT, which is checked first.",
        refused, After, |p: &mut v1::PullProof| {
            p.client_nonce.truncate(31);
            p.authority = Authority::host("elsewhere.example", 443).bytes();
        }, InvalidArgument),
    script!("relay-pull.authority-first", "RLY-30",
        "Another authority and a bad signature. FAILED_PRECONDITION, which is checked first.",
        refused, Before, |p: &mut v1::PullProof| {
            p.authority = Authority::host("elsewhere.example", 443).bytes();
        }, FailedPrecondition),
    script!("relay-pull.authority-port", "RLY-30",
        "A proof for another port, signed. FAILED_PRECONDITION.",
        refused, After, |p: &mut v1::PullProof| {
            if let Some(last) = p.authority.last_mut() { *last ^= 1; }
        }, FailedPrecondition),
    script!("relay-pull.deposit-key-kept", "RLY-16",
        "A later proof without a deposit key. Stamps of the registered one count still.",
        key_kept),
    script!("relay-pull.not-superseded", "RLY-34",
        "A newer stream whose proof fails. The older one goes on.", not_superseded),
    script!("relay-pull.two-owners", "RLY-37",
        "Two mailboxes on one connection. Each stream has its own, in order.", two_owners),
    script!("relay-pull.window-bytes", "RLY-38",
        "70 envelopes of 66 KiB. No more than 4 MiB come before an acknowledgement.",
        window_bytes),
    script!("relay-pull.ack-less", "RLY-42",
        "Two are acknowledged, then one, then none. The smaller ones are ignored.", ack_less),
    script!("relay-pull.ack-elsewhere", "RLY-41",
        "A sequence that only an earlier stream has sent. INVALID_ARGUMENT.", ack_not_sent_here),
    script!("relay-pull.ack-short-epoch", "RLY-41",
        "An epoch of 15 bytes. INVALID_ARGUMENT.", ack_short_epoch),
    script!("relay-pull.reset", "RLY-24",
        "Streams that are reset without an acknowledgement. All envelopes are there.", reset),
];
