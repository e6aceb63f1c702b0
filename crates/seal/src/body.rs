//! What a message says: the body types of version 1 and their layouts.

use core::fmt;

use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::limits::{CARD_BYTES_MAX, RECEIPT_IDS_MAX, REQUEST_TEXT_BYTES_MAX};
use tortalk_model::{ChainId, MessageId, SignedHash};

/// Why bytes are not the body that their type names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BodyError {
    /// The bytes are not the layout (SEA-28).
    #[error("not the body's layout: {0}")]
    Layout(#[from] LayoutError),
    /// Text that is not UTF-8 (SEA-30).
    #[error("the text is not UTF-8")]
    NotUtf8,
    /// A receipt for nothing (SEA-31).
    #[error("a receipt without entries")]
    EmptyReceipt,
    /// A receipt of an unknown kind (SEA-32).
    #[error("receipt kind {0} is not known")]
    ReceiptKind(u8),
    /// A card of no bytes (SEA-34).
    #[error("the card is empty")]
    NoCard,
    /// A range whose end lies before its start (SEA-35).
    #[error("the range ends before it starts")]
    Range,
    /// [`Body::Unknown`] with the number of a known type: only a draft of one's
    /// own can be that.
    #[error("body type {0:?} is known and has its own form")]
    KnownType(BodyType),
}

/// The number of a body type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct BodyType(pub u16);

impl BodyType {
    /// UTF-8 text.
    pub const TEXT: Self = Self(1);
    /// Messages that arrived or were read.
    pub const RECEIPT: Self = Self(2);
    /// A stranger asks to be a contact.
    pub const CONTACT_REQUEST: Self = Self(3);
    /// The answer to a contact request.
    pub const CONTACT_ACCEPT: Self = Self(4);
    /// A newer card of the sender.
    pub const CARD: Self = Self(5);
    /// Messages of a chain that are missing.
    pub const RESEND_REQUEST: Self = Self(6);

    /// Whether a node that does not know this type must not confirm it: the high
    /// bit (SEA-37).
    pub const fn is_critical(self) -> bool {
        self.0 & 0x8000 != 0
    }

    /// Whether this version has a form for this type.
    pub const fn is_known(self) -> bool {
        matches!(self.0, 1..=6)
    }
}

/// What a message says.
///
/// `Debug` shows the type and the length, never the content.
#[derive(Clone, PartialEq, Eq)]
pub enum Body {
    /// Text for the conversation; may be empty.
    Text(String),
    /// What arrived or was read: 1 to 256 entries.
    Receipt(Vec<ReceiptEntry>),
    /// A stranger asks to be a contact.
    ContactRequest {
        /// The requester's contact card, 1 to 8,128 bytes, not yet checked.
        card: Vec<u8>,
        /// What the requester says; at most 1,024 bytes, may be empty.
        text: String,
    },
    /// The request is accepted.
    ContactAccept {
        /// The message with the request that it answers.
        request: MessageId,
        /// The accepter's contact card, 1 to 8,128 bytes, not yet checked.
        card: Vec<u8>,
    },
    /// The sender's newer card.
    Card {
        /// The card, 1 to 8,128 bytes, not yet checked.
        card: Vec<u8>,
    },
    /// Messages of a chain did not come.
    ResendRequest(ResendRequest),
    /// A type that this version does not know.
    Unknown {
        /// Its number.
        body_type: BodyType,
        /// Its bytes.
        bytes: Vec<u8>,
    },
}

/// One message that a receipt confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptEntry {
    /// The message.
    pub message_id: MessageId,
    /// The hash of the signed bytes that arrived under that id (DLV-06).
    pub signed_hash: SignedHash,
    /// What happened to it.
    pub kind: ReceiptKind,
}

/// What a receipt confirms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReceiptKind {
    /// The message is in the recipient's store.
    Delivered = 1,
    /// The recipient has seen it.
    Read = 2,
}

/// The missing messages of one chain, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResendRequest {
    /// The chain.
    pub chain_id: ChainId,
    /// The first missing counter.
    pub from: u64,
    /// The last missing counter, at least `from`.
    pub to: u64,
}

impl Body {
    /// Reads a body from a message's signed bytes.
    ///
    /// # Errors
    /// When the bytes are not exactly the layout of a known type. Bytes of an
    /// unknown type are [`Body::Unknown`].
    pub fn parse(body_type: BodyType, bytes: &[u8]) -> Result<Self, BodyError> {
        match body_type {
            BodyType::TEXT => Ok(Self::Text(utf8(bytes)?)),
            BodyType::RECEIPT => parse_receipt(bytes),
            BodyType::CONTACT_REQUEST => parse_request(bytes),
            BodyType::CONTACT_ACCEPT => parse_accept(bytes),
            BodyType::CARD => Ok(Self::Card { card: card(bytes)? }),
            BodyType::RESEND_REQUEST => parse_resend(bytes),
            // req: SEA-36
            _ => Ok(Self::Unknown { body_type, bytes: bytes.to_vec() }),
        }
    }

    /// The body as it stands in a message's signed bytes.
    ///
    /// # Errors
    /// When [`Body::parse`] would refuse the result or make another body of it.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BodyError> {
        let bytes = match self {
            Self::Text(text) => text.as_bytes().to_vec(),
            Self::Receipt(entries) => receipt_bytes(entries)?,
            Self::ContactRequest { card, text } => {
                if text.len() > REQUEST_TEXT_BYTES_MAX {
                    return Err(too_long("text", text.len(), REQUEST_TEXT_BYTES_MAX));
                }
                Writer::new().bytes16(text.as_bytes()).raw(check_card(card)?).into_vec()
            }
            Self::ContactAccept { request, card } => {
                Writer::new().raw(request.as_bytes()).raw(check_card(card)?).into_vec()
            }
            Self::Card { card } => check_card(card)?.to_vec(),
            Self::ResendRequest(ResendRequest { chain_id, from, to }) => {
                if to < from {
                    return Err(BodyError::Range);
                }
                Writer::new().raw(chain_id.as_bytes()).u64(*from).u64(*to).into_vec()
            }
            Self::Unknown { body_type, bytes } => {
                if body_type.is_known() {
                    return Err(BodyError::KnownType(*body_type));
                }
                bytes.clone()
            }
        };
        Ok(bytes)
    }

    /// The number of this body's type.
    pub const fn body_type(&self) -> BodyType {
        match self {
            Self::Text(_) => BodyType::TEXT,
            Self::Receipt(_) => BodyType::RECEIPT,
            Self::ContactRequest { .. } => BodyType::CONTACT_REQUEST,
            Self::ContactAccept { .. } => BodyType::CONTACT_ACCEPT,
            Self::Card { .. } => BodyType::CARD,
            Self::ResendRequest(_) => BodyType::RESEND_REQUEST,
            Self::Unknown { body_type, .. } => *body_type,
        }
    }

    /// Whether this body is part of the conversation that people see, and so has
    /// a place in its chain (SEA-14): text, and what a newer version wrote.
    ///
    /// A contact request is shown too, but before there is a conversation.
    pub const fn is_user_visible(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Unknown { .. })
    }

    /// Whether the recipient confirms this body as soon as it has stored it.
    ///
    /// Not confirmed are receipts, contact requests (the acceptance confirms
    /// them) and unknown bodies that are critical (SEA-37).
    pub const fn wants_receipt(&self) -> bool {
        match self {
            Self::Receipt(_) | Self::ContactRequest { .. } => false,
            // req: SEA-36, SEA-37
            Self::Unknown { body_type, .. } => !body_type.is_critical(),
            Self::Text(_)
            | Self::ContactAccept { .. }
            | Self::Card { .. }
            | Self::ResendRequest(_) => true,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = self.to_bytes().map_or(0, |bytes| bytes.len());
        write!(f, "Body(type {}, {len} bytes)", self.body_type().0)
    }
}

fn utf8(bytes: &[u8]) -> Result<String, BodyError> {
    // req: SEA-30
    String::from_utf8(bytes.to_vec()).map_err(|_| BodyError::NotUtf8)
}

fn parse_receipt(bytes: &[u8]) -> Result<Body, BodyError> {
    let mut reader = Reader::new(bytes);
    let count = usize::from(reader.u16("count")?);
    // req: SEA-31
    if count == 0 && !tortalk_model::deviate!(skip_sea_31_in_body) {
        return Err(BodyError::EmptyReceipt);
    }
    // req: SEA-31
    if count > RECEIPT_IDS_MAX {
        return Err(too_long("count", count, RECEIPT_IDS_MAX));
    }
    let mut entries = Vec::with_capacity(count);
    for _ in 0..count {
        entries.push(ReceiptEntry {
            message_id: MessageId::from_bytes(reader.array("message_id")?),
            signed_hash: SignedHash::from_bytes(reader.array("signed_hash")?),
            kind: receipt_kind(reader.u8("kind")?)?,
        });
    }
    reader.finish()?;
    Ok(Body::Receipt(entries))
}

const fn receipt_kind(kind: u8) -> Result<ReceiptKind, BodyError> {
    match kind {
        1 => Ok(ReceiptKind::Delivered),
        2 => Ok(ReceiptKind::Read),
        // req: SEA-32
        _ => Err(BodyError::ReceiptKind(kind)),
    }
}

fn receipt_bytes(entries: &[ReceiptEntry]) -> Result<Vec<u8>, BodyError> {
    if entries.is_empty() {
        return Err(BodyError::EmptyReceipt);
    }
    if entries.len() > RECEIPT_IDS_MAX {
        return Err(too_long("count", entries.len(), RECEIPT_IDS_MAX));
    }
    // req: DLV-06
    Ok(entries
        .iter()
        .fold(Writer::new().u16(entries.len() as u16), |writer, entry| {
            writer
                .raw(entry.message_id.as_bytes())
                .raw(entry.signed_hash.as_bytes())
                .u8(entry.kind as u8)
        })
        .into_vec())
}

fn parse_request(bytes: &[u8]) -> Result<Body, BodyError> {
    let mut reader = Reader::new(bytes);
    // req: SEA-33
    let text = utf8(reader.bytes16("text", REQUEST_TEXT_BYTES_MAX)?)?;
    let card = card(reader.rest())?;
    Ok(Body::ContactRequest { card, text })
}

fn parse_accept(bytes: &[u8]) -> Result<Body, BodyError> {
    let mut reader = Reader::new(bytes);
    let request = MessageId::from_bytes(reader.array("request")?);
    Ok(Body::ContactAccept { request, card: card(reader.rest())? })
}

fn parse_resend(bytes: &[u8]) -> Result<Body, BodyError> {
    let mut reader = Reader::new(bytes);
    let chain_id = ChainId::from_bytes(reader.array("chain_id")?);
    let (from, to) = (reader.u64("from")?, reader.u64("to")?);
    reader.finish()?;
    // req: SEA-35
    if to < from && !tortalk_model::deviate!(skip_sea_35) {
        return Err(BodyError::Range);
    }
    Ok(Body::ResendRequest(ResendRequest { chain_id, from, to }))
}

fn card(bytes: &[u8]) -> Result<Vec<u8>, BodyError> {
    Ok(check_card(bytes)?.to_vec())
}

fn check_card(bytes: &[u8]) -> Result<&[u8], BodyError> {
    // req: SEA-34
    if bytes.is_empty() && !tortalk_model::deviate!(skip_sea_34_in_body) {
        return Err(BodyError::NoCard);
    }
    // req: SEA-34
    if bytes.len() > CARD_BYTES_MAX {
        return Err(too_long("card", bytes.len(), CARD_BYTES_MAX));
    }
    Ok(bytes)
}

const fn too_long(field: &'static str, found: usize, limit: usize) -> BodyError {
    BodyError::Layout(LayoutError::TooLong { field, found, limit })
}

#[cfg(test)]
mod tests;
