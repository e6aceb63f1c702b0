//! What the time is likely to be, by all who are connected.

use std::collections::BTreeSet;

use tortalk_model::Now;

use crate::clocks::offset_ms;
use crate::mesh::Mesh;

impl Mesh {
    /// The middle of what our clock, linked contacts and relays that are up say,
    /// as an offset to our wall clock: for those whose own clock is not known. Of
    /// two in the middle it is the one nearer to ours.
    // req: RLC-22
    pub(crate) fn median_offset_ms(&self, now: Now) -> i64 {
        let linked: BTreeSet<_> = self.links.values().map(|link| link.peer.identity).collect();
        let contacts = linked.iter().filter(|identity| self.is_accepted(identity));
        let contacts = contacts.filter_map(|identity| self.clock_of_linked(identity));
        let relays = self.relays.known.values().filter_map(|relay| relay.up);
        let others = contacts.chain(relays).map(|clock| offset_ms(clock.now(now), now.wall));
        let mut offsets: Vec<i64> = others.chain([0]).collect();
        offsets.sort_unstable();
        let (low, high) = (offsets[(offsets.len() - 1) / 2], offsets[offsets.len() / 2]);
        if low.unsigned_abs() < high.unsigned_abs() { low } else { high }
    }
}
