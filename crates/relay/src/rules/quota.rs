//! Whether an envelope fits into its mailbox, and which sequence it gets.

use std::fmt;

use tortalk_keys::stamp_matches;
use tortalk_model::limits::EXPIRY_TOLERANCE;
use tortalk_model::limits::relay::{
    ENVELOPE_COST_BYTES, EXPIRY_AHEAD_MAX, REGISTRATION_LIFE, STRANGER_ENVELOPES_MAX,
};
use tortalk_model::{Envelope, UnixMillis};
use tortalk_rpc::DepositRefusal;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::config::Quotas;

/// Who sent an envelope, as far as a relay can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody with the deposit key: a contact of the owner.
    Stamped,
    /// Anybody.
    Stranger,
}

/// The key of stamps. `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct DepositKey([u8; 32]);

impl DepositKey {
    /// Wraps the bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DepositKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DepositKey(…)")
    }
}

/// Envelopes of one class that a mailbox holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// How many.
    pub count: u64,
    /// What they cost, in bytes.
    pub bytes: u64,
}

impl Held {
    /// With one more.
    pub const fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    /// Without those.
    pub const fn remove(&mut self, other: Self) {
        self.count = self.count.saturating_sub(other.count);
        self.bytes = self.bytes.saturating_sub(other.bytes);
    }
}

/// What is known about a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// When the registration ends.
    pub registered_until: UnixMillis,
    /// What stamps are made with, if the owner said so.
    pub deposit_key: Option<DepositKey>,
    /// The sequence of the next envelope; at least 1.
    pub next_seq: u64,
    /// The owner holds all up to this sequence.
    pub cursor: u64,
    /// Stamped envelopes above the cursor.
    pub stamped: Held,
    /// Unstamped envelopes above the cursor.
    pub strangers: Held,
    /// Envelopes above the cursor that were purged and are remembered.
    pub purged: u64,
}

impl Mailbox {
    /// A mailbox that nobody has written to. `first_seq` is at least 1.
    pub const fn new(first_seq: u64) -> Self {
        Self {
            registered_until: UnixMillis(0),
            deposit_key: None,
            next_seq: first_seq,
            cursor: first_seq - 1,
            stamped: Held { count: 0, bytes: 0 },
            strangers: Held { count: 0, bytes: 0 },
            purged: 0,
        }
    }

    /// The owner has proved itself at `now`.
    pub fn register(&mut self, now: UnixMillis, deposit_key: Option<DepositKey>) {
        self.registered_until = now.saturating_add(REGISTRATION_LIFE);
        if deposit_key.is_some() {
            self.deposit_key = deposit_key;
        }
    }

    /// Whether the owner has proved itself within 60 days.
    pub const fn is_registered(&self, now: UnixMillis) -> bool {
        now.0 < self.registered_until.0
    }

    /// Whether nothing is held for the owner.
    pub const fn is_empty(&self) -> bool {
        self.stamped.count == 0 && self.strangers.count == 0
    }

    /// The counter of a class.
    pub const fn held_mut(&mut self, class: Class) -> &mut Held {
        match class {
            Class::Stamped => &mut self.stamped,
            Class::Stranger => &mut self.strangers,
        }
    }

    /// Who sent an envelope with this stamp.
    pub fn class_of(&self, envelope: &Envelope, stamp: &[u8]) -> Class {
        let stamped = self
            .deposit_key
            .as_ref()
            .is_some_and(|key| stamp_matches(key.as_bytes(), &envelope.id(), stamp));
        // req: RLY-16
        if stamped && !tortalk_model::deviate!(skip_rly_16) {
            return Class::Stamped;
        }
        Class::Stranger
    }

    /// Takes an envelope of this cost, and says which sequence it has.
    ///
    /// # Errors
    /// The refusal when its class has no room.
    pub fn take(
        &mut self,
        class: Class,
        cost: u64,
        quotas: &Quotas,
    ) -> Result<u64, DepositRefusal> {
        match class {
            Class::Stamped => {
                // req: RLY-17
                if self.stamped.bytes + cost > quotas.stamped_bytes()
                    && !tortalk_model::deviate!(skip_rly_17)
                {
                    return Err(DepositRefusal::Full);
                }
            }
            Class::Stranger => {
                let count = self.strangers.count;
                let bytes = self.strangers.bytes + cost;
                // req: RLY-18
                if (count >= STRANGER_ENVELOPES_MAX || bytes > quotas.stranger_bytes())
                    && !tortalk_model::deviate!(skip_rly_18)
                {
                    return Err(DepositRefusal::NoRoom);
                }
            }
        }
        self.held_mut(class).add(cost);
        // req: RLY-35
        let seq = self.next_seq;
        self.next_seq += 1;
        Ok(seq)
    }
}

/// What a quota counts for an envelope.
pub fn cost_of(envelope: &Envelope) -> u64 {
    envelope.as_bytes().len() as u64 + ENVELOPE_COST_BYTES
}

/// Checks that an envelope's expiry is neither past nor too far ahead.
///
/// # Errors
/// [`DepositRefusal::Expiry`] when it is.
pub fn check_expiry(envelope: &Envelope, now: UnixMillis) -> Result<(), DepositRefusal> {
    let expires_at = envelope.header().expires_at;
    let past = expires_at.saturating_add(EXPIRY_TOLERANCE) < now;
    let too_far = expires_at > now.saturating_add(EXPIRY_AHEAD_MAX);
    // req: RLY-12
    if (past || too_far) && !tortalk_model::deviate!(skip_rly_12) {
        return Err(DepositRefusal::Expiry);
    }
    Ok(())
}

/// When another try makes sense, in seconds. Equal for equal reasons (RLY-19).
pub const fn retry_after_s(reason: DepositRefusal) -> u32 {
    match reason {
        DepositRefusal::Malformed | DepositRefusal::Expiry => 0,
        DepositRefusal::Busy => 60,
        DepositRefusal::Full => 600,
        DepositRefusal::NoRoom => 3_600,
    }
}
