//! Cards: what a person publishes about themselves, signed.
//!
//! ```text
//! layout u8 = 1 ‖ kind u8 ‖ identity 32 ‖ device_id 8 ‖ seq u64 ‖ name bytes8
//!   ‖ sealing_count u8 (1..=4) ‖ [device_id 8 ‖ not_before u64 ‖ not_after u64 ‖ public 1216]*
//!   ‖ mailbox_count u8 (1..=4) ‖ [kind u8 ‖ device_id 8 ‖ mailbox 32 ‖ ownership_signature 64]*
//!   ‖ contact part (kind 1 only): deposit_key 32 ‖ read_key 32 ‖ relay_count u8 (0..=4) ‖ relays
//!       ‖ onion_flag u8 ‖ [onion 32 ‖ port u16 ‖ client_auth 32]
//!   ‖ features bytes16 ‖ ext bytes16 ‖ signature 64
//! ```
//!
//! An intro card is for strangers. A contact card holds secrets that all contacts
//! share; only accepted contacts get it. [`Card::parse`] and [`Card::sign`] are
//! the only ways to have one, so a [`Card`] is always valid and signed.

use core::fmt;

use tortalk_model::limits::{CARD_AHEAD_MAX, SUITE_1_PUBLIC_BYTES};
use tortalk_model::{DeviceId, IdentityKey, MailboxKey, UnixMillis};

use crate::relay::{OnionAddress, RelayAddress};
use crate::{IdentitySecret, MailboxSecret, Signature};

mod check;
mod error;
mod layout;

pub use error::CardError;

/// For whom a card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CardKind {
    /// Strangers.
    Intro,
    /// Accepted contacts.
    Contact,
}

impl CardKind {
    /// The byte that stands for it in a card.
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Intro => 0,
            Self::Contact => 1,
        }
    }
}

/// Whose mail a mailbox takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MailboxKind {
    /// Strangers'.
    Intro,
    /// Accepted contacts'.
    Contact,
}

impl MailboxKind {
    /// The byte that stands for it in a card and in what the mailbox key signs.
    pub const fn to_byte(self) -> u8 {
        match self {
            Self::Intro => 0,
            Self::Contact => 1,
        }
    }
}

/// A sealing key and when it may be sealed to.
#[derive(Clone, PartialEq, Eq)]
pub struct SealingKeyEntry {
    /// The device that opens what is sealed to it.
    pub device_id: DeviceId,
    /// The first moment at which it may be sealed to, in its owner's clock.
    pub not_before: UnixMillis,
    /// The moment from which on it may not, in its owner's clock.
    pub not_after: UnixMillis,
    /// The public key of suite 1. Whether it is one shows when it is sealed to.
    pub public: Box<[u8; SUITE_1_PUBLIC_BYTES]>,
}

impl SealingKeyEntry {
    /// Whether `at`, in the owner's clock, lies in the key's window.
    pub const fn is_valid_at(&self, at: UnixMillis) -> bool {
        self.not_before.0 <= at.0 && at.0 < self.not_after.0
    }
}

impl fmt::Debug for SealingKeyEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKeyEntry({:?}, {}..{})", self.device_id, self.not_before, self.not_after)
    }
}

/// A mailbox and its key's statement of whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxEntry {
    /// Whose mail it takes.
    pub kind: MailboxKind,
    /// The device that empties it.
    pub device_id: DeviceId,
    /// The mailbox.
    pub mailbox: MailboxKey,
    /// See [`crate::mailbox_owner`].
    pub ownership: Signature,
}

/// What only accepted contacts learn. `Debug` shows none of the secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ContactPart {
    /// Makes the stamps on envelopes for the contact mailbox.
    pub deposit_key: [u8; 32],
    /// Opens the contact card that lies at the relays.
    pub read_key: [u8; 32],
    /// Where the contact mailbox is kept; at most four, the first is tried first.
    pub relays: Vec<RelayAddress>,
    /// How to link with the person over Tor.
    pub onion: Option<OnionAddress>,
}

impl fmt::Debug for ContactPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContactPart")
            .field("relays", &self.relays)
            .field("onion", &self.onion)
            .finish_non_exhaustive()
    }
}

/// What a card is to say; [`Card::sign`] makes a card of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardDraft {
    /// The device that made it.
    pub device_id: DeviceId,
    /// Its place among the identity's cards: see [`next_seq`].
    pub seq: u64,
    /// What the person is called; see [`crate::name`].
    pub name: String,
    /// One to four.
    pub sealing_keys: Vec<SealingKeyEntry>,
    /// Present in a contact card, absent in an intro card.
    pub contact: Option<ContactPart>,
    /// Bits of what the person's program can do; at most 256 bytes.
    pub features: Vec<u8>,
    /// For later versions; at most 1,024 bytes, empty in version 1.
    pub ext: Vec<u8>,
}

/// A mailbox that goes into a card, with the key that signs for it.
#[derive(Debug, Clone, Copy)]
pub struct MailboxSigner<'a> {
    /// Whose mail it takes.
    pub kind: MailboxKind,
    /// The device that empties it.
    pub device_id: DeviceId,
    /// Its key.
    pub secret: &'a MailboxSecret,
}

/// A card that was checked whole.
#[derive(Clone, PartialEq, Eq)]
pub struct Card {
    bytes: Vec<u8>,
    fields: layout::Fields,
}

impl Card {
    /// Makes and signs a card; the mailboxes' own signatures are made with it.
    ///
    /// # Errors
    /// As [`Card::parse`], which checks the result.
    pub fn sign(
        draft: CardDraft,
        identity: &IdentitySecret,
        mailboxes: &[MailboxSigner<'_>],
    ) -> Result<Self, CardError> {
        let signed = layout::write(&layout::Fields::of_draft(draft, identity, mailboxes))?;
        let signature = check::sign(identity, &signed);
        Self::parse(&[&signed[..], signature.as_bytes()].concat())
    }

    /// Checks bytes from outside.
    ///
    /// # Errors
    /// [`CardError`], in checking order: size, layout and limits, keys, name,
    /// windows, mailboxes, ownership signatures, identity signature.
    pub fn parse(bytes: &[u8]) -> Result<Self, CardError> {
        let (fields, signed_len) = layout::read(bytes)?;
        check::all(&fields, &bytes[..signed_len])?;
        Ok(Self { bytes: bytes.to_vec(), fields })
    }

    /// The card as it came or was made, signature included.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The card as it came or was made, signature included.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// For whom it is.
    pub const fn kind(&self) -> CardKind {
        self.fields.kind()
    }

    /// Whose card it is.
    pub const fn identity(&self) -> IdentityKey {
        self.fields.identity
    }

    /// The device that made it.
    pub const fn device_id(&self) -> DeviceId {
        self.fields.device_id
    }

    /// Its place among the identity's cards.
    pub const fn seq(&self) -> u64 {
        self.fields.seq
    }

    /// What the person calls themselves; may be empty.
    pub fn name(&self) -> &str {
        &self.fields.name
    }

    /// One to four sealing keys, whatever their windows.
    pub fn sealing_keys(&self) -> &[SealingKeyEntry] {
        &self.fields.sealing_keys
    }

    /// One to four mailboxes.
    pub fn mailboxes(&self) -> &[MailboxEntry] {
        &self.fields.mailboxes
    }

    /// What only a contact card has.
    pub const fn contact(&self) -> Option<&ContactPart> {
        self.fields.contact.as_ref()
    }

    /// The feature bytes.
    pub fn features(&self) -> &[u8] {
        &self.fields.features
    }

    /// The extension bytes.
    pub fn ext(&self) -> &[u8] {
        &self.fields.ext
    }

    /// The sealing key to use at `at` in the owner's clock: of those whose window
    /// holds it, the one that begins last; of two that begin together, the first
    /// in the card.
    pub fn newest_sealing_key(&self, at: UnixMillis) -> Option<&SealingKeyEntry> {
        // req: IDN-48
        self.sealing_keys()
            .iter()
            .rev()
            .filter(|key| key.is_valid_at(at))
            .max_by_key(|key| key.not_before)
    }

    /// The mailbox that strangers write to: the first of its kind.
    pub fn intro_mailbox(&self) -> MailboxKey {
        self.first_mailbox(MailboxKind::Intro).expect("every valid card has an intro mailbox")
    }

    /// The mailbox that contacts write to: the first of its kind. Every contact
    /// card has one.
    pub fn contact_mailbox(&self) -> Option<MailboxKey> {
        self.first_mailbox(MailboxKind::Contact)
    }

    /// Whether this card takes the place of `other`: both are of one identity, and
    /// it has the larger `seq` among cards of one kind, or is a contact card where
    /// the other is an intro card. An intro card never replaces a contact card.
    pub fn supersedes(&self, other: &Self) -> bool {
        // req: IDN-45
        if self.identity() != other.identity() {
            return false;
        }
        // req: IDN-47
        if self.kind() != other.kind() {
            return self.kind() == CardKind::Contact;
        }
        // req: IDN-45
        self.seq() > other.seq()
    }

    /// Whether its `seq` lies more than 48 hours ahead of the reader's clock: then
    /// it is kept but replaces nothing yet.
    pub const fn is_ahead_of(&self, now: UnixMillis) -> bool {
        // req: IDN-46
        self.fields.seq > now.saturating_add(CARD_AHEAD_MAX).0
    }

    fn first_mailbox(&self, kind: MailboxKind) -> Option<MailboxKey> {
        self.mailboxes().iter().find(|entry| entry.kind == kind).map(|entry| entry.mailbox)
    }
}

impl fmt::Debug for Card {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Card({:?}, {:?}, seq {})", self.kind(), self.identity(), self.seq())
    }
}

/// The `seq` of an identity's next card: the time, and more than the last one's.
pub const fn next_seq(last: Option<u64>, now: UnixMillis) -> u64 {
    // req: IDN-44
    match last {
        Some(last) if last >= now.0 => last.saturating_add(1),
        _ => now.0,
    }
}

#[cfg(test)]
mod tests;
