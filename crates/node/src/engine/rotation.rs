//! Keys that change while a node runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tortalk_mesh::Input;
use tortalk_model::Now;
use tortalk_store::StoreError;

use super::{Engine, EngineInput};
use crate::entropy::OsEntropy;
use crate::profile::Profile;
use crate::profile::sealing::Rotation;

/// How often the clock is looked at; a key is due each week.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Makes a new key where one is due. Without room for it the old ones go on.
pub(super) fn rotate(profile: &mut Profile, now: Now) -> Rotation {
    profile.rotate_if_due(now.wall, &mut OsEntropy).unwrap_or_else(|error| {
        tracing::error!("the new sealing key was not made: {error}");
        Rotation::NotDue
    })
}

impl Engine {
    /// Looks whether a new key is due.
    pub(super) fn rotate_if_due(&mut self) -> Result<(), StoreError> {
        if Instant::now() < self.next_rotation {
            return Ok(());
        }
        self.next_rotation = Instant::now() + LOOK_EVERY;
        match rotate(&mut self.profile, self.around.clock.now()) {
            Rotation::NotDue => Ok(()),
            Rotation::Rotated(_) => self.change_keyring(),
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
}
