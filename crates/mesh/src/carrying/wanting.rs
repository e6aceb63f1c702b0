//! The taker's side of spreading: what of an offer is wanted, and of whom.

use std::collections::{BTreeMap, VecDeque};

use tortalk_model::limits::{OFFERS_MAX, SPREAD_ENTRIES_MAX, WANT_LIFE};
use tortalk_model::{EnvelopeId, MonoMillis};
use tortalk_wire::{EnvelopeIds, Frame};

use crate::input::LinkId;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::LinkAction;

/// Entries of wants that have ended which the queue may hold.
const QUEUE_SLACK: usize = 1024;

/// What we wanted and what did not come yet.
#[derive(Default)]
pub(super) struct Wants {
    open: BTreeMap<EnvelopeId, Want>,
    /// How many of these are for each link.
    by_link: BTreeMap<LinkId, usize>,
    /// In the order of time; an entry counts only if it is in `open` too.
    queue: VecDeque<(MonoMillis, EnvelopeId)>,
}

#[derive(Debug, Clone, Copy)]
struct Want {
    link: LinkId,
    since: MonoMillis,
}

impl Wants {
    fn is_open(&self, id: &EnvelopeId) -> bool {
        self.open.contains_key(id)
    }

    fn of_link(&self, link: LinkId) -> usize {
        self.by_link.get(&link).copied().unwrap_or(0)
    }

    fn start(&mut self, id: EnvelopeId, link: LinkId, since: MonoMillis) {
        self.end(&id);
        self.open.insert(id, Want { link, since });
        *self.by_link.entry(link).or_default() += 1;
        if self.queue.len() > 2 * self.open.len() + QUEUE_SLACK {
            let open = &self.open;
            self.queue.retain(|(since, id)| open.get(id).is_some_and(|w| w.since == *since));
        }
        self.queue.push_back((since, id));
    }

    fn end(&mut self, id: &EnvelopeId) {
        let Some(want) = self.open.remove(id) else { return };
        if let Some(count) = self.by_link.get_mut(&want.link) {
            *count -= 1;
            if *count == 0 {
                self.by_link.remove(&want.link);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<MonoMillis> {
        self.queue.front().map(|(since, _)| *since + WANT_LIFE)
    }

    /// What has waited too long.
    fn expired(&mut self, now: MonoMillis) -> Vec<EnvelopeId> {
        let mut ids = Vec::new();
        while let Some((since, id)) = self.queue.front().copied()
            && now >= since + WANT_LIFE
        {
            self.queue.pop_front();
            if self.open.get(&id).is_some_and(|want| want.since == since) {
                self.end(&id);
                ids.push(id);
            }
        }
        ids
    }

    fn end_all_of(&mut self, gone: LinkId) -> Vec<EnvelopeId> {
        let ids: Vec<_> =
            self.open.iter().filter(|(_, want)| want.link == gone).map(|(id, _)| *id).collect();
        for id in &ids {
            self.end(id);
        }
        ids
    }
}

impl Mesh {
    /// The peer has envelopes that we might carry.
    pub(crate) fn offered_by_peer<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        ids: &EnvelopeIds,
    ) -> Result<(), R::Error> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let peer = link.peer.identity;
        let in_budget = link.spread.budget.take(step.now.mono);
        // req: CAR-33
        if !in_budget && !tortalk_model::deviate!(skip_car_33) {
            return Ok(());
        }
        // The other link of a duplicate offers the same again.
        if !self.is_accepted(&peer) || self.links.get(&id).is_none_or(|l| !l.exchanges_offers()) {
            return Ok(());
        }
        let room = self.carrying.room.fits(&peer, 0);
        let mut wanted = Vec::new();
        for envelope_id in ids.as_slice() {
            // req: CAR-26
            if let Some(key) = step.store.purge_key(envelope_id)? {
                self.tell_purge(id, *envelope_id, key);
                continue;
            }
            let known = step.store.seen(envelope_id)? || step.store.holds(envelope_id)?;
            // req: CAR-12
            if known && !tortalk_model::deviate!(skip_car_12) {
                continue;
            }
            let Some(link) = self.links.get_mut(&id) else { break };
            let remembered = link.spread.offers.len() + self.carrying.wants.of_link(id);
            // req: CAR-34
            if remembered >= OFFERS_MAX && !tortalk_model::deviate!(skip_car_34) {
                break;
            }
            if !room {
                continue;
            }
            // req: CAR-13
            if self.carrying.wants.is_open(envelope_id) && !tortalk_model::deviate!(skip_car_13) {
                link.spread.offers.insert(*envelope_id);
                continue;
            }
            self.carrying.wants.start(*envelope_id, id, step.now.mono);
            wanted.push(*envelope_id);
        }
        send_wants(step, id, wanted);
        Ok(())
    }

    /// An envelope came, from wherever: it is not waited for any more.
    pub(crate) fn has_come(&mut self, id: &EnvelopeId) {
        self.carrying.wants.end(id);
    }

    /// A link has ended on which envelopes were to come.
    pub(super) fn want_elsewhere<R: Read>(&mut self, step: &mut Step<'_, R>, gone: LinkId) {
        let ids = self.carrying.wants.end_all_of(gone);
        self.want_of_others(step, &ids);
    }

    /// Asks others for what did not come in time.
    pub(super) fn give_up_wants<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let ids = self.carrying.wants.expired(step.now.mono);
        self.want_of_others(step, &ids);
    }

    /// Wants envelopes of links that offered them too; an offer is used once.
    // req: CAR-14
    fn want_of_others<R: Read>(&mut self, step: &mut Step<'_, R>, ids: &[EnvelopeId]) {
        let mut wanted: BTreeMap<LinkId, Vec<EnvelopeId>> = BTreeMap::new();
        for id in ids {
            let mut links = self.links.values_mut().filter(|link| link.exchanges_offers());
            if let Some(link) = links.find(|link| link.spread.offers.contains(id)) {
                link.spread.offers.remove(id);
                self.carrying.wants.start(*id, link.id, step.now.mono);
                wanted.entry(link.id).or_default().push(*id);
            }
        }
        for (link, ids) in wanted {
            send_wants(step, link, ids);
        }
    }
}

fn send_wants<R: Read>(step: &mut Step<'_, R>, link: LinkId, ids: Vec<EnvelopeId>) {
    for ids in ids.chunks(SPREAD_ENTRIES_MAX) {
        if let Ok(ids) = EnvelopeIds::new(ids.to_vec()) {
            step.ready.links.push(LinkAction::Send(link, Frame::Want(ids)));
        }
    }
}
