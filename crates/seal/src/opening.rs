//! From an envelope to a message that passed every check.

use core::fmt;

use tortalk_keys::Signature;
use tortalk_model::bytes::{LayoutError, Reader};
use tortalk_model::limits::{SEALED_OVERHEAD_BYTES, SUITE_1, bucket_for};
use tortalk_model::{
    ChainId, DeviceId, Envelope, IdentityKey, MessageId, PurgeKey, SignedHash, UnixMillis,
};

use crate::body::{Body, BodyError};
use crate::hpke;
use crate::key::SealingSecret;
use crate::sealing::info;
use crate::signed::{AUDIENCE_PERSON, MessageFields, SIGNED_LAYOUT, SignedMessage, SignedParts};

/// Why an envelope gives no message.
///
/// The variants up to [`OpenError::Sealed`] say nothing about what is inside;
/// those after it are faults of whoever sealed it, and none of them carries a
/// byte of the content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A suite of a later version: keep the envelope or not, but it cannot be
    /// opened here (SEA-15).
    #[error("suite {0} cannot be opened by this version")]
    UnknownSuite(u16),
    /// Sealed to another key than the one at hand (SEA-16).
    #[error("sealed to another key")]
    OtherKey,
    /// Decapsulation or decryption failed (SEA-18).
    #[error("the seal does not open")]
    Sealed,
    /// The purge key inside is not the one that the header commits to (SEA-19).
    #[error("the purge key is not the committed one")]
    PurgeHash,
    /// The length of the signed bytes is over what the plaintext holds (SEA-20).
    #[error("the length is over the plaintext's end")]
    Length,
    /// The padding is not all zeros (SEA-21).
    #[error("the padding is not zero")]
    Padding,
    /// A smaller bucket would have held it (SEA-22).
    #[error("the bucket is larger than needed")]
    Bucket,
    /// The signed bytes have a layout that this version does not know (SEA-23).
    #[error("signed layout {0} is not known")]
    UnknownLayout(u8),
    /// The signed bytes are too short for their layout (SEA-23).
    #[error("not the layout of signed bytes: {0}")]
    Layout(#[from] LayoutError),
    /// The audience is of a kind that this version does not know (SEA-24).
    #[error("audience kind {0} is not known")]
    AudienceKind(u8),
    /// Written for somebody else (SEA-25).
    #[error("written for somebody else")]
    Audience,
    /// The sender is not a valid identity key (SEA-26).
    #[error("the sender is no valid key")]
    Sender,
    /// The signature is not the sender's over these bytes (SEA-27).
    #[error("the signature is not the sender's")]
    Signature,
    /// The body is not what its type says (SEA-28).
    #[error("bad body: {0}")]
    Body(#[from] BodyError),
    /// A body that people do not see has a place in a chain (SEA-29).
    #[error("a body that is not shown has a chain id or counter")]
    Chained,
}

/// Opens an envelope with one of one's own sealing keys, as the person `me`.
///
/// Time plays no part: an expired envelope opens (SEA-17). Costs about 0.2 ms
/// when `key` is the right one and next to nothing when it is not.
///
/// # Errors
/// In the order of [`OpenError`]'s variants, which is the checking order.
pub fn open(
    envelope: &Envelope,
    key: &SealingSecret,
    me: &IdentityKey,
) -> Result<OpenedMessage, OpenError> {
    // req: SEA-15
    if envelope.header().suite != SUITE_1 && !tortalk_model::deviate!(skip_sea_15) {
        return Err(OpenError::UnknownSuite(envelope.header().suite));
    }
    // req: SEA-16
    if envelope.header().key_id != key.key_id() {
        return Err(OpenError::OtherKey);
    }
    // req: SEA-18
    let plaintext = hpke::open(key, &info(envelope.header_bytes()), envelope.sealed())
        .map_err(|_| OpenError::Sealed)?;

    let (purge_key, signed, signature) = unwrap_plaintext(&plaintext, envelope)?;
    let (fields, signature) = check_signed(signed, signature, me)?;
    let message = SignedMessage::assemble(signed.to_vec(), signature, fields);
    Ok(OpenedMessage { message, purge_key })
}

/// A message that [`open`] took out of an envelope: sealed to us, meant for us,
/// and written by its sender.
///
/// Whether the sender is a contact, and whether this message came before, is
/// not known here.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenedMessage {
    message: SignedMessage,
    purge_key: PurgeKey,
}

impl OpenedMessage {
    /// The stable name of the message (SEA-11).
    pub const fn message_id(&self) -> MessageId {
        self.message.message_id()
    }

    /// The hash of the signed bytes, for the receipt (SEA-12).
    pub const fn signed_hash(&self) -> SignedHash {
        self.message.signed_hash()
    }

    /// Who wrote and signed it.
    pub const fn sender(&self) -> IdentityKey {
        self.message.fields().sender
    }

    /// The device that wrote it.
    pub const fn device_id(&self) -> DeviceId {
        self.message.fields().device_id
    }

    /// When it was written, in the sender's clock: a claim.
    pub const fn sent_at(&self) -> UnixMillis {
        self.message.fields().sent_at
    }

    /// The sequence that it belongs to; zeros when the body is not visible.
    pub const fn chain_id(&self) -> ChainId {
        self.message.fields().chain_id
    }

    /// Its place in the sequence; 0 when the body is not visible.
    pub const fn counter(&self) -> u64 {
        self.message.fields().counter
    }

    /// What it says.
    pub const fn body(&self) -> &Body {
        &self.message.fields().body
    }

    /// What lets holders of this envelope forget it (ENV-06).
    pub const fn purge_key(&self) -> &PurgeKey {
        &self.purge_key
    }

    /// The signed bytes, for storage.
    pub fn bytes(&self) -> &[u8] {
        self.message.bytes()
    }

    /// The sender's signature, for storage.
    pub const fn signature(&self) -> &Signature {
        self.message.signature()
    }

    /// The message without its way here.
    pub const fn message(&self) -> &SignedMessage {
        &self.message
    }
}

impl fmt::Debug for OpenedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpenedMessage({:?}, {:?})", self.message_id(), self.body())
    }
}

/// Takes the padding and the purge key off: `purge_key 32 · length u32 · signed
/// · signature 64 · zeros`.
fn unwrap_plaintext<'a>(
    plaintext: &'a [u8],
    envelope: &Envelope,
) -> Result<(PurgeKey, &'a [u8], [u8; 64]), OpenError> {
    let mut reader = Reader::new(plaintext);
    let purge_key = PurgeKey::from_bytes(reader.array("purge_key")?);
    // req: SEA-19
    if !envelope.is_purged_by(&purge_key) && !tortalk_model::deviate!(skip_sea_19) {
        return Err(OpenError::PurgeHash);
    }
    let length = reader.u32("length")? as usize;
    // req: SEA-20
    if length > plaintext.len().saturating_sub(SEALED_OVERHEAD_BYTES) {
        return Err(OpenError::Length);
    }
    let signed = reader.take("signed", length)?;
    let signature = reader.array("signature")?;
    // req: SEA-21
    if reader.rest().iter().any(|&byte| byte != 0) && !tortalk_model::deviate!(skip_sea_21) {
        return Err(OpenError::Padding);
    }
    // req: SEA-22
    if bucket_for(SEALED_OVERHEAD_BYTES + length) != Some(plaintext.len())
        && !tortalk_model::deviate!(skip_sea_22)
    {
        return Err(OpenError::Bucket);
    }
    Ok((purge_key, signed, signature))
}

fn check_signed(
    signed: &[u8],
    signature: [u8; 64],
    me: &IdentityKey,
) -> Result<(MessageFields, Signature), OpenError> {
    let layout = Reader::new(signed).u8("layout")?;
    // req: SEA-23
    if layout != SIGNED_LAYOUT && !tortalk_model::deviate!(skip_sea_23) {
        return Err(OpenError::UnknownLayout(layout));
    }
    let parts = SignedParts::parse(signed)?;
    // req: SEA-24
    if parts.audience_kind != AUDIENCE_PERSON && !tortalk_model::deviate!(skip_sea_24) {
        return Err(OpenError::AudienceKind(parts.audience_kind));
    }
    // req: SEA-25
    if parts.audience != *me && !tortalk_model::deviate!(skip_sea_25) {
        return Err(OpenError::Audience);
    }
    // req: SEA-26
    if !parts.has_valid_sender() {
        return Err(OpenError::Sender);
    }
    let signature = Signature::from_bytes(signature);
    // req: SEA-27
    if !parts.is_signed_by_sender(signed, &signature) && !tortalk_model::deviate!(skip_sea_27) {
        return Err(OpenError::Signature);
    }
    // req: SEA-28
    let body = parts.body()?;
    // req: SEA-29
    if parts.breaks_chain_rule(&body) && !tortalk_model::deviate!(skip_sea_29) {
        return Err(OpenError::Chained);
    }
    Ok((parts.into_fields(body), signature))
}

#[cfg(test)]
mod tests;
