//! From a signed message to an envelope.

use tortalk_model::bytes::Writer;
use tortalk_model::entropy::{Entropy, array};
use tortalk_model::envelope::purge_hash;
use tortalk_model::hash::label;
use tortalk_model::limits::{SEALED_OVERHEAD_BYTES, SUITE_1, bucket_for};
use tortalk_model::{Envelope, EnvelopeHeader, MailboxKey, PurgeKey, UnixMillis};
use zeroize::Zeroizing;

use crate::hpke::{self, ESEED_BYTES};
use crate::key::SealingPublic;
use crate::signed::SignedMessage;

/// Where a message is sealed to.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// The recipient's mailbox, contact or intro.
    pub mailbox: MailboxKey,
    /// The recipient's sealing key. Whether it is still valid, the caller knows
    /// (SEA-40).
    pub key: &'a SealingPublic,
}

/// A message sealed once.
#[derive(Debug)]
pub struct Sealed {
    /// What travels.
    pub envelope: Envelope,
    /// What lets holders forget it; for the sender's own store.
    pub purge_key: PurgeKey,
}

/// Why a message cannot be sealed to a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The X25519 part of the recipient's key is of low order (SEA-05).
    #[error("the recipient's sealing key is of low order")]
    LowOrderKey,
}

/// Seals a message: new purge key, new encapsulation, new envelope (SEA-03).
///
/// `expires_at` is rounded up to a whole hour. From `entropy` come 32 bytes for
/// the purge key and then 64 for the encapsulation, nothing else. The message's
/// audience and `to` are not compared: only the caller knows whose key it is.
///
/// # Errors
/// When the recipient's key is of low order.
///
/// # Panics
/// Never: a [`SignedMessage`] always fits the largest bucket.
pub fn seal(
    message: &SignedMessage,
    to: &Recipient<'_>,
    expires_at: UnixMillis,
    entropy: &mut dyn Entropy,
) -> Result<Sealed, SealError> {
    // req: SEA-03
    let purge_key = PurgeKey::from_bytes(array(entropy));
    let eseed = Zeroizing::new(array::<ESEED_BYTES>(entropy));
    let header = EnvelopeHeader {
        suite: SUITE_1,
        mailbox: to.mailbox,
        key_id: to.key.key_id(),
        // req: ENV-04
        expires_at: expires_at.ceil_to_hour(),
        purge_hash: purge_hash(&purge_key),
        // req: ENV-10
        ext: Vec::new(),
    };
    let info = info(&header.to_bytes());
    let plaintext = plaintext(message, &purge_key);
    let sealed =
        hpke::seal(to.key, &info, &plaintext, &eseed).map_err(|_| SealError::LowOrderKey)?;
    let envelope = Envelope::build(&header, &sealed).expect("a whole hour, a bucket, no ext");
    Ok(Sealed { envelope, purge_key })
}

/// The `info` of HPKE for an envelope whose header has these bytes.
pub(crate) fn info(header: &[u8]) -> Vec<u8> {
    // req: SEA-02
    Writer::with_capacity(label::SEAL.len() + header.len()).raw(label::SEAL).raw(header).into_vec()
}

fn plaintext(message: &SignedMessage, purge_key: &PurgeKey) -> Zeroizing<Vec<u8>> {
    let signed = message.bytes();
    // req: SEA-06
    let bucket = bucket_for(SEALED_OVERHEAD_BYTES + signed.len())
        .expect("signing keeps messages within the largest bucket");
    let mut plaintext = Writer::with_capacity(bucket)
        .raw(purge_key.as_bytes())
        .bytes32(signed)
        .raw(message.signature().as_bytes())
        .into_vec();
    plaintext.resize(bucket, 0);
    Zeroizing::new(plaintext)
}
