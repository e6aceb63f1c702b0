//! What the time is likely to be, by all who are connected.

use std::collections::BTreeSet;

use tortalk_model::{IdentityKey, Now, RelayKey};

use crate::clocks::offset_ms;
use crate::mesh::Mesh;

/// Whose clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockOwner {
    /// An accepted contact who is linked.
    Contact(IdentityKey),
    /// A relay that is up.
    Relay(RelayKey),
}

impl Mesh {
    /// The clocks of everybody who is connected and believed in this: each minus
    /// ours, in milliseconds.
    pub fn clocks(&self, now: Now) -> Vec<(ClockOwner, i64)> {
        let linked: BTreeSet<_> = self.links.values().map(|link| link.peer.identity).collect();
        let contacts = linked.into_iter().filter(|identity| self.is_accepted(identity));
        let contacts = contacts.filter_map(|identity| {
            Some((ClockOwner::Contact(identity), self.clock_of_linked(&identity)?))
        });
        let relays = self.relays.known.iter();
        let relays = relays.filter_map(|(key, relay)| Some((ClockOwner::Relay(*key), relay.up?)));
        let offset = |(owner, clock): (_, crate::clocks::PeerClock)| {
            (owner, offset_ms(clock.now(now), now.wall))
        };
        contacts.chain(relays).map(offset).collect()
    }

    /// The middle of what our clock, linked contacts and relays that are up say,
    /// as an offset to our wall clock: for those whose own clock is not known. Of
    /// two in the middle it is the one nearer to ours.
    // req: RLC-22
    pub(crate) fn median_offset_ms(&self, now: Now) -> i64 {
        let others = self.clocks(now).into_iter().map(|(_, offset_ms)| offset_ms);
        let mut offsets: Vec<i64> = others.chain([0]).collect();
        offsets.sort_unstable();
        let (low, high) = (offsets[(offsets.len() - 1) / 2], offsets[offsets.len() / 2]);
        if low.unsigned_abs() < high.unsigned_abs() { low } else { high }
    }
}
