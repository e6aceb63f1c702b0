//! What passes between the machine and whoever drives its relays.
//!
//! A relay is one more kind of neighbour (spec/relay.md). The machine says what
//! it wants of which relay, after the commit like everything else
//! ([`RelayAction`]); the driver connects, proves the relay's key, moves bytes,
//! and tells what came ([`RelayInput`]). What proves something to others or is
//! kept, such as a pull proof or a storage receipt, the machine makes and checks
//! itself, so that a driver over gRPC and one in a simulation differ in nothing
//! but how bytes travel.
//!
//! A relay is named by its key everywhere: [`RelayAction::Connect`] says once
//! where it is. An action for a relay that is not up is dropped by the driver;
//! the machine asks again for what is unanswered after the next
//! [`RelayInput::Up`]. A driver that builds the machine anew ends every connection
//! with relays as it closes every link; the new machine says with which to connect.

use core::fmt;

use tortalk_keys::relay::RelayAddress;
use tortalk_model::envelope::Envelope;
use tortalk_model::{EnvelopeId, Epoch, MailboxKey, PurgeKey, RelayKey, UnixMillis};

/// Something to be done with a relay, after the commit, in this order.
#[derive(Debug, Clone)]
pub enum RelayAction {
    /// Be connected to this relay from now on: connect, again after a loss (with
    /// waits of the driver's own that grow), until [`RelayAction::Disconnect`].
    /// Each time the relay's key is proved first (RLY-08).
    Connect(RelayAddress),
    /// Let go of this relay: end its streams and its connection.
    Disconnect(RelayKey),
    /// Leave an envelope there (RLY-10 and after). At most 256 envelopes or 4 MiB
    /// are unanswered at a time for one relay.
    Deposit {
        /// At which relay.
        relay: RelayKey,
        /// What.
        envelope: Envelope,
        /// A contact's stamp, 16 bytes, or empty.
        stamp: Vec<u8>,
    },
    /// Open a stream for a mailbox of ours; [`RelayInput::Challenged`] follows.
    Pull {
        /// At which relay.
        relay: RelayKey,
        /// Whose envelopes.
        mailbox: MailboxKey,
    },
    /// The answer to a challenge on that mailbox's stream.
    Prove {
        /// At which relay.
        relay: RelayKey,
        /// What is proved.
        proof: PullProof,
    },
    /// Everything up to this sequence is durable here (RLY-40).
    Ack {
        /// At which relay.
        relay: RelayKey,
        /// On whose stream.
        mailbox: MailboxKey,
        /// The largest sequence that is covered.
        up_to: u64,
    },
    /// End the stream of a mailbox that is not ours any more.
    StopPull {
        /// At which relay.
        relay: RelayKey,
        /// On whose stream.
        mailbox: MailboxKey,
    },
    /// Put a sealed card there (RLY-46 and after).
    PutCard {
        /// At which relay.
        relay: RelayKey,
        /// For which mailbox.
        mailbox: MailboxKey,
        /// What.
        drop: CardDrop,
    },
    /// Ask for the sealed card of a mailbox (RLY-51).
    GetCard {
        /// At which relay.
        relay: RelayKey,
        /// Of which mailbox.
        mailbox: MailboxKey,
    },
    /// Have envelopes forgotten, 1 to 256 keys (RLY-43).
    Purge {
        /// At which relay.
        relay: RelayKey,
        /// The keys.
        keys: Vec<PurgeKey>,
    },
}

/// The owner's answer to a relay's challenge, signed by the mailbox key.
#[derive(Clone, PartialEq, Eq)]
pub struct PullProof {
    /// Whose envelopes.
    pub mailbox: MailboxKey,
    /// Random, of ours.
    pub client_nonce: [u8; 32],
    /// Which of our devices pulls; zeros in version 1.
    pub consumer: [u8; 8],
    /// What contacts make stamps with, to be registered with the mailbox.
    pub deposit_key: Option<[u8; 32]>,
    /// Signature over the drawn proof (RLY-03).
    pub signature: [u8; 64],
}

impl fmt::Debug for PullProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mailbox, deposit_key, .. } = self;
        f.debug_struct("PullProof")
            .field("mailbox", mailbox)
            .field("registers", &deposit_key.is_some())
            .finish_non_exhaustive()
    }
}

/// A sealed card as it lies at a relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardDrop {
    /// The sequence of the card inside.
    pub seq: u64,
    /// The sealed card, 1 to 8,192 bytes.
    pub blob: Vec<u8>,
    /// Signature of the mailbox key (RLY-04).
    pub signature: [u8; 64],
}

/// Something that a relay said, or that happened to the connection with it.
#[derive(Debug, Clone)]
pub enum RelayInput {
    /// Connected; the relay has proved the pinned key for the address that was
    /// dialled.
    Up {
        /// Which relay.
        relay: RelayKey,
        /// The relay's clock.
        now: UnixMillis,
        /// The life of its database.
        epoch: Epoch,
    },
    /// The connection is lost, or did not come about; the driver tries again.
    /// Everything that was asked and not answered is forgotten there.
    Down {
        /// Which relay.
        relay: RelayKey,
        /// Why.
        why: RelayDown,
    },
    /// A stream of [`RelayAction::Pull`] is open; a proof is wanted within 10 s.
    Challenged {
        /// Which relay.
        relay: RelayKey,
        /// For which mailbox.
        mailbox: MailboxKey,
        /// What to sign, once.
        challenge: [u8; 32],
    },
    /// The relay took the proof: the mailbox is registered, envelopes follow.
    PullOpened {
        /// Which relay.
        relay: RelayKey,
        /// Which mailbox.
        mailbox: MailboxKey,
        /// Until when, by the relay's clock.
        registered_until: UnixMillis,
    },
    /// An envelope came on a stream.
    Pulled {
        /// Which relay.
        relay: RelayKey,
        /// On which mailbox's stream.
        mailbox: MailboxKey,
        /// Its number there; ascending on a stream.
        seq: u64,
        /// Its bytes, unchecked.
        envelope: Vec<u8>,
    },
    /// A stream has ended; the connection may be up still.
    PullEnded {
        /// Which relay.
        relay: RelayKey,
        /// On which mailbox's stream.
        mailbox: MailboxKey,
        /// Why.
        why: PullEnd,
    },
    /// A storage receipt, not verified.
    Stored {
        /// Which relay.
        relay: RelayKey,
        /// The receipt.
        receipt: StorageReceipt,
    },
    /// An envelope was not taken.
    Refused {
        /// Which relay.
        relay: RelayKey,
        /// Which envelope.
        envelope_id: EnvelopeId,
        /// Why.
        reason: DepositRefusal,
        /// When another try makes sense, in seconds; 0 is no hint.
        retry_after_s: u32,
        /// The relay's clock.
        now: UnixMillis,
    },
    /// The answer to [`RelayAction::PutCard`].
    CardPut {
        /// Which relay.
        relay: RelayKey,
        /// For which mailbox.
        mailbox: MailboxKey,
        /// What came of it.
        result: CardPutResult,
    },
    /// The answer to [`RelayAction::GetCard`]; `None` when there is none.
    CardFound {
        /// Which relay.
        relay: RelayKey,
        /// Of which mailbox.
        mailbox: MailboxKey,
        /// What lies there, not verified.
        drop: Option<CardDrop>,
    },
}

/// Why a relay is not to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RelayDown {
    /// Nobody answers there, or the connection broke.
    Unreachable,
    /// Whoever answers does not have the pinned key.
    OtherKey,
    /// It does not speak this version, or breaks the protocol.
    Protocol,
    /// No TLS where the user has not allowed that (RLY-09).
    NotPrivate,
}

/// Why a stream of a mailbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PullEnd {
    /// Another stream of the same mailbox took its place.
    Superseded,
    /// The relay takes no more mailboxes.
    NoPlace,
    /// The stream's time is over, the relay stops, or the connection broke: open
    /// another.
    Again,
}

/// What came of putting a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CardPutResult {
    /// It is durable there.
    Stored,
    /// The relay has a newer one, of this sequence.
    Old {
        /// What it has.
        seq: u64,
    },
    /// The mailbox is not registered there.
    Unregistered,
}

/// Why an envelope was not taken by a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepositRefusal {
    /// The bytes are no envelope.
    Malformed,
    /// Past its expiry in the relay's clock, or too far ahead of it.
    Expiry,
    /// No room or a fault for the moment.
    Busy,
    /// The mailbox is not known, or takes nothing more from strangers.
    NoRoom,
    /// The mailbox takes nothing more from contacts.
    Full,
}

/// A relay's word that it stored envelopes, as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageReceipt {
    /// The relay's clock at the commit.
    pub time: UnixMillis,
    /// Each envelope is kept until the earlier of this and its own expiry.
    pub store_until: UnixMillis,
    /// The ids in the order in which they are signed, 1 to 256.
    pub ids: Vec<EnvelopeId>,
    /// Signature of the relay key (RLY-02).
    pub signature: [u8; 64],
}
