//! What the machine wants to be durable.

use core::fmt;

use tortalk_keys::relay::RelayAddress;
use tortalk_model::envelope::Envelope;
use tortalk_model::{
    ChainId, EnvelopeId, IdentityKey, MailboxKey, MessageId, PurgeKey, RelayKey, SignedHash,
    StoreId, UnixMillis,
};
use tortalk_seal::{Body, BodyType, ReceiptKind};

use crate::chains::PeerChain;
use crate::requests::ContactRequest;

/// One change of the store; the changes of a [`crate::Ready`] are applied in order.
#[derive(Debug, Clone)]
pub enum Write {
    /// Insert or replace a contact, by its identity.
    PutContact(Box<Contact>),
    /// Forget a contact; what was said with them stays.
    DropContact(IdentityKey),
    /// Insert or replace the one open request of somebody.
    PutRequest(Box<ContactRequest>),
    /// This person's request is dealt with.
    DropRequest(IdentityKey),
    /// A request was declined; an [`Write::Expire`] past `until` forgets that.
    Declined {
        /// The request.
        message_id: MessageId,
        /// By our clock.
        until: UnixMillis,
    },
    /// Our own signed cards and the sequence they bear.
    PutOwnCards(OwnCardBytes),
    /// A message that the user wrote.
    PutOutgoing(Box<OutgoingMessage>),
    /// An envelope to hand over.
    PutEnvelope(Box<HeldEnvelope>),
    /// The outgoing message is sealed in this envelope from now on; the envelope
    /// that held it before, if any, is dropped by a write of its own.
    SealedIn {
        /// The message.
        message_id: MessageId,
        /// Its envelope, which is held.
        envelope_id: EnvelopeId,
    },
    /// How often a held envelope may still be copied.
    SetTtl {
        /// Which envelope.
        envelope_id: EnvelopeId,
        /// log₂ of the copies.
        ttl: u8,
    },
    /// Forget an envelope: nobody needs it from us any more.
    DropEnvelope(EnvelopeId),
    /// A peer has said that it stored this envelope; it is not handed over again.
    HandedOver {
        /// Who said so.
        peer: IdentityKey,
        /// What.
        envelope_id: EnvelopeId,
    },
    /// A relay of its recipient has said that it stored this envelope.
    LeftAtRelay(EnvelopeId),
    /// Forget what this peer has stored: its store is another one now.
    ForgetHandedOver {
        /// Who.
        peer: IdentityKey,
    },
    /// Forget that this peer has this envelope, so that it is handed over again.
    HandOverAgain {
        /// Who.
        peer: IdentityKey,
        /// What.
        envelope_id: EnvelopeId,
    },
    /// Evidence for an outgoing message's state; the same evidence twice is once.
    AddEvidence {
        /// The message.
        message_id: MessageId,
        /// What is known.
        evidence: Evidence,
    },
    /// When to try an outgoing message again, or never.
    NextTry {
        /// The message.
        message_id: MessageId,
        /// Tries so far.
        attempts: u32,
        /// The next one, by our clock.
        at: Option<UnixMillis>,
    },
    /// A message for us.
    PutIncoming(Box<IncomingMessage>),
    /// Our receipt for an incoming message was made at this time.
    ReceiptMade {
        /// The incoming message.
        message_id: MessageId,
        /// What it says.
        kind: ReceiptKind,
        /// By our clock.
        at: UnixMillis,
    },
    /// This envelope has been dealt with; an [`Write::Expire`] past `until` forgets
    /// that.
    Seen {
        /// The envelope.
        envelope_id: EnvelopeId,
        /// By our clock.
        until: UnixMillis,
        /// What makes holders forget it, where that is known and may be told.
        purge_key: Option<PurgeKey>,
    },
    /// A contact who is not linked is to be told that this seen envelope has arrived.
    OwePurge {
        /// Who.
        peer: IdentityKey,
        /// Which envelope.
        envelope_id: EnvelopeId,
    },
    /// They are told now.
    PurgeTold {
        /// Who.
        peer: IdentityKey,
        /// Which envelope.
        envelope_id: EnvelopeId,
    },
    /// The user has seen this incoming message.
    MarkRead(MessageId),
    /// Forget what has expired past this time: seen envelopes, declined requests,
    /// held receipts, carried envelopes and what could not be opened. An envelope
    /// that holds a message of ours stays until the message is sealed again or
    /// done with.
    Expire {
        /// By our clock, tolerance already taken off.
        before: UnixMillis,
    },
    /// Where our mailboxes are registered, all of it.
    PutOwnRelays(Vec<RegisteredMailbox>),
    /// Relays of an invite that are ours because the user has set none, all of them.
    PutAdoptedRelays(Vec<RelayAddress>),
    /// Keep an envelope for us that cannot be opened yet. One that is kept already
    /// stays as it is.
    PutUnopened {
        /// What came.
        envelope: Box<Envelope>,
        /// An [`Write::Expire`] past this forgets it; by our clock.
        until: UnixMillis,
    },
    /// Such an envelope was opened, or has no place any more.
    DropUnopened(EnvelopeId),
}

/// Our own signed cards, in bytes.
///
/// `Debug` shows their lengths: the one for contacts holds keys that only contacts have.
#[derive(Clone, PartialEq, Eq)]
pub struct OwnCardBytes {
    /// For strangers.
    pub intro: Vec<u8>,
    /// For contacts.
    pub contact: Vec<u8>,
}

impl fmt::Debug for OwnCardBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (intro, contact) = (self.intro.len(), self.contact.len());
        write!(f, "OwnCardBytes(intro {intro} bytes, contact {contact} bytes)")
    }
}

/// A mailbox of ours that a relay has registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegisteredMailbox {
    /// The relay.
    pub relay: RelayKey,
    /// The mailbox.
    pub mailbox: MailboxKey,
}

/// How we stand with somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A contact: mail is exchanged, both ways, once they have accepted us too.
    Accepted,
    /// A contact; nothing of theirs comes in and nothing goes out.
    Blocked,
    /// No contact, and blocked all the same: they cannot even ask.
    Unwanted,
}

/// Somebody whom the user has dealt with.
#[derive(Clone, PartialEq, Eq)]
pub struct Contact {
    /// Who.
    pub identity: IdentityKey,
    /// What the user calls them; never empty.
    pub name: String,
    /// How we stand with them.
    pub standing: Standing,
    /// Whether the user has compared the safety number.
    pub verified: bool,
    /// Their newest contact card, signature checked before it got here.
    pub card: Option<Vec<u8>>,
    /// The invite by which they were added, in bytes, where it was a full one:
    /// the way to them until their contact card is here.
    pub invite: Option<Vec<u8>>,
    /// The last store that they showed.
    pub store_id: Option<StoreId>,
    /// Our chain of numbered messages to them.
    pub chain_id: ChainId,
    /// The number of the next message in it.
    pub next_counter: u64,
    /// Our last request to them, where one was made.
    pub requested: Option<MessageId>,
    /// Their chain of numbered messages to us, once one came.
    pub their_chain: Option<PeerChain>,
    /// What is to be said with a request that waits until a relay of ours is there
    /// for the answer; may be empty.
    pub asking: Option<String>,
    /// By our clock.
    pub added_at: UnixMillis,
}

impl fmt::Debug for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Card and invite hold keys that only contacts have.
        f.debug_struct("Contact")
            .field("identity", &self.identity)
            .field("standing", &self.standing)
            .field("card", &self.card.as_ref().map(Vec::len))
            .field("invite", &self.invite.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// A message that the user wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct OutgoingMessage {
    /// Its name.
    pub message_id: MessageId,
    /// For whom.
    pub contact: IdentityKey,
    /// The signed bytes, kept so that the message can be sealed again.
    pub signed: Vec<u8>,
    /// The signature over them.
    pub signature: [u8; 64],
    /// What kind of body the signed bytes hold.
    pub body_type: BodyType,
    /// Its number in our chain to them; 0 where it has none.
    pub counter: u64,
    /// The text as it is shown and searched.
    pub text: String,
    /// By our clock; also `sent_at` in the signed bytes.
    pub written_at: UnixMillis,
    /// The envelope that holds it, unless it waits for a key.
    pub envelope_id: Option<EnvelopeId>,
    /// Tries so far.
    pub attempts: u32,
    /// When it is tried again, by our clock.
    pub next_try: Option<UnixMillis>,
    /// Everything that is known about its way, oldest first.
    pub evidence: Vec<Evidence>,
}

impl fmt::Debug for OutgoingMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingMessage")
            .field("message_id", &self.message_id)
            .field("contact", &self.contact)
            .field("body_type", &self.body_type)
            .field("envelope_id", &self.envelope_id)
            .field("next_try", &self.next_try)
            .finish_non_exhaustive()
    }
}

/// One piece of evidence about an outgoing message.
///
/// `Debug` shows the length of a proof: the one of an accept holds a card.
#[derive(Clone, PartialEq, Eq)]
pub enum Evidence {
    /// A peer acknowledged that it has stored the envelope.
    Handed {
        /// Which peer.
        peer: IdentityKey,
        /// By our clock.
        at: UnixMillis,
    },
    /// The recipient's sealed and signed receipt.
    Receipt {
        /// What it says.
        kind: ReceiptKind,
        /// When it came, by our clock.
        at: UnixMillis,
        /// The receipt's signed bytes and signature: proof to ourselves later.
        proof: Vec<u8>,
    },
    /// The user gave up on it.
    Cancelled {
        /// By our clock.
        at: UnixMillis,
    },
    /// Everything was tried until the limit.
    GaveUp {
        /// By our clock.
        at: UnixMillis,
    },
    /// A relay of the recipient's signed that it stored an envelope with the
    /// message.
    AtRelay {
        /// Which relay.
        relay: RelayKey,
        /// When its word came, by our clock.
        at: UnixMillis,
        /// Until when it keeps the envelope at most, by its clock.
        store_until: UnixMillis,
        /// What [`crate::relaying::StorageProof`] reads: its signed word, whole.
        proof: Vec<u8>,
    },
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handed { peer, at } => {
                f.debug_struct("Handed").field("peer", peer).field("at", at).finish()
            }
            Self::Receipt { kind, at, proof } => f
                .debug_struct("Receipt")
                .field("kind", kind)
                .field("at", at)
                .field("proof_len", &proof.len())
                .finish(),
            Self::Cancelled { at } => f.debug_struct("Cancelled").field("at", at).finish(),
            Self::GaveUp { at } => f.debug_struct("GaveUp").field("at", at).finish(),
            Self::AtRelay { relay, at, store_until, proof } => f
                .debug_struct("AtRelay")
                .field("relay", relay)
                .field("at", at)
                .field("store_until", store_until)
                .field("proof_len", &proof.len())
                .finish(),
        }
    }
}

/// Why an envelope is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It holds a message of ours.
    Message(MessageId),
    /// It holds receipts of ours.
    Receipt,
    /// It is carried for others.
    Carried,
}

/// An envelope that is held to be handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEnvelope {
    /// The immutable bytes with their id.
    pub envelope: Envelope,
    /// For whom; of a carried one, who gave it.
    pub contact: IdentityKey,
    /// What it is for.
    pub purpose: Purpose,
    /// log₂ of the copies that may still be made.
    pub ttl: u8,
    /// Proof for a relay that a contact sent it; 16 bytes, or empty.
    pub stamp: Vec<u8>,
    /// The key that makes holders forget it; carriers do not have it.
    pub purge_key: Option<PurgeKey>,
}

impl HeldEnvelope {
    /// Whether it is for somebody's intro mailbox: carried by nobody.
    pub const fn is_for_stranger(&self) -> bool {
        // Contacts' mail has a stamp; what is carried is as its giver had it.
        self.stamp.is_empty() && !matches!(self.purpose, Purpose::Carried)
    }
}

/// A message for us.
#[derive(Debug, Clone, PartialEq)]
pub struct IncomingMessage {
    /// Its name.
    pub message_id: MessageId,
    /// Who wrote it, proved by signature.
    pub contact: IdentityKey,
    /// What receipts for it carry.
    pub signed_hash: SignedHash,
    /// When it was written, by the sender's clock.
    pub sent_at: UnixMillis,
    /// When it was stored here, by our clock.
    pub received_at: UnixMillis,
    /// The sender's chain.
    pub chain_id: ChainId,
    /// Its number in that chain.
    pub counter: u64,
    /// What it says.
    pub body: Body,
    /// When our last receipt for it was made.
    pub receipt_at: Option<UnixMillis>,
    /// Whether the user has seen it.
    pub read: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_and_proofs_are_shown_by_their_lengths() {
        let cards = OwnCardBytes { intro: vec![0xab; 3], contact: vec![0xab; 5] };
        let shown = format!("{:?}", Write::PutOwnCards(cards));
        assert_eq!(shown, "PutOwnCards(OwnCardBytes(intro 3 bytes, contact 5 bytes))");
        let (kind, at) = (ReceiptKind::Delivered, UnixMillis(1));
        let receipt = Evidence::Receipt { kind, at, proof: vec![0xab; 7] };
        let relay = RelayKey::from_bytes([1; 32]);
        let stored = Evidence::AtRelay { relay, at, store_until: at, proof: vec![0xab; 7] };
        for evidence in [receipt, stored] {
            let message_id = MessageId::from_bytes([2; 32]);
            let shown = format!("{:?}", Write::AddEvidence { message_id, evidence });
            assert!(shown.contains("proof_len: 7") && !shown.contains("171"), "{shown}");
        }
    }
}
