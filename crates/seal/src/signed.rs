//! The signed bytes of a message: who says what to whom, and the signature.
//!
//! ```text
//! layout u8 · audience_kind u8 · audience 32 · sender 32 · device_id 8 · nonce 16
//!   · sent_at u64 · chain_id 8 · counter u64 · body_type u16 · body
//! ```

use core::fmt;

use tortalk_keys::{IdentitySecret, Signature, identity_from_bytes, message};
use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::hash::{self, label};
use tortalk_model::limits::{BODY_BYTES_MAX, SIGNED_HEADER_BYTES};
use tortalk_model::message_id::message_id;
use tortalk_model::{ChainId, DeviceId, IdentityKey, MessageId, Nonce, SignedHash, UnixMillis};

use crate::body::{Body, BodyError, BodyType};

/// Layout number of the only layout of signed bytes.
pub(crate) const SIGNED_LAYOUT: u8 = 1;
/// The audience is one person, named by the identity key.
pub(crate) const AUDIENCE_PERSON: u8 = 0;

/// A message before it is signed; its sender is whoever signs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// Whom it is for.
    pub audience: IdentityKey,
    /// The device that writes it.
    pub device_id: DeviceId,
    /// 16 random bytes, never used for another message (SEA-09).
    pub nonce: Nonce,
    /// When it was written, in the writer's clock.
    pub sent_at: UnixMillis,
    /// The sequence that it belongs to; zeros when the body is not visible.
    pub chain_id: ChainId,
    /// Its place in the sequence; 0 when the body is not visible.
    pub counter: u64,
    /// What it says.
    pub body: Body,
}

/// Why a draft cannot become a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DraftError {
    /// The body does not fit the largest bucket.
    #[error("the message is {len} bytes, at most {limit}")]
    TooLarge {
        /// Length of the body in bytes.
        len: usize,
        /// The longest body, 65,320 bytes.
        limit: usize,
    },
    /// A body that people do not see has a place in a chain (SEA-14).
    #[error("a body that is not shown has a chain id or counter")]
    Chained,
    /// The body breaks its own layout.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Why stored bytes are not a message of ours any more: the store is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoredError {
    /// Not the layout of signed bytes.
    #[error("not a stored message: {0}")]
    Layout(#[from] LayoutError),
    /// A layout or audience kind that this version does not write.
    #[error("a stored message of an unknown form")]
    Form,
    /// The signature is not the sender's.
    #[error("the stored message's signature is not valid")]
    Signature,
    /// The body breaks its layout.
    #[error("a stored message with a bad body: {0}")]
    Body(#[from] BodyError),
}

/// The fields of a signed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageFields {
    /// Whom it is for.
    pub audience: IdentityKey,
    /// Who wrote and signed it.
    pub sender: IdentityKey,
    /// The device that wrote it.
    pub device_id: DeviceId,
    /// What makes it another message than one of the same words.
    pub nonce: Nonce,
    /// When it was written, in the writer's clock: a claim.
    pub sent_at: UnixMillis,
    /// The sequence that it belongs to.
    pub chain_id: ChainId,
    /// Its place in the sequence.
    pub counter: u64,
    /// What it says.
    pub body: Body,
}

/// A message with its sender's signature: the form that is stored, shown and
/// sealed, as often as needed (SEA-13).
#[derive(Clone, PartialEq, Eq)]
pub struct SignedMessage {
    bytes: Vec<u8>,
    signature: Signature,
    fields: MessageFields,
    message_id: MessageId,
    signed_hash: SignedHash,
}

impl SignedMessage {
    /// Puts a draft into its layout and signs it.
    ///
    /// # Errors
    /// A body that is too large, breaks its layout, or has a place in a chain
    /// although nobody sees it.
    pub fn sign(secret: &IdentitySecret, draft: Draft) -> Result<Self, DraftError> {
        let Draft { audience, device_id, nonce, sent_at, chain_id, counter, body } = draft;
        let body_bytes = body.to_bytes()?;
        let (len, limit) = (body_bytes.len(), BODY_BYTES_MAX);
        if len > limit {
            return Err(DraftError::TooLarge { len, limit });
        }
        // req: SEA-14
        if breaks_chain_rule(&body, &chain_id, counter) {
            return Err(DraftError::Chained);
        }
        let sender = secret.public();
        let fields =
            MessageFields { audience, sender, device_id, nonce, sent_at, chain_id, counter, body };
        // req: SEA-07, SEA-08
        let bytes = Writer::with_capacity(SIGNED_HEADER_BYTES + body_bytes.len())
            .u8(SIGNED_LAYOUT)
            .u8(AUDIENCE_PERSON)
            .raw(audience.as_bytes())
            .raw(sender.as_bytes())
            .raw(device_id.as_bytes())
            .raw(nonce.as_bytes())
            .u64(sent_at.0)
            .raw(chain_id.as_bytes())
            .u64(counter)
            .u16(fields.body.body_type().0)
            .raw(&body_bytes)
            .into_vec();
        // req: SEA-10
        let signature = message::sign(secret, &bytes);
        Ok(Self::assemble(bytes, signature, fields))
    }

    /// Takes a message back from one's own store, to show it or to seal it again.
    ///
    /// The signature is verified again, because disks fail. For whom the message
    /// is, is not looked at: this is no way to open a message.
    ///
    /// # Errors
    /// When the bytes are no signed message or the signature is not its sender's.
    pub fn from_stored(bytes: Vec<u8>, signature: Signature) -> Result<Self, StoredError> {
        let parts = SignedParts::parse(&bytes)?;
        if parts.layout != SIGNED_LAYOUT || parts.audience_kind != AUDIENCE_PERSON {
            return Err(StoredError::Form);
        }
        if !parts.is_signed_by_sender(&bytes, &signature) {
            return Err(StoredError::Signature);
        }
        let body = parts.body()?;
        let fields = parts.into_fields(body);
        Ok(Self::assemble(bytes, signature, fields))
    }

    /// The signed bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sender's signature.
    pub const fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The stable name of the message (SEA-11).
    pub const fn message_id(&self) -> MessageId {
        self.message_id
    }

    /// The hash of [`SignedMessage::bytes`], as receipts carry it (SEA-12).
    pub const fn signed_hash(&self) -> SignedHash {
        self.signed_hash
    }

    /// What is in the bytes.
    pub const fn fields(&self) -> &MessageFields {
        &self.fields
    }

    /// Whether it is the same message, which a receipt with these two names
    /// confirms (DLV-06).
    pub fn is_named(&self, message_id: &MessageId, signed_hash: &SignedHash) -> bool {
        self.message_id == *message_id && self.signed_hash == *signed_hash
    }

    pub(crate) fn assemble(bytes: Vec<u8>, signature: Signature, fields: MessageFields) -> Self {
        // req: SEA-11
        let message_id = message_id(&fields.sender, &fields.audience, &fields.nonce);
        // req: SEA-12
        let signed_hash = SignedHash::from_bytes(hash::labelled(label::SIGNED_HASH, &[&bytes]));
        Self { bytes, signature, fields, message_id, signed_hash }
    }
}

impl fmt::Debug for SignedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignedMessage({:?}, {:?})", self.message_id, self.fields.body)
    }
}

/// Signed bytes cut into fields, with nothing believed yet.
pub(crate) struct SignedParts<'a> {
    pub(crate) layout: u8,
    pub(crate) audience_kind: u8,
    pub(crate) audience: IdentityKey,
    sender: [u8; 32],
    device_id: DeviceId,
    nonce: Nonce,
    sent_at: UnixMillis,
    chain_id: ChainId,
    counter: u64,
    body_type: BodyType,
    body: &'a [u8],
}

impl<'a> SignedParts<'a> {
    /// Cuts; the numbers are not judged.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, LayoutError> {
        let mut reader = Reader::new(bytes);
        Ok(Self {
            layout: reader.u8("layout")?,
            audience_kind: reader.u8("audience_kind")?,
            audience: IdentityKey::from_bytes(reader.array("audience")?),
            sender: reader.array("sender")?,
            device_id: DeviceId::from_bytes(reader.array("device_id")?),
            nonce: Nonce::from_bytes(reader.array("nonce")?),
            sent_at: UnixMillis(reader.u64("sent_at")?),
            chain_id: ChainId::from_bytes(reader.array("chain_id")?),
            counter: reader.u64("counter")?,
            body_type: BodyType(reader.u16("body_type")?),
            body: reader.rest(),
        })
    }

    /// Whether the sender's bytes are a key that can sign.
    pub(crate) fn has_valid_sender(&self) -> bool {
        identity_from_bytes(self.sender).is_ok()
    }

    /// Whether `signature` is the named sender's over `bytes`.
    pub(crate) fn is_signed_by_sender(&self, bytes: &[u8], signature: &Signature) -> bool {
        // Verifying refuses a sender that is no key as well.
        message::verify(&IdentityKey::from_bytes(self.sender), bytes, signature).is_ok()
    }

    /// The body in its form.
    pub(crate) fn body(&self) -> Result<Body, BodyError> {
        Body::parse(self.body_type, self.body)
    }

    /// Whether a body that nobody sees has a place in a chain.
    pub(crate) fn breaks_chain_rule(&self, body: &Body) -> bool {
        breaks_chain_rule(body, &self.chain_id, self.counter)
    }

    /// The fields, once the checks are through.
    pub(crate) fn into_fields(self, body: Body) -> MessageFields {
        MessageFields {
            audience: self.audience,
            sender: IdentityKey::from_bytes(self.sender),
            device_id: self.device_id,
            nonce: self.nonce,
            sent_at: self.sent_at,
            chain_id: self.chain_id,
            counter: self.counter,
            body,
        }
    }
}

fn breaks_chain_rule(body: &Body, chain_id: &ChainId, counter: u64) -> bool {
    !body.is_user_visible() && (chain_id.as_bytes() != &[0; 8] || counter != 0)
}

#[cfg(test)]
mod tests;
