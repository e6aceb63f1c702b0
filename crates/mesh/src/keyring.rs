//! The secrets of one profile, as the machine needs them.

use core::fmt;
use std::sync::Arc;

use tortalk_keys::{IdentitySecret, MailboxSecret};
use tortalk_model::{DeviceId, KeyId, StoreId, UnixMillis};
use tortalk_seal::SealingSecret;

/// A sealing key with the time in which others may seal to it.
#[derive(Debug)]
pub struct SealingKey {
    /// The secret half.
    pub secret: SealingSecret,
    /// By our clock.
    pub not_before: UnixMillis,
    /// By our clock; at most 28 days later.
    pub not_after: UnixMillis,
}

/// A mailbox that was ours, and is used until what was sealed for it has expired.
///
/// Removing a contact gives everybody else a new mailbox. What the others sealed
/// before they had our new card still comes for the old one.
#[derive(Debug)]
pub struct RetiredMailbox {
    /// The key of the mailbox; it is in no card of ours any more.
    pub secret: MailboxSecret,
    /// By our clock: from then on it is a mailbox like any other that is not ours.
    pub until: UnixMillis,
}

/// Everything secret that the machine works with. Never `Clone`, shows nothing.
pub struct Keyring {
    /// Who we are; links sign with it too.
    pub identity: Arc<IdentitySecret>,
    /// Which of our devices this is.
    pub device_id: DeviceId,
    /// The life of this database.
    pub store_id: StoreId,
    /// The mailbox for strangers.
    pub intro_mailbox: MailboxSecret,
    /// The mailbox for contacts.
    pub contact_mailbox: MailboxSecret,
    /// Earlier mailboxes for contacts that are still used, oldest first.
    pub retired_mailboxes: Vec<RetiredMailbox>,
    /// What opens what was sealed to us, oldest first; the newest is published.
    pub sealing: Vec<SealingKey>,
    /// What contacts make stamps with.
    pub deposit_key: [u8; 32],
    /// What the intro card's drop is encrypted under; part of the invite.
    pub intro_read_key: [u8; 32],
    /// What the contact card's drop is encrypted under; part of the contact card.
    pub contact_read_key: [u8; 32],
}

impl Keyring {
    /// The secret for an envelope's `key_id`.
    pub fn sealing_secret(&self, key_id: KeyId) -> Option<&SealingSecret> {
        self.sealing.iter().map(|key| &key.secret).find(|secret| secret.key_id() == key_id)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyring")
    }
}
