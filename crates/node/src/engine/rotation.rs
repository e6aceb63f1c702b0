//! Keys that change while a node runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tortalk_mesh::Input;
use tortalk_model::{MonoMillis, Now};
use tortalk_store::StoreError;

use super::{Engine, EngineInput};
use crate::entropy::OsEntropy;
use crate::profile::sealing::Rotation;
use crate::profile::{FileError, Profile};

/// How often the clock is looked at. A key is due each week, but what is erased
/// depends on what the clock said all the time.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// A disk that takes no keys is not complained about more often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(3600);

/// When the keys are looked at again.
pub(super) struct KeyLooks {
    pub(super) next: MonoMillis,
    quiet_until: Instant,
}

/// Whether there are other keys now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keys {
    Same,
    Changed,
}

impl KeyLooks {
    /// Looks for the first time, before there is a machine.
    pub(super) fn begin(profile: &mut Profile, now: Now) -> Self {
        let mut looks = Self { next: now.mono, quiet_until: Instant::now() };
        looks.look(profile, now);
        looks
    }

    /// Makes a new sealing key where one is due, and erases what is. Where the
    /// disk does not do it, everything goes on as it was.
    fn look(&mut self, profile: &mut Profile, now: Now) -> Keys {
        self.next = now.mono + LOOK_EVERY;
        // A new key first: there is one when the last is erased.
        let rotated = profile.rotate_if_due(now.wall, &mut OsEntropy);
        let erased = profile.erase_if_due(now, &mut OsEntropy);
        for key_id in &erased.keys {
            tracing::info!("sealing key {key_id} is erased");
        }
        let nothing_erased = erased.is_nothing();
        if let Some(error) = erased.trouble {
            self.complain("old keys are not erased yet", &error);
        }
        match rotated {
            Ok(Rotation::NotDue) if nothing_erased => Keys::Same,
            Ok(_) => Keys::Changed,
            Err(error) => {
                self.complain("the new sealing key was not made", &error);
                if nothing_erased { Keys::Same } else { Keys::Changed }
            }
        }
    }

    fn complain(&mut self, what: &str, error: &FileError) {
        if Instant::now() >= self.quiet_until {
            self.quiet_until = Instant::now() + COMPLAIN_EVERY;
            tracing::error!("{what}: {error}");
        }
    }
}

impl Engine {
    /// Looks at the keys when it is time to.
    pub(super) fn look_after_keys(&mut self) -> Result<(), StoreError> {
        if self.around.clock.mono() < self.key_looks.next {
            return Ok(());
        }
        match self.key_looks.look(&mut self.profile, self.around.clock.now()) {
            Keys::Same => Ok(()),
            Keys::Changed => self.change_keyring(),
        }
    }

    /// Gives the machine the secrets that the profile has now. Links stay; new
    /// cards leave when they are stored.
    ///
    /// A machine that is to be built anew, because the store failed, gets them
    /// then.
    pub(super) fn change_keyring(&mut self) -> Result<(), StoreError> {
        self.keyring = Arc::new(self.profile.keyring(self.store.store_id()));
        let changed = Input::KeyringChanged(Arc::clone(&self.keyring));
        self.batch(Some(EngineInput::Mesh(changed)))
    }

    /// Writes down what the next start goes on from.
    pub(super) fn leave_keys(&mut self) {
        let now = self.around.clock.now();
        if let Err(error) = self.profile.note_running_time(now, &mut OsEntropy) {
            tracing::warn!("the running time is not noted: {error}");
        }
    }
}
