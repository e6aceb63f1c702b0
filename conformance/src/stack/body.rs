//! Bodies of messages (`spec/seal.md` section 1 and 5).

use super::bytes::{Reader, bytes16, join};
use super::{Taken, decode, rule};

/// The types of bodies that version 1 knows.
#[allow(missing_docs)] // named as registry.md names them
pub mod kind {
    pub const TEXT: u16 = 1;
    pub const RECEIPT: u16 = 2;
    pub const CONTACT_REQUEST: u16 = 3;
    pub const CONTACT_ACCEPT: u16 = 4;
    pub const CARD: u16 = 5;
    pub const RESEND_REQUEST: u16 = 6;
}

/// One line of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiptEntry {
    /// Which message.
    pub message_id: [u8; 32],
    /// Of which words.
    pub signed_hash: [u8; 32],
    /// 1 delivered, 2 read.
    pub kind: u8,
}

/// What a body says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Words.
    Text(String),
    /// What arrived.
    Receipt(Vec<ReceiptEntry>),
    /// Asks to be a contact; the card is not read here.
    ContactRequest {
        /// What is said with it.
        text: String,
        /// The card's bytes.
        card: Vec<u8>,
    },
    /// Accepts a request.
    ContactAccept {
        /// The message id of the request.
        request: [u8; 32],
        /// The card's bytes.
        card: Vec<u8>,
    },
    /// A newer card's bytes.
    Card(Vec<u8>),
    /// Asks for what is missing.
    ResendRequest {
        /// Of which chain.
        chain_id: [u8; 8],
        /// The first number.
        from: u64,
        /// The last number.
        to: u64,
    },
    /// Of a later version.
    Unknown,
}

impl Body {
    /// Reads a body by its type.
    ///
    /// # Errors
    /// `decode` or `rule`, by SEA-28 and SEA-30 to SEA-35.
    pub fn read(kind: u16, bytes: &[u8]) -> Taken<Self> {
        let text = |bytes: &[u8]| {
            String::from_utf8(bytes.to_vec()).map_err(|_| decode("SEA-30, SEA-33: not UTF-8"))
        };
        let card = |bytes: &[u8]| {
            if (1..=8128).contains(&bytes.len()) {
                Ok(bytes.to_vec())
            } else {
                Err(decode("SEA-34: the length of the card"))
            }
        };
        let mut reader = Reader::new(bytes);
        Ok(match kind {
            kind::TEXT => Self::Text(text(bytes)?),
            kind::RECEIPT => {
                let count = Reader::bounded(usize::from(reader.u16()?), 256)?;
                let mut entries = Vec::new();
                for _ in 0..count {
                    let message_id = reader.array()?;
                    let signed_hash = reader.array()?;
                    entries.push(ReceiptEntry { message_id, signed_hash, kind: reader.u8()? });
                }
                reader.end()?;
                if entries.is_empty() {
                    return Err(rule("SEA-31: no entry"));
                }
                if entries.iter().any(|entry| !(1..=2).contains(&entry.kind)) {
                    return Err(rule("SEA-32: the kind of an entry"));
                }
                Self::Receipt(entries)
            }
            kind::CONTACT_REQUEST => {
                let length = Reader::bounded(usize::from(reader.u16()?), 1024)?;
                let text = text(reader.take(length)?)?;
                Self::ContactRequest { text, card: card(reader.rest())? }
            }
            kind::CONTACT_ACCEPT => {
                let request = reader.array()?;
                Self::ContactAccept { request, card: card(reader.rest())? }
            }
            kind::CARD => Self::Card(card(bytes)?),
            kind::RESEND_REQUEST => {
                let chain_id = reader.array()?;
                let from = reader.u64()?;
                let to = reader.u64()?;
                reader.end()?;
                if from > to {
                    return Err(rule("SEA-35: the range ends before it starts"));
                }
                Self::ResendRequest { chain_id, from, to }
            }
            _ => Self::Unknown,
        })
    }
}

/// Whether a body of this type is part of the conversation.
#[must_use]
pub fn visible(kind: u16) -> bool {
    !(kind::RECEIPT..=kind::RESEND_REQUEST).contains(&kind)
}

/// Whether a recipient confirms it, as the table of section 1 says.
#[must_use]
pub fn confirmed(kind: u16) -> bool {
    match kind {
        kind::RECEIPT | kind::CONTACT_REQUEST => false,
        kind::TEXT..=kind::RESEND_REQUEST => true,
        _ => kind < 0x8000,
    }
}

/// The bytes of a receipt.
#[must_use]
pub fn receipt(entries: &[ReceiptEntry]) -> Vec<u8> {
    let mut bytes = (entries.len() as u16).to_be_bytes().to_vec();
    for entry in entries {
        bytes.extend_from_slice(&entry.message_id);
        bytes.extend_from_slice(&entry.signed_hash);
        bytes.push(entry.kind);
    }
    bytes
}

/// The bytes of a contact request.
#[must_use]
pub fn contact_request(text: &[u8], card: &[u8]) -> Vec<u8> {
    join(&[&bytes16(text), card])
}

/// The bytes of an accept.
#[must_use]
pub fn contact_accept(request: [u8; 32], card: &[u8]) -> Vec<u8> {
    join(&[&request, card])
}

/// The bytes of a resend request.
#[must_use]
pub fn resend_request(chain_id: [u8; 8], from: u64, to: u64) -> Vec<u8> {
    join(&[&chain_id, &from.to_be_bytes(), &to.to_be_bytes()])
}
