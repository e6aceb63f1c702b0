//! Direct first: while its recipient is linked, an envelope is for nobody else.

use std::collections::{BTreeMap, VecDeque};

use tortalk_model::limits::DIRECT_FIRST;
use tortalk_model::{EnvelopeId, IdentityKey, MonoMillis};

use crate::mesh::Mesh;
use crate::write::{HeldEnvelope, Purpose};

/// Since when envelopes of ours wait for their linked recipient alone.
#[derive(Default)]
pub(super) struct DirectFirst {
    since: BTreeMap<EnvelopeId, MonoMillis>,
    /// In the order of time; an entry counts only if it is in `since` too.
    queue: VecDeque<(MonoMillis, EnvelopeId)>,
}

impl DirectFirst {
    fn start(&mut self, id: EnvelopeId, now: MonoMillis) {
        if self.since.insert(id, now) != Some(now) {
            self.queue.push_back((now, id));
        }
    }

    pub(super) fn forget(&mut self, id: &EnvelopeId) {
        self.since.remove(id);
    }

    /// Whether some envelope's time is over; forgets those.
    fn wake(&mut self, now: MonoMillis) -> bool {
        let mut over = false;
        while let Some((since, id)) = self.queue.front().copied()
            && now >= since + DIRECT_FIRST
        {
            self.queue.pop_front();
            if self.since.get(&id) == Some(&since) {
                self.since.remove(&id);
                over = true;
            }
        }
        over
    }
}

impl Mesh {
    /// Whether a held envelope may go other ways than to its recipient directly:
    /// to carriers, and to relays (CAR-15).
    pub(crate) fn may_go_round(&self, held: &HeldEnvelope, now: MonoMillis) -> bool {
        held.purpose == Purpose::Carried
            || self.goes_direct_until(&held.envelope.id(), &held.contact, now).is_none()
    }

    /// Until when an envelope of ours is for its recipient alone, as things stand;
    /// `None` when it is not.
    pub(crate) fn goes_direct_until(
        &self,
        id: &EnvelopeId,
        recipient: &IdentityKey,
        now: MonoMillis,
    ) -> Option<MonoMillis> {
        let links = self.links.values().filter(|link| link.peer.identity == *recipient);
        let ready = links.filter(|link| link.takes_envelopes()).filter_map(|link| link.ready_at);
        let ready = ready.min()?;
        let since = self.carrying.direct_first.since.get(id);
        let until = since.map_or(ready, |since| ready.max(*since)) + DIRECT_FIRST;
        (now < until).then_some(until)
    }

    /// From now on an envelope of ours is for its recipient alone for a while, if
    /// the recipient is here: it is new, was handed over, or was stored there.
    pub(crate) fn direct_first(&mut self, held: &HeldEnvelope, now: MonoMillis) {
        let mut links = self.links.values();
        let is_here = links.any(|link| link.peer.identity == held.contact);
        if is_here && held.purpose != Purpose::Carried {
            self.direct_first_for(held.envelope.id(), now);
        }
    }

    /// As above, about an envelope of ours whose recipient is here.
    pub(crate) fn direct_first_for(&mut self, id: EnvelopeId, now: MonoMillis) {
        self.carrying.direct_first.start(id, now);
    }

    pub(super) fn wake_direct_first(&mut self, now: MonoMillis) {
        let mut over = self.carrying.direct_first.wake(now);
        for link in self.links.values_mut() {
            if !link.direct_over && link.ready_at.is_some_and(|at| now >= at + DIRECT_FIRST) {
                link.direct_over = true;
                over = true;
            }
        }
        if over {
            self.look_for_offers_again();
        }
    }

    pub(super) fn direct_first_deadline(&self) -> Option<MonoMillis> {
        let links = self.links.values().filter(|link| !link.direct_over);
        let links = links.filter_map(|link| link.ready_at);
        let envelope = self.carrying.direct_first.queue.front().map(|(since, _)| *since);
        links.chain(envelope).min().map(|since| since + DIRECT_FIRST)
    }
}
