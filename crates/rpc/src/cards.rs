//! PutCard and GetCard.

use tortalk_model::MailboxKey;
use tortalk_model::limits::relay::CARD_BLOB_BYTES_MAX;
use tortalk_wire::{BodyError, BoundedBytes, FieldFault};

use crate::field::{bounded, fault, fixed};
use crate::v1;

/// What lies in a drop, 1..=8,192 bytes.
pub type CardBlob = BoundedBytes<1, CARD_BLOB_BYTES_MAX>;

/// A card for a mailbox's drop. Not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutCard {
    /// The mailbox.
    pub mailbox: MailboxKey,
    /// What goes into its drop.
    pub card: CardDrop,
}

/// What lies in a drop. Not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardDrop {
    /// The card's sequence.
    pub seq: u64,
    /// The card, encrypted.
    pub blob: CardBlob,
    /// Signature by the mailbox over the drawn drop.
    pub signature: [u8; 64],
}

impl TryFrom<v1::PutCardRequest> for PutCard {
    type Error = BodyError;

    // req: RLY-46
    fn try_from(request: v1::PutCardRequest) -> Result<Self, BodyError> {
        const M: &str = "PutCardRequest";
        Ok(Self {
            mailbox: fixed(M, "mailbox", &request.mailbox)?,
            card: CardDrop {
                seq: request.seq,
                blob: bounded(M, "blob", request.blob)?,
                signature: fixed(M, "signature", &request.signature)?,
            },
        })
    }
}

impl From<PutCard> for v1::PutCardRequest {
    fn from(put: PutCard) -> Self {
        Self {
            mailbox: put.mailbox.as_bytes().to_vec(),
            seq: put.card.seq,
            blob: put.card.blob.into_vec(),
            signature: put.card.signature.to_vec(),
        }
    }
}

/// What became of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PutCardAnswer {
    /// The outcome.
    pub result: PutCardResult,
    /// The sequence in the drop now; 0 is none.
    pub seq: u64,
}

/// The outcome of putting a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PutCardResult {
    /// It is in the drop.
    Stored,
    /// The drop holds one with this or a larger sequence.
    Old,
    /// The mailbox is not registered.
    Unregistered,
}

impl TryFrom<v1::PutCardResponse> for PutCardAnswer {
    type Error = BodyError;

    fn try_from(response: v1::PutCardResponse) -> Result<Self, BodyError> {
        use v1::PutCardResult as P;
        let result = match response.result() {
            P::Stored => PutCardResult::Stored,
            P::Old => PutCardResult::Old,
            P::Unregistered => PutCardResult::Unregistered,
            P::Unspecified => {
                let found = FieldFault::Value(response.result);
                return Err(fault("PutCardResponse", "result", found));
            }
        };
        Ok(Self { result, seq: response.seq })
    }
}

impl From<PutCardAnswer> for v1::PutCardResponse {
    fn from(answer: PutCardAnswer) -> Self {
        use v1::PutCardResult as P;
        let result = match answer.result {
            PutCardResult::Stored => P::Stored,
            PutCardResult::Old => P::Old,
            PutCardResult::Unregistered => P::Unregistered,
        };
        Self { result: result.into(), seq: answer.seq }
    }
}

/// The mailbox whose drop is asked for.
///
/// # Errors
/// [`BodyError`] when the key does not have 32 bytes.
pub fn mailbox_asked(request: &v1::GetCardRequest) -> Result<MailboxKey, BodyError> {
    fixed("GetCardRequest", "mailbox", &request.mailbox)
}

impl TryFrom<v1::GetCardResponse> for CardDrop {
    type Error = BodyError;

    fn try_from(response: v1::GetCardResponse) -> Result<Self, BodyError> {
        const M: &str = "GetCardResponse";
        Ok(Self {
            seq: response.seq,
            blob: bounded(M, "blob", response.blob)?,
            signature: fixed(M, "signature", &response.signature)?,
        })
    }
}

impl From<CardDrop> for v1::GetCardResponse {
    fn from(card: CardDrop) -> Self {
        Self { seq: card.seq, blob: card.blob.into_vec(), signature: card.signature.to_vec() }
    }
}
