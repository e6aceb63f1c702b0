//! What each frame says, in types that cannot hold a wrong length.

use core::num::NonZeroU16;

use tortalk_model::limits::{
    CARD_BYTES_MAX, ENVELOPE_BYTES_MAX, FEATURES_BYTES_MAX, MAILBOX_PROOFS_MAX, SPREAD_ENTRIES_MAX,
    STAMP_BYTES_MAX,
};
use tortalk_model::{
    DeviceId, Envelope, EnvelopeId, IdentityKey, InstanceId, MailboxKey, PurgeKey, StoreId,
    UnixMillis,
};

use crate::bounded::{BoundedBytes, LengthError};

/// A card's drawn bytes, 1..=8,128, unchecked but for their length.
pub type CardBytes = BoundedBytes<1, CARD_BYTES_MAX>;
/// An envelope's drawn bytes, 1..=67,017, unchecked but for their length.
pub type EnvelopeBytes = BoundedBytes<1, ENVELOPE_BYTES_MAX>;
/// A stamp, 0..=64 bytes; empty when there is none.
pub type StampBytes = BoundedBytes<0, STAMP_BYTES_MAX>;
/// Feature bits, 0..=256 bytes, the lowest bit of the first byte first.
pub type FeatureBytes = BoundedBytes<0, FEATURES_BYTES_MAX>;

impl From<&Envelope> for EnvelopeBytes {
    fn from(envelope: &Envelope) -> Self {
        Self::try_from(envelope.as_bytes()).expect("an envelope is within its own limit")
    }
}

impl From<[u8; 16]> for StampBytes {
    fn from(stamp: [u8; 16]) -> Self {
        Self::try_from(&stamp[..]).expect("16 bytes are within the limit of stamps")
    }
}

/// Proves who is at one end of a link; the first frame of each side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Whom the sender claims to be.
    pub identity: IdentityKey,
    /// Which of that person's devices.
    pub device_id: DeviceId,
    /// Which start of that node.
    pub instance_id: InstanceId,
    /// The protocol version in use.
    pub version: u16,
    /// Signature by `identity` over the transcript of the link.
    pub signature: [u8; 64],
}

/// Proof that the sender owns one mailbox, good for this link only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxProof {
    /// The mailbox.
    pub mailbox: MailboxKey,
    /// Signature by the mailbox key.
    pub signature: [u8; 64],
}

/// 1..=16 proofs of mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailboxes(Vec<MailboxProof>);

impl Mailboxes {
    /// Takes the proofs.
    ///
    /// # Errors
    /// [`LengthError`] (it counts proofs, not bytes) for none or more than 16.
    pub fn new(proofs: Vec<MailboxProof>) -> Result<Self, LengthError> {
        let found = proofs.len();
        // req: LNK-39
        if (found == 0 || found > MAILBOX_PROOFS_MAX)
            && !tortalk_model::deviate!(skip_lnk_39_in_frames)
        {
            return Err(LengthError { found, min: 1, max: MAILBOX_PROOFS_MAX });
        }
        Ok(Self(proofs))
    }

    /// The proofs.
    pub fn proofs(&self) -> &[MailboxProof] {
        &self.0
    }
}

/// What the sender can do, holds and takes its clock to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Feature bits.
    pub features: FeatureBytes,
    /// This life of the sender's database.
    pub store_id: StoreId,
    /// The sender's clock.
    pub now: UnixMillis,
    /// Highest sequence of a card of the receiver that the sender holds; 0 is none.
    pub your_card_seq: u64,
    /// Sequence of the sender's own newest card; 0 is none.
    pub my_card_seq: u64,
    /// Unacknowledged envelopes that the sender accepts.
    pub unacked_max: NonZeroU16,
}

/// The sender ends the link and sends nothing after this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bye {
    /// Why.
    pub reason: ByeReason,
}

/// Why a link is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByeReason {
    /// None given, or one that this version does not know.
    Unspecified,
    /// The node stops.
    Shutdown,
    /// Another link with the same peer is kept.
    Duplicate,
    /// The node no longer wants this peer.
    Policy,
    /// The link is 24 hours old; dial again.
    Age,
    /// The receiver broke the protocol.
    Protocol,
}

/// Asks for a [`Pong`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping {
    /// Any number.
    pub nonce: u64,
}

/// Answers a [`Ping`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pong {
    /// The number of the ping.
    pub nonce: u64,
}

/// A card of the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The card's drawn bytes, not yet verified.
    pub card: CardBytes,
}

/// Opens the answer to a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Push {
    /// Upper bound of the envelopes before the end.
    pub count: u32,
}

/// One envelope and what travels beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Msg {
    /// Binary logarithm of the copies that the receiver may spread, not yet
    /// clamped.
    pub ttl: u8,
    /// A contact's stamp.
    pub stamp: StampBytes,
    /// The envelope's bytes, not yet parsed.
    pub envelope: EnvelopeBytes,
}

/// 1..=256 entries of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries<T>(Vec<T>);

/// 1..=256 ids of envelopes.
pub type EnvelopeIds = Entries<EnvelopeId>;
/// 1..=256 purge keys.
pub type PurgeKeys = Entries<PurgeKey>;

impl<T> Entries<T> {
    /// Takes the entries.
    ///
    /// # Errors
    /// [`LengthError`] (it counts entries, not bytes) for none or more than 256.
    pub fn new(entries: Vec<T>) -> Result<Self, LengthError> {
        let found = entries.len();
        // req: LNK-39
        if (found == 0 || found > SPREAD_ENTRIES_MAX)
            && !tortalk_model::deviate!(skip_lnk_39_in_frames_2)
        {
            return Err(LengthError { found, min: 1, max: SPREAD_ENTRIES_MAX });
        }
        Ok(Self(entries))
    }

    /// The entries.
    pub fn as_slice(&self) -> &[T] {
        &self.0
    }
}

/// What became of one envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The envelope's recomputed id.
    pub id: EnvelopeId,
    /// The outcome.
    pub result: AckResult,
    /// Do not offer it again for so many seconds; 0 is no hint.
    pub retry_after_s: u32,
    /// The clock of the acknowledging node.
    pub now: UnixMillis,
}

/// The outcome of handing over an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AckResult {
    /// It is durable there now.
    Stored,
    /// It was durable there before.
    Duplicate,
    /// It was not taken.
    Refused(RefusalReason),
}

/// Why an envelope was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalReason {
    /// None given, or one that this version does not know.
    Unspecified,
    /// Past its expiry in the refuser's clock.
    Expired,
    /// Neither for the refuser nor for anybody it carries for.
    NotForMe,
    /// No room for this giver or at all.
    Quota,
    /// The bytes are no envelope.
    Malformed,
    /// Too much at once.
    Busy,
    /// It is sealed to a key that the receiver does not hold (any more).
    UnknownKey,
}
