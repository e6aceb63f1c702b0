//! Sync.

use tortalk_model::limits::relay::RECEIPT_IDS_MAX;
use tortalk_model::{EnvelopeId, UnixMillis};
use tortalk_wire::{BodyError, EnvelopeBytes, FieldFault, StampBytes};

use crate::field::{bounded, fault, fixed};
use crate::v1;

/// One envelope to keep, unchecked but for the lengths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deposit {
    /// A contact's stamp, or nothing.
    pub stamp: StampBytes,
    /// The envelope's bytes.
    pub envelope: EnvelopeBytes,
}

impl TryFrom<v1::SyncRequest> for Deposit {
    type Error = BodyError;

    // req: RLY-10
    fn try_from(request: v1::SyncRequest) -> Result<Self, BodyError> {
        const M: &str = "SyncRequest";
        Ok(Self {
            stamp: bounded(M, "stamp", request.stamp)?,
            envelope: bounded(M, "envelope", request.envelope)?,
        })
    }
}

impl From<Deposit> for v1::SyncRequest {
    fn from(deposit: Deposit) -> Self {
        Self { stamp: deposit.stamp.into_vec(), envelope: deposit.envelope.into_vec() }
    }
}

/// What became of envelopes of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncAnswer {
    /// The relay's clock.
    pub now: UnixMillis,
    /// Covers all that became durable. `None` also for a receipt of a form that
    /// this version does not know, which proves nothing.
    pub receipt: Option<Receipt>,
    /// Those not taken, at most 256.
    pub refusals: Vec<Refusal>,
}

/// A relay's signed word that it stored envelopes. Not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The relay's clock at the commit.
    pub time: UnixMillis,
    /// Each envelope is kept until the earlier of this and its own expiry.
    pub store_until: UnixMillis,
    /// Those stored now.
    pub stored: Vec<EnvelopeId>,
    /// Those stored before; 1 to 256 ids in all.
    pub duplicates: Vec<EnvelopeId>,
    /// Signature over the drawn receipt.
    pub signature: [u8; 64],
}

impl Receipt {
    /// All ids in the order in which they are signed.
    pub fn ids(&self) -> Vec<EnvelopeId> {
        self.stored.iter().chain(&self.duplicates).copied().collect()
    }
}

/// An envelope that was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The id of the bytes that came.
    pub id: EnvelopeId,
    /// Why.
    pub reason: DepositRefusal,
    /// When another try makes sense, in seconds; 0 is no hint.
    pub retry_after_s: u32,
}

/// Why an envelope was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DepositRefusal {
    /// The bytes are no envelope.
    Malformed,
    /// Past its expiry in the relay's clock, or too far ahead of it.
    Expiry,
    /// No room or a fault for the moment; also what is not known.
    Busy,
    /// The mailbox is not known, or takes nothing more from strangers.
    NoRoom,
    /// The mailbox takes nothing more from contacts.
    Full,
}

impl TryFrom<v1::SyncResponse> for SyncAnswer {
    type Error = BodyError;

    fn try_from(response: v1::SyncResponse) -> Result<Self, BodyError> {
        const M: &str = "SyncResponse";
        let refusals = response.refusals.len();
        if refusals > RECEIPT_IDS_MAX {
            return Err(fault(M, "refusals", FieldFault::Length(refusals)));
        }
        let receipt = match response.receipt.and_then(|receipt| receipt.form) {
            Some(v1::storage_receipt::Form::List(list)) => Some(list.try_into()?),
            None => None,
        };
        Ok(Self {
            now: UnixMillis(response.now),
            receipt,
            refusals: response
                .refusals
                .into_iter()
                .map(Refusal::try_from)
                .collect::<Result<_, _>>()?,
        })
    }
}

impl From<SyncAnswer> for v1::SyncResponse {
    fn from(answer: SyncAnswer) -> Self {
        Self {
            now: answer.now.0,
            receipt: answer.receipt.map(|receipt| v1::StorageReceipt {
                form: Some(v1::storage_receipt::Form::List(receipt.into())),
            }),
            refusals: answer.refusals.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ReceiptList> for Receipt {
    type Error = BodyError;

    fn try_from(list: v1::ReceiptList) -> Result<Self, BodyError> {
        const M: &str = "ReceiptList";
        let (stored, duplicates) =
            (ids_of(M, "stored", &list.stored)?, ids_of(M, "duplicates", &list.duplicates)?);
        let count = stored.len() + duplicates.len();
        if count == 0 || count > RECEIPT_IDS_MAX {
            return Err(fault(M, "stored", FieldFault::Length(count)));
        }
        Ok(Self {
            time: UnixMillis(list.time),
            store_until: UnixMillis(list.store_until),
            stored,
            duplicates,
            signature: fixed(M, "signature", &list.signature)?,
        })
    }
}

impl From<Receipt> for v1::ReceiptList {
    fn from(receipt: Receipt) -> Self {
        Self {
            time: receipt.time.0,
            store_until: receipt.store_until.0,
            stored: concat(&receipt.stored),
            duplicates: concat(&receipt.duplicates),
            signature: receipt.signature.to_vec(),
        }
    }
}

fn ids_of(
    message: &'static str,
    field: &'static str,
    bytes: &[u8],
) -> Result<Vec<EnvelopeId>, BodyError> {
    if bytes.len() > RECEIPT_IDS_MAX * EnvelopeId::LEN {
        return Err(fault(message, field, FieldFault::Length(bytes.len())));
    }
    bytes.chunks(EnvelopeId::LEN).map(|id| fixed(message, field, id)).collect()
}

fn concat(ids: &[EnvelopeId]) -> Vec<u8> {
    ids.iter().flat_map(|id| *id.as_bytes()).collect()
}

impl TryFrom<v1::Refusal> for Refusal {
    type Error = BodyError;

    fn try_from(refusal: v1::Refusal) -> Result<Self, BodyError> {
        use v1::DepositRefusal as P;
        let reason = match refusal.reason() {
            P::Malformed => DepositRefusal::Malformed,
            P::Expiry => DepositRefusal::Expiry,
            P::Unspecified | P::Busy => DepositRefusal::Busy,
            P::NoRoom => DepositRefusal::NoRoom,
            P::Full => DepositRefusal::Full,
        };
        Ok(Self {
            id: fixed("Refusal", "id", &refusal.id)?,
            reason,
            retry_after_s: refusal.retry_after_s,
        })
    }
}

impl From<Refusal> for v1::Refusal {
    fn from(refusal: Refusal) -> Self {
        use v1::DepositRefusal as P;
        let reason = match refusal.reason {
            DepositRefusal::Malformed => P::Malformed,
            DepositRefusal::Expiry => P::Expiry,
            DepositRefusal::Busy => P::Busy,
            DepositRefusal::NoRoom => P::NoRoom,
            DepositRefusal::Full => P::Full,
        };
        Self {
            id: refusal.id.as_bytes().to_vec(),
            reason: reason.into(),
            retry_after_s: refusal.retry_after_s,
        }
    }
}
