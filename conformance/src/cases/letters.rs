//! Faults in envelopes and sealed messages, handed over by an accepted contact
//! (`spec/envelope.md` 4, `spec/seal.md` 5, `spec/gossip.md` 6).

use crate::case::{Ctx, unserved};
use crate::peer::odd_signatures::{NEUTRAL, NEUTRAL_OVER_P, sign_cofactored, sign_neutral_r};
use crate::people::Person;
use crate::session::{Letter, Session};
use crate::stack::body::{self, kind};
use crate::stack::crypto::{Rng, blake2b_512, label};
use crate::stack::envelope::{Envelope, HOUR_MS};
use crate::stack::seal::sign_message;
use crate::stack::v1::{self, AckResult, RefusalReason};
use crate::verdict::Verdict;

/// What an `Ack` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is durable.
    Stored,
    /// Refused with this reason.
    Refused(RefusalReason),
}

/// Where a letter is made wrong.
#[derive(Debug, Clone, Copy)]
pub enum Change {
    /// Before it is signed and sealed.
    Draft(fn(&mut Letter, &mut Rng)),
    /// The plaintext of the seal; the letter's signer is given.
    Plain(fn(&mut Vec<u8>, &Letter)),
    /// The envelope's fields after sealing.
    Sealed(fn(&mut Envelope)),
    /// The envelope's bytes.
    Bytes(fn(&mut Vec<u8>)),
}

/// One fault.
#[derive(Debug)]
#[allow(missing_docs)] // as in Case
pub struct LetterFault {
    pub id: &'static str,
    pub req: &'static str,
    pub about: &'static str,
    pub change: Change,
    pub answer: Answer,
}

/// Runs one: the twin first, on the same link the fault, then another session with a good letter.
pub async fn run(ctx: &mut Ctx, fault: &LetterFault) -> Verdict {
    match judge(ctx, fault).await {
        Ok(()) => Verdict::Pass,
        Err(verdict) => verdict,
    }
}

async fn judge(ctx: &mut Ctx, fault: &LetterFault) -> Result<(), Verdict> {
    // Ada or Ben, so that Cyr is somebody else.
    let number = ctx.choose.below(2) as usize;
    let mut session = Session::open(ctx, Person::contact(number)).await?;
    good(ctx, &mut session, "the twin").await?;
    let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let bytes = wrong_bytes(letter, fault.change, &mut ctx.fresh)?;
    session.link.note("the fault");
    let ack = session
        .hand_over(&bytes)
        .await
        .map_err(|ended| unserved(&format!("no Ack with the envelope's id: {ended}"), &ended))?;
    let seen = said(&ack);
    if seen != Some(fault.answer) {
        return Err(Verdict::Fail(format!("expected {:?}, got {}", fault.answer, words(&ack))));
    }
    let mut again = Session::open(ctx, Person::contact(number)).await?;
    good(ctx, &mut again, "afterwards a good letter").await
}

/// Hands a good letter over, which is stored.
///
/// # Errors
/// A verdict when it is not.
pub async fn good(ctx: &mut Ctx, session: &mut Session, what: &str) -> Result<(), Verdict> {
    let letter = session.letter(ctx.now(), &mut ctx.fresh)?;
    let bytes = letter.seal(|_| {}).map_err(|r| Verdict::Fail(format!("the target's key: {r}")))?;
    session.link.note(what);
    match session.hand_over(&bytes).await {
        Ok(ack) if said(&ack) == Some(Answer::Stored) => Ok(()),
        Ok(ack) => Err(Verdict::Fail(format!("{what} is not stored: {}", words(&ack)))),
        Err(ended) => Err(unserved(&format!("{what} has no Ack: {ended}"), &ended)),
    }
}

fn wrong_bytes(mut letter: Letter, change: Change, rng: &mut Rng) -> Result<Vec<u8>, Verdict> {
    if let Change::Draft(change) = change {
        change(&mut letter, rng);
    }
    let sealed = letter.seal(|plain| {
        if let Change::Plain(change) = change {
            change(plain, &letter);
        }
    });
    let mut bytes = sealed.map_err(|r| Verdict::Error(format!("sealing: {r}")))?;
    match change {
        Change::Bytes(change) => change(&mut bytes),
        Change::Sealed(change) => {
            let mut envelope = Envelope::read(&bytes)
                .map_err(|r| Verdict::Error(format!("our own envelope: {r}")))?;
            change(&mut envelope);
            bytes = envelope.bytes();
        }
        Change::Draft(_) | Change::Plain(_) => {}
    }
    Ok(bytes)
}

/// What an `Ack` says, where it is one of the known answers.
#[must_use]
pub fn said(ack: &v1::Ack) -> Option<Answer> {
    match AckResult::try_from(ack.result).ok()? {
        AckResult::Stored => Some(Answer::Stored),
        AckResult::Refused => Some(Answer::Refused(RefusalReason::try_from(ack.reason).ok()?)),
        _ => None,
    }
}

/// An `Ack` in words.
#[must_use]
pub fn words(ack: &v1::Ack) -> String {
    let result = AckResult::try_from(ack.result).map_or("?", |r| r.as_str_name());
    let reason = RefusalReason::try_from(ack.reason).map_or("?", |r| r.as_str_name());
    format!("{result} {reason}")
}

/// Replaces the signed bytes in a plaintext whose signature stays good for them.
fn resign(plain: &mut Vec<u8>, letter: &Letter, signed: &[u8]) {
    let signature = sign_message(&letter.signer_seed, signed);
    *plain = crate::stack::seal::plaintext(&letter.purge_key, signed, &signature);
}

/// Replaces the signature by another that this makes of the seed and the signed bytes.
fn resigned(plain: &mut [u8], letter: &Letter, make: fn(&[u8; 32], &[&[u8]]) -> [u8; 64]) {
    let at = signature_at(plain);
    let signature = make(&letter.signer_seed, &[&letter.signed.bytes()]);
    plain[at..at + 64].copy_from_slice(&signature);
}

fn signature_at(plain: &[u8]) -> usize {
    36 + u32::from_be_bytes([plain[32], plain[33], plain[34], plain[35]]) as usize
}

const fn fault(
    id: &'static str,
    req: &'static str,
    answer: Answer,
    about: &'static str,
    change: Change,
) -> LetterFault {
    LetterFault { id, req, about, change, answer }
}

use Answer::Stored;
use Change::{Bytes, Draft, Plain, Sealed};
const MALFORMED: Answer = Answer::Refused(RefusalReason::Malformed);
const UNKNOWN_KEY: Answer = Answer::Refused(RefusalReason::UnknownKey);
const NOT_FOR_ME: Answer = Answer::Refused(RefusalReason::NotForMe);

/// All of them. MALFORMED and so on are reasons of `REFUSED`.
#[rustfmt::skip] // a table
pub const FAULTS: &[LetterFault] = &[
    fault("envelope.trailing", "ENV-01", MALFORMED, "A byte behind the envelope. MALFORMED.",
        Bytes(|b| b.push(0))),
    fault("envelope.cut", "ENV-01", MALFORMED, "The last byte is missing. MALFORMED.",
        Bytes(|b| b.truncate(b.len() - 1))),
    fault("envelope.cut-header", "GSP-23", MALFORMED, "40 bytes of an envelope. MALFORMED.",
        Bytes(|b| b.truncate(40))),
    fault("envelope.layout-0", "ENV-02", MALFORMED, "Layout 0. MALFORMED.", Bytes(|b| b[0] = 0)),
    fault("envelope.layout-2", "ENV-02", MALFORMED, "Layout 2. MALFORMED.", Bytes(|b| b[0] = 2)),
    fault("envelope.ext-257", "ENV-01", MALFORMED, "An ext of 257 bytes. MALFORMED.",
        Draft(|l, _| l.envelope.ext = vec![0; 257])),
    fault("envelope.ext-256", "SEA-02", Stored,
        "An ext of 256 bytes, which the seal binds. It opens.",
        Draft(|l, _| l.envelope.ext = vec![7; 256])),
    fault("envelope.expiry-no-hour", "ENV-04", MALFORMED,
        "An expiry that is no whole hour. MALFORMED.",
        Draft(|l, _| l.envelope.expires_at += 1)),
    fault("envelope.sealed-empty", "ENV-09", MALFORMED, "Nothing sealed. MALFORMED.",
        Sealed(|e| e.sealed.clear())),
    fault("envelope.no-bucket", "ENV-08", MALFORMED, "One byte more than a bucket. MALFORMED.",
        Sealed(|e| e.sealed.push(0))),
    fault("seal.suite-2", "SEA-15", UNKNOWN_KEY, "Suite 2. UNKNOWN_KEY.",
        Draft(|l, _| l.envelope.suite = 2)),
    fault("seal.suite-2-answer", "GSP-29", UNKNOWN_KEY,
        "Suite 2, whose sealed part has another length. UNKNOWN_KEY.",
        Sealed(|e| { e.suite = 2; e.sealed.truncate(100); })),
    fault("seal.key-id", "SEA-16", UNKNOWN_KEY, "Another key_id. UNKNOWN_KEY.",
        Draft(|l, _| l.envelope.key_id[0] ^= 1)),
    fault("seal.tag-flipped", "SEA-18", MALFORMED, "One bit of the tag. MALFORMED.",
        Bytes(|b| { let last = b.len() - 1; b[last] ^= 1; })),
    fault("seal.ciphertext-flipped", "SEA-18", MALFORMED, "One bit of the ciphertext. MALFORMED.",
        Sealed(|e| e.sealed[1200] ^= 1)),
    fault("seal.kem-flipped", "SEA-18", MALFORMED,
        "One bit of the ML-KEM ciphertext, which rejects silently. MALFORMED.",
        Sealed(|e| e.sealed[5] ^= 1)),
    fault("seal.share-flipped", "SEA-18", MALFORMED, "One bit of the X25519 share. MALFORMED.",
        Sealed(|e| e.sealed[1100] ^= 1)),
    fault("seal.share-low-order", "SEA-05", MALFORMED,
        "A share of zeros, and a seal made with the result that it gives. MALFORMED.",
        Draft(|l, _| l.share = Some([0; 32]))),
    fault("seal.header-changed", "SEA-02", MALFORMED,
        "Another expiry after sealing, an hour later. MALFORMED.",
        Sealed(|e| e.expires_at += HOUR_MS)),
    fault("seal.purge-hash", "SEA-19", MALFORMED, "A purge_hash of another key. MALFORMED.",
        Draft(|l, rng| l.envelope.purge_hash = rng.array())),
    fault("seal.purge-hash-cut", "CNV-08", MALFORMED,
        "A purge_hash that is 32 of the 64 bytes of a longer digest. MALFORMED.",
        Draft(|l, _| {
            let long = blake2b_512(&[&label("purge-hash"), &l.purge_key]);
            l.envelope.purge_hash.copy_from_slice(&long[..32]);
        })),
    fault("seal.length-over", "SEA-20", MALFORMED, "A length one more than fits. MALFORMED.",
        Plain(|p, _| { 
            let over = (p.len() as u32 - 99).to_be_bytes();
            p[32..36].copy_from_slice(&over);
        })),
    fault("seal.length-huge", "SEA-20", MALFORMED, "A length of 2^32 - 1. MALFORMED.",
        Plain(|p, _| p[32..36].fill(0xff))),
    fault("seal.padding", "SEA-21", MALFORMED, "The last byte of padding is 1. MALFORMED.",
        Plain(|p, _| { let last = p.len() - 1; p[last] = 1; })),
    fault("seal.bucket-larger", "SEA-22", MALFORMED, "The next bucket. MALFORMED.",
        Plain(|p, _| p.resize(p.len() * 2, 0))),
    fault("seal.signed-layout", "SEA-23", MALFORMED, "Signed bytes of layout 2. MALFORMED.",
        Draft(|l, _| l.signed.layout = 2)),
    fault("seal.signed-short", "SEA-23", MALFORMED, "Signed bytes of 115 bytes. MALFORMED.",
        Plain(|p, l| { let signed = l.signed.bytes(); resign(p, l, &signed[..115]); })),
    fault("seal.audience-group", "SEA-24", MALFORMED, "An audience that is a group. MALFORMED.",
        Draft(|l, _| l.signed.audience_kind = 1)),
    fault("seal.audience-other", "SEA-25", MALFORMED,
        "Signed for somebody else and sealed to the target. MALFORMED.",
        Draft(|l, _| l.signed.audience = Person::published("cyr").identity())),
    fault("seal.sender-small-order", "SEA-26", MALFORMED,
        "A sender of small order, with a signature that lenient verifiers take. MALFORMED.",
        Plain(|p, l| {
            let mut signed = l.signed.clone();
            signed.sender = [0; 32];
            signed.sender[0] = 1;
            resign(p, l, &signed.bytes());
            let at = signature_at(p);
            p[at..at + 64].copy_from_slice(&crate::peer::signature_of_neutral(&l.signer_seed));
        })),
    fault("seal.signature-flipped", "SEA-27", MALFORMED, "One bit of the signature. MALFORMED.",
        Plain(|p, _| { let at = signature_at(p); p[at + 9] ^= 1; })),
    fault("seal.signature-malleable", "CNV-12", MALFORMED, "L is added to S. MALFORMED.",
        Plain(|p, _| {
            let at = signature_at(p);
            let mut signature: [u8; 64] = p[at..at + 64].try_into().expect("64 bytes");
            crate::peer::add_order(&mut signature);
            p[at..at + 64].copy_from_slice(&signature);
        })),
    fault("seal.signature-r-over-p", "CNV-13", MALFORMED,
        "R is the neutral point with y = p + 1, and the equation holds. MALFORMED.",
        Plain(|p, l| resigned(p, l, |s, m| sign_neutral_r(s, "sign/message", m, NEUTRAL_OVER_P)))),
    fault("seal.signature-r-neutral", "CNV-14", MALFORMED,
        "R is the neutral point, and the equation holds. MALFORMED.",
        Plain(|p, l| resigned(p, l, |s, m| sign_neutral_r(s, "sign/message", m, NEUTRAL)))),
    fault("seal.signature-cofactor", "CNV-15", MALFORMED,
        "The equation holds only when it is multiplied by 8. MALFORMED.",
        Plain(|p, l| resigned(p, l, |s, m| sign_cofactored(s, "sign/message", m)))),
    fault("seal.signer-other", "SEA-27", MALFORMED,
        "Another contact's name, our signature: nobody speaks as somebody else. MALFORMED.",
        Draft(|l, _| l.signed.sender = Person::published("cyr").identity())),
    fault("seal.body-changed", "SEA-27", MALFORMED,
        "Other words under the signature. MALFORMED.",
        Plain(|p, _| { let at = signature_at(p) - 1; p[at] ^= 1; })),
    fault("seal.label-other", "IDN-02", MALFORMED, "Signed under another label. MALFORMED.",
        Plain(|p, l| {
            let signed = l.signed.bytes();
            let signature = crate::stack::crypto::sign(&l.signer_seed, "sign/card", &[&signed]);
            let at = signature_at(p);
            p[at..at + 64].copy_from_slice(&signature);
        })),
    fault("body.text-not-utf8", "SEA-30", MALFORMED, "A text that is not UTF-8. MALFORMED.",
        Draft(|l, _| l.signed.body = vec![0x66, 0xfc])),
    fault("body.text-empty", "SEA-30", Stored, "An empty text. STORED.",
        Draft(|l, _| l.signed.body.clear())),
    fault("body.receipt-empty", "SEA-31", MALFORMED, "A receipt without an entry. MALFORMED.",
        Draft(|l, _| l.invisible(kind::RECEIPT, vec![0, 0]))),
    fault("body.receipt-kind", "SEA-32", MALFORMED, "A receipt entry of kind 3. MALFORMED.",
        Draft(|l, _| l.invisible(kind::RECEIPT, [&[0, 1], [7; 64].as_slice(), &[3]].concat()))),
    fault("body.receipt-trailing", "SEA-28", MALFORMED, "A byte behind a receipt. MALFORMED.",
        Draft(|l, _| l.invisible(kind::RECEIPT, [&[0, 1], [7; 64].as_slice(), &[1, 0]].concat()))),
    fault("body.receipt-in-chain", "SEA-29", MALFORMED, "A receipt with a counter. MALFORMED.",
        Draft(|l, _| { l.invisible(kind::RECEIPT, [&[0, 1], [7; 64].as_slice(), &[1]].concat());
                       l.signed.counter = 1; })),
    fault("body.receipt-of-nothing", "DLV-05", Stored,
        "A receipt for a message that nobody sent. It is stored and means nothing.",
        Draft(|l, _| l.invisible(kind::RECEIPT, [&[0, 1], [7; 64].as_slice(), &[1]].concat()))),
    fault("body.card-empty", "SEA-34", MALFORMED, "A card without bytes. MALFORMED.",
        Draft(|l, _| l.invisible(kind::CARD, Vec::new()))),
    fault("body.request-text-long", "SEA-33", MALFORMED,
        "A contact request with a text of 1,025 bytes. MALFORMED.",
        Draft(|l, _| {
            let body = body::contact_request(&[b'a'; 1025], b"card");
            l.invisible(kind::CONTACT_REQUEST, body);
        })),
    fault("body.resend-range", "SEA-35", MALFORMED,
        "A range that ends before it starts. MALFORMED.",
        Draft(|l, _| l.invisible(kind::RESEND_REQUEST, body::resend_request([7; 8], 2, 1)))),
    fault("body.unknown", "SEA-36", Stored, "A body type of a later version. STORED.",
        Draft(|l, _| l.signed.body_type = 0x0777)),
    fault("gossip.sender-stranger", "GSP-26", NOT_FOR_ME,
        "A stranger's message, which a contact brings. NOT_FOR_ME.",
        Draft(|l, rng| { let stranger = Person::stranger(rng);
                         l.signed.sender = stranger.identity();
                         l.signer_seed = stranger.identity_seed; })),
    fault("gossip.expired", "SEA-17", Stored, "An expiry a month ago. STORED all the same.",
        Draft(|l, _| l.envelope.expires_at -= 40 * 24 * HOUR_MS)),
    fault("gossip.expires-never", "GSP-31", Stored, "The last hour of u64 as expiry. STORED.",
        Draft(|l, _| l.envelope.expires_at = u64::MAX / HOUR_MS * HOUR_MS)),
    fault("gossip.sent-in-1970", "GSP-31", Stored, "Written at 0 ms. STORED.",
        Draft(|l, _| l.signed.sent_at = 0)),
    fault("gossip.sent-at-the-end", "GSP-31", Stored, "Written at 2^64 - 1 ms. STORED.",
        Draft(|l, _| l.signed.sent_at = u64::MAX)),
];
