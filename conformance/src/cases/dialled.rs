//! The target as initiator: it hears a beacon of the suite and dials
//! (`spec/link.md` sections 3 to 4.3, `spec/discovery.md` section 5.2).

use crate::case::{Ctx, unserved};
use crate::nearby::Host;
use crate::peer::{Answered, Deviation, Ended, Link, answer};
use crate::people::Person;
use crate::verdict::{Judged, Verdict, check, verdict};

/// What a target does with a deviation of the responder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Closes after message 2, without its `Auth`.
    CloseAfterSecond,
    /// Closes after our first record, without another byte.
    CloseAfterAuth,
    /// Goes on: it is no fault.
    Accept,
}

/// One fault of the responder.
#[derive(Debug)]
#[allow(missing_docs)] // as in Case
pub struct ReplyFault {
    pub id: &'static str,
    pub req: &'static str,
    pub about: &'static str,
    pub deviation: Deviation,
    pub expect: Expect,
}

/// Runs one: the twin first, then the fault, then another honest link.
pub async fn run(ctx: &mut Ctx, fault: &ReplyFault) -> Verdict {
    verdict(judge(ctx, fault).await)
}

async fn judge(ctx: &mut Ctx, fault: &ReplyFault) -> Judged {
    honest(ctx, "the twin").await?;
    let host = host(ctx).await?;
    let person = Person::stranger(&mut ctx.fresh);
    let answered = taken(ctx, &host, &person, Some(fault.deviation)).await?;
    let fail = |text: String| Err(Verdict::Fail(text));
    match (fault.expect, answered) {
        (Expect::Accept, Answered::Up(mut link)) => link
            .ping()
            .await
            .map_err(|ended| unserved(&format!("the link came up and then: {ended}"), &ended))?,
        (Expect::Accept, Answered::Second(ended, _) | Answered::Auth(ended)) => {
            return Err(unserved(&format!("it is no fault, and yet: {ended}"), &ended));
        }
        (_, Answered::First(ended)) => {
            return Err(unserved(&format!("no message 1: {ended}"), &ended));
        }
        (_, Answered::Up(_)) => return fail("the target goes on after our Auth".to_owned()),
        (_, Answered::Second(Ended::TimedOut, 0) | Answered::Auth(Ended::TimedOut)) => {
            let text = "the target neither went on nor closed the connection";
            return Err(Verdict::Inconclusive(text.to_owned()));
        }
        (Expect::CloseAfterSecond, Answered::Second(Ended::Closed, 0)) => {}
        (Expect::CloseAfterAuth, Answered::Auth(Ended::Closed)) => {}
        (_, Answered::Second(ended, bytes)) => {
            return fail(format!("after message 2 and {bytes} bytes of the target: {ended}"));
        }
        (_, Answered::Auth(ended)) => return fail(format!("it sent its Auth; then: {ended}")),
    }
    honest(ctx, "afterwards").await
}

/// A place for the target to dial.
///
/// # Errors
/// `not-tested` where the system has none.
pub async fn host(ctx: &mut Ctx) -> Result<Host, Verdict> {
    Host::open(ctx.target, &mut ctx.fresh, &ctx.log)
        .await
        .map_err(|error| Verdict::NotTested(format!("the suite cannot be a neighbour: {error}")))
}

/// The target's dial to a host, answered.
///
/// # Errors
/// When it does not dial.
pub async fn taken(
    ctx: &mut Ctx,
    host: &Host,
    person: &Person,
    deviation: Option<Deviation>,
) -> Result<Answered, Verdict> {
    let mut plan = ctx.plan(person);
    plan.instance_id = host.instance_id;
    plan.deviation = deviation;
    let Some(stream) = host.invite(ctx.deadline).await else {
        let text = "the target dialled no beacon of the suite (DSC-28): its UDP has to reach it";
        return Err(Verdict::Inconclusive(text.to_owned()));
    };
    Ok(answer(stream, &plan, &mut ctx.fresh, ctx.deadline, &ctx.log).await)
}

/// An honest link that the target dials.
///
/// # Errors
/// How far it came.
pub async fn up(ctx: &mut Ctx, host: &Host, person: &Person) -> Result<Box<Link>, Verdict> {
    match taken(ctx, host, person, None).await? {
        Answered::Up(link) => Ok(link),
        Answered::First(ended) | Answered::Second(ended, _) | Answered::Auth(ended) => Err(
            unserved(&format!("a link that the target dials does not come up: {ended}"), &ended),
        ),
    }
}

async fn honest(ctx: &mut Ctx, what: &str) -> Judged {
    ctx.log.add(crate::peer::Direction::Note, format!("{what}: an honest link"), &[]);
    let host = host(ctx).await?;
    let person = Person::stranger(&mut ctx.fresh);
    let mut link = up(ctx, &host, &person).await?;
    let pinged = link.ping().await;
    pinged.map_err(|ended| {
        unserved(&format!("{what}: a dialled link has no pong: {ended}"), &ended)
    })?;
    check(link.auth.is_some(), || "no Auth".to_owned())
}

const fn fault(
    id: &'static str,
    req: &'static str,
    deviation: Deviation,
    expect: Expect,
    about: &'static str,
) -> ReplyFault {
    ReplyFault { id, req, about, deviation, expect }
}

use Deviation as D;
use Expect::{Accept, CloseAfterAuth, CloseAfterSecond};

/// All of them.
#[rustfmt::skip] // a table
pub const FAULTS: &[ReplyFault] = &[
    fault("dialled.length-0", "LNK-15", D::LengthZero, CloseAfterSecond,
        "A message 2 of length 0. The target closes without its Auth."),
    fault("dialled.length-513", "LNK-15", D::LengthTooLong, CloseAfterSecond,
        "The length 513 and nothing behind it. The target closes before it reads on."),
    fault("dialled.length-512", "LNK-15", D::MessageLongest, Accept,
        "A message 2 of 512 bytes, the most that there may be. The link comes up."),
    fault("dialled.banner", "LNK-20", D::Banner, CloseAfterSecond,
        "The first line of a mail server. The target closes without another byte."),
    fault("dialled.share-short", "LNK-19", D::ShareShort, CloseAfterSecond,
        "A message 2 of 31 bytes. The target closes without its Auth."),
    fault("dialled.share-high-bit", "LNK-17", D::ShareHighBit, CloseAfterSecond,
        "A share whose highest bit is set. The target closes without its Auth."),
    fault("dialled.share-not-reduced", "LNK-17", D::ShareNotReduced, CloseAfterSecond,
        "A share of 2^255 - 10. The target closes without its Auth."),
    fault("dialled.share-zero", "LNK-18", D::ShareZero, CloseAfterSecond,
        "A share of zeros, a payload sealed with what it gives. The target closes without Auth."),
    fault("dialled.share-one", "LNK-18", D::ShareOne, CloseAfterSecond,
        "The share 1, of low order. The target closes without its Auth."),
    fault("dialled.share-order-8", "LNK-18", D::ShareOrderEight, CloseAfterSecond,
        "A share of order 8. The target closes without its Auth."),
    fault("dialled.share-other-order-8", "LNK-18", D::ShareOtherOrderEight, CloseAfterSecond,
        "The other share of order 8. The target closes without its Auth."),
    fault("dialled.share-minus-one", "LNK-18", D::ShareMinusOne, CloseAfterSecond,
        "The share 2^255 - 20, of low order. The target closes without its Auth."),
    fault("dialled.share-other", "LNK-19", D::ShareOther, CloseAfterSecond,
        "Another share than the one that seals the payload. The target closes without its Auth."),
    fault("dialled.payload-flipped", "LNK-19", D::PayloadFlipped, CloseAfterSecond,
        "One bit of the sealed payload is flipped. The target closes without its Auth."),
    fault("dialled.tag-flipped", "LNK-19", D::TagFlipped, CloseAfterSecond,
        "One bit of the payload's tag is flipped. The target closes without its Auth."),
    fault("dialled.reflected", "LNK-19", D::Reflected, CloseAfterSecond,
        "Message 1 comes back. The target closes without its Auth."),
    fault("dialled.prologue", "LNK-01", D::OtherPrologue, CloseAfterSecond,
        "A message 2 made with another prologue. The target closes without its Auth."),
    fault("dialled.versions-absent", "LNK-21", D::VersionsAbsent, CloseAfterSecond,
        "A message 2 without a version list. The target closes without its Auth."),
    fault("dialled.versions-none", "LNK-21", D::VersionsNone, CloseAfterSecond,
        "A version list of length 0. The target closes without its Auth."),
    fault("dialled.versions-cut-off", "LNK-21", D::VersionsCutOff, CloseAfterSecond,
        "A version list that announces two and has one. The target closes without its Auth."),
    fault("dialled.versions-17", "LNK-21", D::VersionsTooMany, CloseAfterSecond,
        "A version list of 17. The target closes without its Auth."),
    fault("dialled.versions-16", "LNK-21", D::VersionsSixteen, Accept,
        "A version list of 16, the most that there may be. The link comes up."),
    fault("dialled.versions-later", "LNK-22", D::VersionsLater, Accept,
        "Versions 9, 1 and 7, and bytes behind them. The link comes up with version 1."),
    fault("dialled.versions-not-common", "LNK-23", D::VersionsNotCommon, CloseAfterSecond,
        "Versions 2 and 0. The target closes without its Auth."),
    fault("dialled.byte-by-byte", "LNK-19", D::ByteByByte, Accept,
        "Every byte of message 2 and Auth comes by itself. The link comes up."),
    fault("dialled.auth-late", "LNK-10", D::AuthLate, Accept,
        "Our Auth comes late. Before it the target sends its own alone; then the link is up."),
    fault("dialled.budget", "LNK-16", D::Budget, CloseAfterAuth,
        "A record's length that would make 2,049 bytes. The target closes before it reads on."),
    fault("dialled.budget-exact", "LNK-40", D::AuthPadded, Accept,
        "An Auth with a field that nobody knows; 2,048 bytes in all. The link comes up."),
    fault("dialled.record-flipped", "LNK-26", D::RecordFlipped, CloseAfterAuth,
        "One bit of the first record is flipped. The target closes without another byte."),
    fault("dialled.record-other-key", "LNK-26", D::RecordOtherKey, CloseAfterAuth,
        "The first record is sealed as the target's own. It closes without another byte."),
    fault("dialled.record-empty", "LNK-25", D::RecordEmpty, CloseAfterAuth,
        "A first record without plaintext. The target closes without another byte."),
    fault("dialled.auth-missing", "LNK-27", D::AuthMissing, CloseAfterAuth,
        "A Ping where Auth belongs. The target closes without another byte."),
    fault("dialled.auth-after-unknown", "LNK-27", D::AuthAfterUnknown, CloseAfterAuth,
        "A frame that could be skipped where Auth belongs. The target closes."),
    fault("dialled.auth-and-more", "LNK-27", D::AuthAndMore, CloseAfterAuth,
        "Auth and a Ping in the first record. The target closes without another byte."),
    fault("dialled.auth-split", "LNK-27", D::AuthSplit, CloseAfterAuth,
        "Auth cut over two records. The target closes without another byte."),
    fault("dialled.auth-identity-short", "LNK-39", D::AuthIdentityShort, CloseAfterAuth,
        "An identity of 31 bytes. The target closes without another byte."),
    fault("dialled.auth-device-long", "LNK-39", D::AuthDeviceLong, CloseAfterAuth,
        "A device id of 9 bytes. The target closes without another byte."),
    fault("dialled.auth-signature-short", "LNK-39", D::AuthSignatureShort, CloseAfterAuth,
        "A signature of 63 bytes. The target closes without another byte."),
    fault("dialled.auth-identity-small-order", "LNK-28", D::AuthIdentitySmallOrder, CloseAfterAuth,
        "An identity of small order. The target closes without another byte."),
    fault("dialled.auth-identity-not-canonical", "LNK-28", D::AuthIdentityNotCanonical,
        CloseAfterAuth,
        "An identity that is no canonical encoding. The target closes without another byte."),
    fault("dialled.auth-signature-flipped", "LNK-29", D::AuthSignatureFlipped, CloseAfterAuth,
        "One bit of the signature is flipped. The target closes without another byte."),
    fault("dialled.auth-signature-malleable", "CNV-12", D::AuthSignatureMalleable, CloseAfterAuth,
        "L is added to the signature's S. The target closes without another byte."),
    fault("dialled.auth-other-role", "IDN-05", D::AuthOtherRole, CloseAfterAuth,
        "The signature is one of an initiator. The target closes without another byte."),
    fault("dialled.auth-other-hash", "IDN-03", D::AuthOtherHash, CloseAfterAuth,
        "The signature is over another handshake. The target closes without another byte."),
    fault("dialled.auth-other-own-list", "LNK-29", D::AuthOtherOwnList, CloseAfterAuth,
        "The signature is over another version list of ours. The target closes."),
    fault("dialled.auth-other-peer-list", "LNK-29", D::AuthOtherPeerList, CloseAfterAuth,
        "The signature is over another version list of theirs. The target closes."),
    fault("dialled.auth-other-device", "LNK-29", D::AuthOtherDevice, CloseAfterAuth,
        "The signature is for another device. The target closes without another byte."),
    fault("dialled.auth-other-instance", "LNK-29", D::AuthOtherInstance, CloseAfterAuth,
        "The signature is for another start. The target closes without another byte."),
    fault("dialled.auth-other-signer", "LNK-29", D::AuthOtherSigner, CloseAfterAuth,
        "Another key than the claimed identity signs. The target closes without another byte."),
    fault("dialled.auth-other-label", "IDN-02", D::AuthOtherLabel, CloseAfterAuth,
        "The signature was made under another label. The target closes without another byte."),
    fault("dialled.auth-version", "LNK-30", D::AuthVersion, CloseAfterAuth,
        "Auth names version 2, which one list has. The target closes without another byte."),
];
