//! The secrets of one simulated person, and how they change with time.

use core::time::Duration;
use std::sync::Arc;

use tortalk_keys::{IdentitySecret, MailboxSecret};
use tortalk_mesh::{Keyring, SealingKey};
use tortalk_model::entropy::Entropy as _;
use tortalk_model::limits::{SEALING_KEY_LIFE, SEALING_KEY_ROTATION};
use tortalk_model::{DeviceId, IdentityKey, MailboxKey, StoreId, UnixMillis};
use tortalk_seal::SealingSecret;

use crate::dice::Dice;

/// A new key is valid from this long ago, for neighbours whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(3600);

/// What a profile keeps beside its database.
pub(crate) struct Secrets {
    identity: Arc<IdentitySecret>,
    device_id: DeviceId,
    intro_mailbox: [u8; 32],
    contact_mailbox: [u8; 32],
    sealing: Vec<SealingSeed>,
    deposit_key: [u8; 32],
    intro_read_key: [u8; 32],
    contact_read_key: [u8; 32],
    dice: Dice,
}

struct SealingSeed {
    seed: [u8; 32],
    not_before: UnixMillis,
    not_after: UnixMillis,
}

impl Secrets {
    /// New ones, with a first key by the clock as it stands.
    pub(crate) fn new(mut dice: Dice, now: UnixMillis) -> Self {
        let mut secrets = Self {
            identity: Arc::new(IdentitySecret::from_seed(dice.bytes())),
            device_id: DeviceId::from_bytes(dice.bytes()),
            intro_mailbox: dice.bytes(),
            contact_mailbox: dice.bytes(),
            sealing: Vec::new(),
            deposit_key: dice.bytes(),
            intro_read_key: dice.bytes(),
            contact_read_key: dice.bytes(),
            dice,
        };
        secrets.rotate_if_due(now);
        secrets
    }

    pub(crate) fn identity(&self) -> IdentityKey {
        self.identity.public()
    }

    /// For strangers, for contacts.
    pub(crate) fn mailboxes(&self) -> [MailboxKey; 2] {
        [self.intro_mailbox, self.contact_mailbox]
            .map(|seed| MailboxSecret::from_seed(seed).public())
    }

    pub(crate) fn identity_secret(&self) -> Arc<IdentitySecret> {
        Arc::clone(&self.identity)
    }

    pub(crate) const fn device_id(&self) -> DeviceId {
        self.device_id
    }

    /// Makes a new sealing key each week, and whenever the newest one is not
    /// valid by the clock (SEA-38); whether it did. Nothing is erased: a clock
    /// that is wrong for a day must lose nothing.
    pub(crate) fn rotate_if_due(&mut self, now: UnixMillis) -> bool {
        let young = self.sealing.last().is_some_and(|newest| {
            let made = newest.not_before.saturating_add(BACKDATED);
            newest.not_before <= now
                && now < newest.not_after
                && now < made.saturating_add(SEALING_KEY_ROTATION)
        });
        if young {
            return false;
        }
        let not_before = now.saturating_sub(BACKDATED);
        let not_after = not_before.saturating_add(SEALING_KEY_LIFE);
        self.sealing.push(SealingSeed { seed: self.dice.bytes(), not_before, not_after });
        true
    }

    /// What the machine works with.
    pub(crate) fn keyring(&self, store_id: StoreId) -> Arc<Keyring> {
        let sealing = self.sealing.iter().map(|key| SealingKey {
            secret: SealingSecret::from_seed(key.seed),
            not_before: key.not_before,
            not_after: key.not_after,
        });
        Arc::new(Keyring {
            identity: Arc::clone(&self.identity),
            device_id: self.device_id,
            store_id,
            intro_mailbox: MailboxSecret::from_seed(self.intro_mailbox),
            contact_mailbox: MailboxSecret::from_seed(self.contact_mailbox),
            retired_mailboxes: Vec::new(),
            sealing: sealing.collect(),
            deposit_key: self.deposit_key,
            intro_read_key: self.intro_read_key,
            contact_read_key: self.contact_read_key,
        })
    }
}
