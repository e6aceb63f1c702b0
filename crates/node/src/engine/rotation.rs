//! New sealing keys while a node runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tortalk_model::Now;
use tortalk_wire::ByeReason;

use super::Engine;
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
    /// Looks whether a new key is due. The machine is built anew with it; links
    /// end and come again, and with them the new card goes out.
    pub(super) fn rotate_if_due(&mut self) {
        if Instant::now() < self.next_rotation {
            return;
        }
        self.next_rotation = Instant::now() + LOOK_EVERY;
        if let Rotation::Rotated(_) = rotate(&mut self.profile, self.around.clock.now()) {
            self.keyring = Arc::new(self.profile.keyring(self.store.store_id()));
            self.lose_links(ByeReason::Unspecified);
        }
    }
}
