//! Faults while a link comes up (`spec/link.md` sections 4.1 to 4.3).

use crate::case::{Ctx, unserved};
use crate::peer::{Deviation, Ended, Reached};
use crate::people::Person;
use crate::verdict::Verdict;

/// What a target does with a deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// Closes without having sent a byte.
    CloseUnanswered,
    /// Closes after message 2, without another byte.
    CloseAfterSecond,
    /// Closes after message 2 or without it.
    Close,
    /// Goes on: it is no fault.
    Accept,
}

/// One fault of the initiator.
#[derive(Debug)]
#[allow(missing_docs)] // as in Case
pub struct HandshakeFault {
    pub id: &'static str,
    pub req: &'static str,
    pub about: &'static str,
    pub deviation: Deviation,
    pub expect: Expect,
}

/// Runs one: the twin first, then the fault, then a fresh connection.
pub async fn run(ctx: &mut Ctx, fault: &HandshakeFault) -> Verdict {
    match judge(ctx, fault).await {
        Ok(()) => Verdict::Pass,
        Err(verdict) => verdict,
    }
}

async fn judge(ctx: &mut Ctx, fault: &HandshakeFault) -> Result<(), Verdict> {
    let person = Person::stranger(&mut ctx.fresh);
    ctx.link(&person).await?;
    let mut plan = ctx.plan(&person);
    plan.deviation = Some(fault.deviation);
    let reached = ctx.dial(&plan).await?;
    let fail = |text: String| Err(Verdict::Fail(text));
    match (fault.expect, reached) {
        (Expect::Accept, Reached::Up(mut link)) => link
            .ping()
            .await
            .map_err(|ended| unserved(&format!("the link came up and then: {ended}"), &ended))?,
        (Expect::Accept, Reached::First(ended, _) | Reached::Second(ended, _)) => {
            return Err(unserved(&format!("it is no fault, and yet: {ended}"), &ended));
        }
        (_, Reached::Up(_)) => return fail("the target let the link come up".to_owned()),
        (_, Reached::First(Ended::TimedOut, 0)) => {
            let text = "the target neither answered nor closed the connection";
            return Err(Verdict::Inconclusive(text.to_owned()));
        }
        (_, Reached::Second(Ended::TimedOut, 0)) => {
            let text = "the target neither sent its Auth nor closed the connection";
            return Err(Verdict::Inconclusive(text.to_owned()));
        }
        (Expect::CloseUnanswered | Expect::Close, Reached::First(Ended::Closed, 0)) => {}
        (Expect::CloseAfterSecond | Expect::Close, Reached::Second(Ended::Closed, 0)) => {}
        (_, Reached::First(ended, bytes)) => {
            return fail(format!("before message 2, after {bytes} bytes: {ended}"));
        }
        (_, Reached::Second(ended, bytes)) => {
            return fail(format!("after message 2 and {bytes} bytes more: {ended}"));
        }
    }
    ctx.still_serves().await
}

const fn fault(
    id: &'static str,
    req: &'static str,
    deviation: Deviation,
    expect: Expect,
    about: &'static str,
) -> HandshakeFault {
    HandshakeFault { id, req, about, deviation, expect }
}

use Deviation as D;
use Expect::{Accept, Close, CloseAfterSecond, CloseUnanswered};

/// All of them.
#[rustfmt::skip] // a table
pub const FAULTS: &[HandshakeFault] = &[
    fault("link.length-0", "LNK-15", D::LengthZero, CloseUnanswered,
        "A message 1 of length 0. The target closes without a byte."),
    fault("link.length-513", "LNK-15", D::LengthTooLong, CloseUnanswered,
        "The length 513 and nothing behind it. The target closes before it reads on."),
    fault("link.http", "LNK-07", D::Http, CloseUnanswered,
        "The first line of an HTTP request. The target closes without a byte."),
    fault("link.first-late", "LNK-07", D::FirstLate, Accept,
        "Message 1 in two halves. Not a byte comes between them; then the link comes up."),
    fault("link.byte-by-byte", "LNK-19", D::ByteByByte, Accept,
        "Every byte of message 1 and Auth comes by itself. The link comes up."),
    fault("link.length-512", "LNK-15", D::MessageLongest, Accept,
        "A message 1 of 512 bytes, the most that there may be. The link comes up."),
    fault("link.auth-late", "LNK-09", D::AuthLate, Accept,
        "Our Auth comes late. Not a byte comes before it; then the link comes up."),
    fault("link.budget-exact", "LNK-40", D::AuthPadded, Accept,
        "An Auth with a field that nobody knows; 2,048 bytes in all. The link comes up."),
    fault("link.record-other-key", "LNK-26", D::RecordOtherKey, CloseAfterSecond,
        "The first record is sealed as the target's own. The target closes without a byte."),
    fault("link.share-short", "LNK-19", D::ShareShort, CloseUnanswered,
        "A message 1 of 31 bytes. The target closes without a byte."),
    fault("link.share-high-bit", "LNK-17", D::ShareHighBit, CloseUnanswered,
        "A share whose highest bit is set. The target closes without a byte."),
    fault("link.share-not-reduced", "LNK-17", D::ShareNotReduced, CloseUnanswered,
        "A share of 2^255 - 10. The target closes without a byte."),
    fault("link.share-zero", "LNK-18", D::ShareZero, CloseUnanswered,
        "A share of zeros. The target closes without a byte."),
    fault("link.share-one", "LNK-18", D::ShareOne, CloseUnanswered,
        "The share 1, of low order. The target closes without a byte."),
    fault("link.share-order-8", "LNK-18", D::ShareOrderEight, CloseUnanswered,
        "A share of order 8. The target closes without a byte."),
    fault("link.share-other-order-8", "LNK-18", D::ShareOtherOrderEight, CloseUnanswered,
        "The other share of order 8. The target closes without a byte."),
    fault("link.share-minus-one", "LNK-18", D::ShareMinusOne, CloseUnanswered,
        "The share 2^255 - 20, of low order. The target closes without a byte."),
    fault("link.versions-absent", "LNK-21", D::VersionsAbsent, CloseUnanswered,
        "A message 1 without a version list. The target closes without a byte."),
    fault("link.versions-none", "LNK-21", D::VersionsNone, CloseUnanswered,
        "A version list of length 0. The target closes without a byte."),
    fault("link.versions-cut-off", "LNK-21", D::VersionsCutOff, CloseUnanswered,
        "A version list that announces two and has one. The target closes without a byte."),
    fault("link.versions-17", "LNK-21", D::VersionsTooMany, CloseUnanswered,
        "A version list of 17. The target closes without a byte."),
    fault("link.versions-16", "LNK-21", D::VersionsSixteen, Accept,
        "A version list of 16, the most that there may be. The link comes up."),
    fault("link.versions-later", "LNK-22", D::VersionsLater, Accept,
        "Versions 9, 1 and 7, and bytes behind them. The link comes up with version 1."),
    fault("link.versions-not-common", "LNK-23", D::VersionsNotCommon, Close,
        "Versions 2 and 0. The target closes, with or without its message 2."),
    fault("link.versions-not-common-said", "LNK-24", D::VersionsNotCommon, CloseAfterSecond,
        "Versions 2 and 0. The target sends its message 2 before it closes."),
    fault("link.record-flipped", "LNK-26", D::RecordFlipped, CloseAfterSecond,
        "One bit of the first record is flipped. The target closes without a byte."),
    fault("link.record-empty", "LNK-25", D::RecordEmpty, CloseAfterSecond,
        "A first record without plaintext. The target closes without a byte."),
    fault("link.budget", "LNK-16", D::Budget, CloseAfterSecond,
        "A record's length that would make 2,049 bytes. The target closes before it reads on."),
    fault("link.auth-missing", "LNK-27", D::AuthMissing, CloseAfterSecond,
        "A Ping where Auth belongs. The target closes without a byte."),
    fault("link.auth-after-unknown", "LNK-27", D::AuthAfterUnknown, CloseAfterSecond,
        "A frame that could be skipped where Auth belongs. The target closes without a byte."),
    fault("link.auth-and-more", "LNK-27", D::AuthAndMore, CloseAfterSecond,
        "Auth and a Ping in the first record. The target closes without a byte."),
    fault("link.auth-split", "LNK-27", D::AuthSplit, CloseAfterSecond,
        "Auth cut over two records. The target closes without a byte."),
    fault("link.auth-identity-short", "LNK-39", D::AuthIdentityShort, CloseAfterSecond,
        "An identity of 31 bytes. The target closes without a byte."),
    fault("link.auth-device-long", "LNK-39", D::AuthDeviceLong, CloseAfterSecond,
        "A device id of 9 bytes. The target closes without a byte."),
    fault("link.auth-signature-short", "LNK-39", D::AuthSignatureShort, CloseAfterSecond,
        "A signature of 63 bytes. The target closes without a byte."),
    fault("link.auth-identity-small-order", "LNK-28", D::AuthIdentitySmallOrder, CloseAfterSecond,
        "An identity of small order. The target closes without a byte."),
    fault("link.auth-identity-not-canonical", "LNK-28", D::AuthIdentityNotCanonical,
        CloseAfterSecond,
        "An identity that is no canonical encoding. The target closes without a byte."),
    fault("link.auth-signature-flipped", "LNK-29", D::AuthSignatureFlipped, CloseAfterSecond,
        "One bit of the signature is flipped. The target closes without a byte."),
    fault("link.auth-signature-malleable", "CNV-12", D::AuthSignatureMalleable, CloseAfterSecond,
        "L is added to the signature's S. The target closes without a byte."),
    fault("link.auth-other-role", "IDN-05", D::AuthOtherRole, CloseAfterSecond,
        "The signature is one of a responder. The target closes without a byte."),
    fault("link.auth-other-hash", "IDN-03", D::AuthOtherHash, CloseAfterSecond,
        "The signature is over another handshake. The target closes without a byte."),
    fault("link.auth-other-own-list", "LNK-02", D::AuthOtherOwnList, CloseAfterSecond,
        "The signature is over another version list of ours. The target closes without a byte."),
    fault("link.auth-other-peer-list", "LNK-02", D::AuthOtherPeerList, CloseAfterSecond,
        "The signature is over another version list of theirs. The target closes without a byte."),
    fault("link.auth-other-device", "LNK-29", D::AuthOtherDevice, CloseAfterSecond,
        "The signature is for another device. The target closes without a byte."),
    fault("link.auth-other-instance", "LNK-29", D::AuthOtherInstance, CloseAfterSecond,
        "The signature is for another start. The target closes without a byte."),
    fault("link.auth-other-signer", "LNK-09", D::AuthOtherSigner, CloseAfterSecond,
        "Another key than the claimed identity signs. The target closes without its Auth."),
    fault("link.auth-other-label", "IDN-02", D::AuthOtherLabel, CloseAfterSecond,
        "The signature was made under another label. The target closes without a byte."),
    fault("link.auth-version", "LNK-30", D::AuthVersion, CloseAfterSecond,
        "Auth names version 2, which one list has. The target closes without a byte."),
    fault("link.early", "LNK-32", D::Early, CloseAfterSecond,
        "A record follows Auth at once. The target closes without its Auth."),
];
