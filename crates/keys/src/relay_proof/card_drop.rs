//! An owner's signature over what lies in its card drop.
//!
//! `Sign(mailbox, SIGN_CARD_DROP ‖ mailbox 32 ‖ seq u64 ‖ bytes16(blob))`. It names
//! no relay: one drop lies at several, and readers check it wherever it lay.

use tortalk_model::MailboxKey;
use tortalk_model::bytes::Writer;
use tortalk_model::hash::label::SIGN_CARD_DROP;
use tortalk_model::limits::relay::CARD_BLOB_BYTES_MAX;

use crate::{MailboxSecret, Signature, SignatureError, public};

/// Signs a drop as the owner of a mailbox.
///
/// # Panics
/// When `blob` is longer than 8,192 bytes.
pub fn sign(secret: &MailboxSecret, seq: u64, blob: &[u8]) -> Signature {
    assert!(blob.len() <= CARD_BLOB_BYTES_MAX, "the caller keeps to 8,192 bytes");
    secret.sign(SIGN_CARD_DROP, &signed(&secret.public(), seq, blob))
}

/// Checks a drop (RLY-04).
///
/// # Errors
/// [`SignatureError`] when the mailbox key did not sign it or is no valid key, or
/// `blob` is empty or longer than 8,192 bytes.
pub fn verify(
    mailbox: &MailboxKey,
    seq: u64,
    blob: &[u8],
    signature: &Signature,
) -> Result<(), SignatureError> {
    if blob.is_empty() || blob.len() > CARD_BLOB_BYTES_MAX {
        return Err(SignatureError::Invalid);
    }
    if tortalk_model::deviate!(drop_unsigned) {
        return Ok(());
    }
    public::verify(mailbox.as_bytes(), SIGN_CARD_DROP, &signed(mailbox, seq, blob), signature)
}

fn signed(mailbox: &MailboxKey, seq: u64, blob: &[u8]) -> Vec<u8> {
    // req: RLY-04
    Writer::with_capacity(32 + 8 + 2 + blob.len())
        .raw(mailbox.as_bytes())
        .u64(seq)
        .bytes16(blob)
        .into_vec()
}
