//! How long the clock has said that a seed is due, counted over restarts.
//!
//! A seed that was erased is gone, whatever the clock says later. So nothing is
//! erased before the clock has said for 24 hours of running time that it is due.
//! Running time is that in which a process works with the profile, measured by a
//! clock that nobody sets: at each look what has gone by since the last one, and
//! five minutes at most, for a machine that slept did not run. A look at which
//! the clock says that the seed is not due sets its count back to nothing.
//!
//! The counts are a file in `keys/`, written when one begins or ends, when one
//! has grown by an hour, and at the end of a run. What a crash takes from a count
//! is an hour at most, and it is taken, never added.

use core::time::Duration;
use std::collections::BTreeMap;

use tortalk_model::limits::{SEALING_SEED_DUE, SEALING_SEED_LOOK};
use tortalk_model::{KeyId, MonoMillis, Now};

use super::sealing::StoredKey;

/// Counts that one file holds; it has to stay small.
pub(super) const NOTED_MAX: usize = 200;
/// A count that has grown by this much is noted.
const NOTE_EVERY: Duration = Duration::from_secs(3600);

/// The running time that each due seed has been due.
pub(super) type Counts = BTreeMap<KeyId, Duration>;

/// The counts as they are and as they were last written.
#[derive(Debug, Default)]
pub(super) struct Due {
    counts: Counts,
    noted: Counts,
    looked: Option<MonoMillis>,
}

impl Due {
    /// Goes on from what an earlier run has noted.
    pub(super) fn resume(noted: Counts) -> Self {
        Self { counts: noted.clone(), noted, looked: None }
    }

    /// Looks at the clock.
    pub(super) fn look(&mut self, sealing: &[StoredKey], now: Now) {
        let before = self.looked.replace(now.mono);
        let ran = before.map_or(Duration::ZERO, |before| now.mono.since(before));
        // req: SEA-48
        let ran = ran.min(SEALING_SEED_LOOK);
        // Only those that are due now go on; the others begin anew.
        // req: SEA-47
        let due = sealing.iter().filter(|key| now.wall >= key.erased_at()).map(|key| {
            let count = self.counts.get(&key.key_id).map(|count| count.saturating_add(ran));
            (key.key_id, count.unwrap_or(Duration::ZERO))
        });
        self.counts = due.collect();
    }

    /// Whether the clock has said for long enough that this seed is to go.
    pub(super) fn is_over(&self, key_id: KeyId) -> bool {
        let Some(count) = self.counts.get(&key_id) else { return false };
        // req: SEA-43
        if *count < SEALING_SEED_DUE {
            return false;
        }
        true
    }

    pub(super) fn forget(&mut self, key_id: KeyId) {
        self.counts.remove(&key_id);
    }

    /// The counts to write, if it is time to.
    pub(super) fn to_note(&self, when: Note) -> Option<Counts> {
        let counts: Counts =
            self.counts.iter().take(NOTED_MAX).map(|(key, count)| (*key, *count)).collect();
        let has_changed = !counts.keys().eq(self.noted.keys());
        let has_grown = counts.iter().any(|(key, count)| {
            self.noted.get(key).is_none_or(|noted| {
                count < noted
                    || *count >= noted.saturating_add(NOTE_EVERY)
                    || (*count >= SEALING_SEED_DUE && *noted < SEALING_SEED_DUE)
            })
        });
        let ends = when == Note::AtTheEnd && counts != self.noted;
        (has_changed || has_grown || ends).then_some(counts)
    }

    pub(super) fn noted(&mut self, counts: Counts) {
        self.noted = counts;
    }
}

/// When counts are written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Note {
    /// When there is a reason.
    InTime,
    /// Whenever they have changed.
    AtTheEnd,
}
