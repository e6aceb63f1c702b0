//! Sealing keys and the clock.
//!
//! A new key is due each seven days, and whenever the newest one is not valid by
//! the clock as it stands now. Nothing is removed here: a clock that was wrong for
//! a while costs one key too many and loses none. Each seed has a file of its own,
//! so that erasing one later ([`Profile::erase_if_due`]) touches no other.
//!
//! [`Profile::erase_if_due`]: super::Profile::erase_if_due

use core::time::Duration;

use tortalk_mesh::SealingKey;
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::limits::{SEALING_KEY_LIFE, SEALING_KEY_ROTATION, SEALING_SEED_KEPT};
use tortalk_model::{KeyId, UnixMillis};
use tortalk_seal::SealingSecret;
use tortalk_store::vault::ProfileKey;
use zeroize::Zeroizing;

use super::files::FileError;
use super::key_files::KeyFiles;

/// A new key is valid from this long ago: neighbours' clocks are a little
/// behind, and a key that is not valid yet is of no use to them.
const BACKDATED: Duration = Duration::from_secs(3600);

/// What came of [`super::Profile::rotate_if_due`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rotation {
    /// The newest key is young and valid.
    NotDue,
    /// This key is the newest from now on.
    Rotated(KeyId),
}

/// One sealing key as its file holds it.
pub(super) struct StoredKey {
    /// Rises with each key made; the clock may say what it wants.
    pub(super) number: u64,
    pub(super) key_id: KeyId,
    pub(super) not_before: UnixMillis,
    pub(super) not_after: UnixMillis,
    /// In a place of its own, so that moving the rest leaves no copy.
    pub(super) seed: Box<Zeroizing<[u8; 32]>>,
}

impl StoredKey {
    pub(super) fn new(
        number: u64,
        not_before: UnixMillis,
        not_after: UnixMillis,
        seed: Zeroizing<[u8; 32]>,
    ) -> Self {
        let key_id = SealingSecret::from_seed(*seed).key_id();
        Self { number, key_id, not_before, not_after, seed: Box::new(seed) }
    }

    /// A new key by the clock as it stands.
    pub(super) fn made(number: u64, now: UnixMillis, entropy: &mut dyn Entropy) -> Self {
        Self::of_seed(number, now, Zeroizing::new(entropy::array(entropy)))
    }

    /// The same of a seed that is there.
    pub(super) fn of_seed(number: u64, now: UnixMillis, seed: Zeroizing<[u8; 32]>) -> Self {
        let not_before = now.saturating_sub(BACKDATED);
        // req: SEA-39
        let not_after = not_before.saturating_add(SEALING_KEY_LIFE);
        Self::new(number, not_before, not_after, seed)
    }

    pub(super) fn to_sealing_key(&self) -> SealingKey {
        SealingKey {
            secret: SealingSecret::from_seed(**self.seed),
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }

    /// From when on the seed is due to be erased: nothing that was sealed to the
    /// key is under way any more.
    pub(super) fn erased_at(&self) -> UnixMillis {
        // req: SEA-42
        self.not_after.saturating_add(SEALING_SEED_KEPT)
    }

    /// Whether another key is to take this one's place.
    fn is_due(&self, now: UnixMillis) -> bool {
        let is_valid = self.not_before <= now && now < self.not_after;
        let made = self.not_before.saturating_add(BACKDATED);
        !is_valid || now >= made.saturating_add(SEALING_KEY_ROTATION)
    }
}

/// Adds a key, first to the disk, where one is due.
pub(super) fn rotate_if_due(
    sealing: &mut Vec<StoredKey>,
    files: &KeyFiles,
    key: &ProfileKey,
    now: UnixMillis,
    entropy: &mut dyn Entropy,
) -> Result<Rotation, FileError> {
    let newest = sealing.last();
    if newest.is_some_and(|newest| !newest.is_due(now) || tortalk_model::deviate!(never_rotate)) {
        return Ok(Rotation::NotDue);
    }
    // req: SEA-38
    let number = newest.map_or(1, |newest| newest.number.saturating_add(1));
    let stored = StoredKey::made(number, now, entropy);
    files.write_sealing(&stored, key, entropy)?;
    let key_id = stored.key_id;
    sealing.push(stored);
    Ok(Rotation::Rotated(key_id))
}
