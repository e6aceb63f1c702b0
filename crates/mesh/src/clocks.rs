//! Wall clocks: our own, which may be set while we run, and those of contacts.
//!
//! Timers use the monotonic clock and do not care. What is stored has times of
//! the wall clock, because it has to outlive the process: when to try again, when
//! 90 days are over. A clock that is set must neither stop that nor end it early.

use core::time::Duration;

use tortalk_model::{IdentityKey, MonoMillis, Now, UnixMillis};

use crate::mesh::{Mesh, Step};
use crate::read::Read;

/// The wall clock was set when it moved this much more, or less, than time did.
const SET_BY_MS: u64 = 60_000;
/// What the wall clock says about days gone by is believed after this time.
pub(crate) const STEADY_FOR: Duration = Duration::from_secs(3600);

/// Our wall clock as we have seen it run.
#[derive(Debug, Default)]
pub(crate) struct OwnClock {
    /// A moment since which it has not been set.
    since: Option<Now>,
}

impl OwnClock {
    /// Looks at the clock; by how many milliseconds it was set, if it was.
    fn look(&mut self, now: Now) -> Option<i64> {
        let since = *self.since.get_or_insert(now);
        let passed = i64::try_from(now.mono.since(since.mono).as_millis()).unwrap_or(i64::MAX);
        let set_by = offset_ms(now.wall, since.wall).saturating_sub(passed);
        if set_by.unsigned_abs() < SET_BY_MS {
            return None;
        }
        self.since = Some(now);
        Some(set_by)
    }

    /// Whether it has run for an hour without being set (GSP-37).
    pub(crate) fn is_steady(&self, now: Now) -> bool {
        self.since.is_some_and(|since| now.mono.since(since.mono) >= STEADY_FOR)
    }
}

/// What somebody's clock said, and when that was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PeerClock {
    pub(crate) said: UnixMillis,
    pub(crate) at: MonoMillis,
}

impl PeerClock {
    /// What it says now: it has gone on since.
    pub(crate) fn now(self, now: Now) -> UnixMillis {
        self.said.saturating_add(now.mono.since(self.at))
    }
}

impl Mesh {
    /// Notices when our wall clock was set.
    pub(crate) fn notice_clock<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        match self.clock.look(step.now) {
            Some(set_by) if set_by < 0 => self.bring_tries_forward(step),
            _ => Ok(()),
        }
    }

    /// The moment in a contact's clock, as far as it is known (GSP-22): while we
    /// are linked its hello goes on by a clock that nobody sets; later by ours.
    /// Otherwise it is what all who are connected say.
    pub(crate) fn their_now(&self, contact: &IdentityKey, now: Now) -> UnixMillis {
        if tortalk_model::deviate!(own_clock_only) {
            return now.wall;
        }
        // req: GSP-38
        if let Some(clock) = self.clock_of_linked(contact)
            && !tortalk_model::deviate!(skip_gsp_38)
        {
            return clock.now(now);
        }
        let offset = self.contacts.get(contact).and_then(|known| known.clock_offset_ms);
        let offset = offset.unwrap_or_else(|| self.median_offset_ms(now));
        UnixMillis(now.wall.0.saturating_add_signed(offset))
    }

    /// The contact's clock minus ours, in milliseconds.
    pub(crate) fn their_offset_ms(&self, contact: &IdentityKey, now: Now) -> i64 {
        offset_ms(self.their_now(contact, now), now.wall)
    }

    /// Keeps what a linked contact's clock says for when the link is gone.
    pub(crate) fn note_peer_clock(&mut self, contact: &IdentityKey, now: Now) {
        let Some(clock) = self.clock_of_linked(contact) else { return };
        if let Some(known) = self.contacts.get_mut(contact) {
            known.clock_offset_ms = Some(offset_ms(clock.now(now), now.wall));
        }
    }

    pub(crate) fn clock_of_linked(&self, contact: &IdentityKey) -> Option<PeerClock> {
        let links = self.links.values().filter(|link| link.peer.identity == *contact);
        links.filter_map(|link| link.clock).max_by_key(|clock| clock.at)
    }
}

/// `theirs` minus `ours`, in milliseconds.
pub(crate) fn offset_ms(theirs: UnixMillis, ours: UnixMillis) -> i64 {
    let difference = i128::from(theirs.0) - i128::from(ours.0);
    i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN + 1 } else { i64::MAX })
}
