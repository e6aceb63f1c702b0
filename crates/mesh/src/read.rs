//! What the machine asks the store.

use tortalk_keys::relay::RelayAddress;
use tortalk_model::{
    Envelope, EnvelopeId, IdentityKey, MailboxKey, MessageId, PurgeHash, PurgeKey, UnixMillis,
};

use crate::requests::ContactRequest;
use crate::write::{Contact, HeldEnvelope, IncomingMessage, OutgoingMessage, RegisteredMailbox};

/// What is carried of one giver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// Who gave it.
    pub giver: IdentityKey,
    /// How many envelopes.
    pub envelopes: u64,
    /// The bytes of these envelopes.
    pub bytes: u64,
}

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

    /// Everybody who asks to be a contact, in the order in which they first asked.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn requests(&self) -> Result<Vec<ContactRequest>, Self::Error>;

    /// Whether a request was declined and that is not forgotten yet.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn declined(&self, id: &MessageId) -> Result<bool, Self::Error>;

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

    /// Outgoing messages to a contact that are to be tried again some time.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn unfinished(&self, contact: &IdentityKey) -> Result<Vec<MessageId>, Self::Error>;

    /// Outgoing messages to a contact with these numbers in whatever chain, both
    /// ends included, the lowest first; at most 1,024.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn written(
        &self,
        contact: &IdentityKey,
        from: u64,
        to: u64,
    ) -> Result<Vec<MessageId>, Self::Error>;

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

    /// Whether an envelope is held, for whatever purpose.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn holds(&self, id: &EnvelopeId) -> Result<bool, Self::Error>;

    /// Whether a relay has stored an envelope that is held.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn is_left_at_relay(&self, id: &EnvelopeId) -> Result<bool, Self::Error>;

    /// Held envelopes of which copies may still be made, except those that this
    /// peer has stored, gave us, or is the recipient of; in the order in which
    /// they came, at most `limit`, after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn to_spread(
        &self,
        peer: &IdentityKey,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<EnvelopeId>, Self::Error>;

    /// Envelopes carried for a mailbox that this peer has not stored, in the order
    /// in which they came, at most `limit`, after `after`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn carried_for(
        &self,
        mailbox: &MailboxKey,
        peer: &IdentityKey,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<EnvelopeId>, Self::Error>;

    /// What is carried, by who gave it.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn carried(&self) -> Result<Vec<Carried>, Self::Error>;

    /// Held envelopes that a purge key with this hash lets us forget.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn purged_by(&self, hash: &PurgeHash) -> Result<Vec<EnvelopeId>, Self::Error>;

    /// Who has said that they stored a held envelope.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn handed_to(&self, id: &EnvelopeId) -> Result<Vec<IdentityKey>, Self::Error>;

    /// The purge key of an envelope that has been dealt with, where it is known.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn purge_key(&self, id: &EnvelopeId) -> Result<Option<PurgeKey>, Self::Error>;

    /// Envelopes with their purge keys that this contact is to be told of, at most
    /// `limit`, in the order of their ids.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn owed_purges(
        &self,
        peer: &IdentityKey,
        limit: usize,
    ) -> Result<Vec<(EnvelopeId, PurgeKey)>, Self::Error>;

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

    /// Where our mailboxes are registered.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn own_relays(&self) -> Result<Vec<RegisteredMailbox>, Self::Error>;

    /// Relays of an invite that are ours because the user has set none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn adopted_relays(&self) -> Result<Vec<RelayAddress>, Self::Error>;

    /// Envelopes for us that could not be opened, in the order in which they came.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn unopened(&self) -> Result<Vec<EnvelopeId>, Self::Error>;

    /// One of them.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn unopened_envelope(&self, id: &EnvelopeId) -> Result<Option<Envelope>, Self::Error>;
}
