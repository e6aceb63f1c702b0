//! A relay's word that it stored an envelope, as it is kept.

use tortalk_keys::Signature;
use tortalk_keys::relay_proof::receipt::{self, ReceiptClaim};
use tortalk_model::bytes::{LayoutError, Reader, Writer};
use tortalk_model::limits::relay::RECEIPT_IDS_MAX;
use tortalk_model::{EnvelopeId, RelayKey, UnixMillis};

use crate::relay::StorageReceipt;

/// The proof of [`crate::Evidence::AtRelay`]: everything that was signed, and
/// which of the envelopes held the message.
///
/// ```text
/// envelope_id 32 ‖ time u64 ‖ store_until u64 ‖ count u16 ‖ [envelope_id 32]* ‖ signature 64
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageProof {
    /// The envelope that held the message.
    pub envelope_id: EnvelopeId,
    /// The relay's word.
    pub receipt: StorageReceipt,
}

impl StorageProof {
    /// The layout's bytes. Of more ids than a receipt may have the first 65,535
    /// are written; none that verifies has so many.
    pub fn to_bytes(&self) -> Vec<u8> {
        let StorageReceipt { time, store_until, ids, signature } = &self.receipt;
        let count = u16::try_from(ids.len()).unwrap_or(u16::MAX);
        let writer = Writer::with_capacity(32 + 18 + 32 * ids.len() + 64)
            .raw(self.envelope_id.as_bytes())
            .u64(time.0)
            .u64(store_until.0)
            .u16(count);
        let ids = ids.iter().take(usize::from(count));
        ids.fold(writer, |writer, id| writer.raw(id.as_bytes())).raw(signature).into_vec()
    }

    /// Reads the layout.
    ///
    /// # Errors
    /// When the bytes are not the layout.
    pub fn parse(bytes: &[u8]) -> Result<Self, LayoutError> {
        let mut reader = Reader::new(bytes);
        let envelope_id = EnvelopeId::from_bytes(reader.array("envelope_id")?);
        let time = UnixMillis(reader.u64("time")?);
        let store_until = UnixMillis(reader.u64("store_until")?);
        let count = reader.u16("count")?;
        let mut ids = Vec::with_capacity(usize::from(count).min(RECEIPT_IDS_MAX));
        for _ in 0..count {
            ids.push(EnvelopeId::from_bytes(reader.array("id")?));
        }
        let signature = reader.array("signature")?;
        reader.finish()?;
        let receipt = StorageReceipt { time, store_until, ids, signature };
        Ok(Self { envelope_id, receipt })
    }

    /// Whether this relay signed that it stored the envelope.
    pub fn holds_for(&self, relay: &RelayKey) -> bool {
        let StorageReceipt { time, store_until, ids, signature } = &self.receipt;
        let claim = ReceiptClaim { time: *time, store_until: *store_until, ids };
        ids.contains(&self.envelope_id)
            && receipt::verify(relay, &claim, &Signature::from_bytes(*signature)).is_ok()
    }
}
