//! A relay's word that it stored envelopes: one signature for all of a commit.
//!
//! ```text
//! Sign(relay, SIGN_RELAY_RECEIPT ‖ relay_key 32 ‖ time u64 ‖ store_until u64
//!   ‖ count u16 ‖ [envelope_id 32]*)
//! ```

use tortalk_model::bytes::Writer;
use tortalk_model::hash::label::SIGN_RELAY_RECEIPT;
use tortalk_model::limits::relay::RECEIPT_IDS_MAX;
use tortalk_model::{EnvelopeId, RelayKey, UnixMillis};

use crate::{RelaySecret, Signature, SignatureError, public};

/// What a relay says that it stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptClaim<'a> {
    /// The relay's clock at the commit.
    pub time: UnixMillis,
    /// Each envelope is kept until the earlier of this and its own expiry.
    pub store_until: UnixMillis,
    /// The envelopes: 1 to 256.
    pub ids: &'a [EnvelopeId],
}

/// Signs a claim as the relay.
///
/// # Panics
/// When there are more than 256 ids.
pub fn sign(secret: &RelaySecret, claim: &ReceiptClaim<'_>) -> Signature {
    assert!(claim.ids.len() <= RECEIPT_IDS_MAX, "the caller names at most 256 ids");
    secret.sign(SIGN_RELAY_RECEIPT, &signed(&secret.public(), claim))
}

/// Checks a claim (RLY-02).
///
/// # Errors
/// [`SignatureError`] when the relay did not sign it, or there are no ids or more
/// than 256.
pub fn verify(
    relay: &RelayKey,
    claim: &ReceiptClaim<'_>,
    signature: &Signature,
) -> Result<(), SignatureError> {
    if claim.ids.is_empty() || claim.ids.len() > RECEIPT_IDS_MAX {
        return Err(SignatureError::Invalid);
    }
    public::verify(relay.as_bytes(), SIGN_RELAY_RECEIPT, &signed(relay, claim), signature)
}

fn signed(relay: &RelayKey, claim: &ReceiptClaim<'_>) -> Vec<u8> {
    // req: RLY-02
    let count = u16::try_from(claim.ids.len()).expect("at most 256 ids");
    let mut writer = Writer::with_capacity(32 + 8 + 8 + 2 + 32 * claim.ids.len())
        .raw(relay.as_bytes())
        .u64(claim.time.0)
        .u64(claim.store_until.0)
        .u16(count);
    for id in claim.ids {
        writer = writer.raw(id.as_bytes());
    }
    writer.into_vec()
}
