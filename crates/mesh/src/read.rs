//! What the machine asks the store.

use tortalk_model::{EnvelopeId, IdentityKey, MessageId, UnixMillis};

use crate::write::{Contact, HeldEnvelope, IncomingMessage, OutgoingMessage};

/// The reads that the machine needs between its inputs.
///
/// A reader sees every write that was applied before, committed or not: the
/// driver applies a `Ready`'s writes before it hands in the next input.
pub trait Read {
    /// Why a read failed; the machine passes it on and does nothing.
    type Error: core::error::Error;

    /// Everybody, in the order in which they were added.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn contacts(&self) -> Result<Vec<Contact>, Self::Error>;

    /// Our own cards as last signed: for strangers, for contacts.
    ///
    /// # Errors
    /// When the store cannot be read.
    #[expect(clippy::type_complexity, reason = "both or none; a type would say no more")]
    fn own_cards(&self) -> Result<Option<(Vec<u8>, Vec<u8>)>, Self::Error>;

    /// An outgoing message with its evidence.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn outgoing(&self, id: &MessageId) -> Result<Option<OutgoingMessage>, Self::Error>;

    /// Outgoing messages to a contact that no envelope holds yet, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn waiting_for_key(&self, contact: &IdentityKey) -> Result<Vec<MessageId>, Self::Error>;

    /// Outgoing messages without a receipt whose next try is due, the earliest
    /// first, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<MessageId>, Self::Error>;

    /// The earliest next try of all.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn next_due(&self) -> Result<Option<UnixMillis>, Self::Error>;

    /// An envelope that is held.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn envelope(&self, id: &EnvelopeId) -> Result<Option<HeldEnvelope>, Self::Error>;

    /// Envelopes held for a contact which that contact has not stored yet, in
    /// the order in which they were made, at most `limit`, after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn pending_for(
        &self,
        contact: &IdentityKey,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<EnvelopeId>, Self::Error>;

    /// Whether an envelope has been dealt with before.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn seen(&self, id: &EnvelopeId) -> Result<bool, Self::Error>;

    /// An incoming message; ids are remembered for ever.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn incoming(&self, id: &MessageId) -> Result<Option<IncomingMessage>, Self::Error>;
}
