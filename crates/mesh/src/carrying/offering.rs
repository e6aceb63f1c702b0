//! The giver's side of spreading: what is offered, and what is given to whom.

use tortalk_model::entropy::{self, Entropy};
use tortalk_model::limits::SPREAD_ENTRIES_MAX;
use tortalk_model::{EnvelopeId, MonoMillis};
use tortalk_wire::{EnvelopeIds, Frame, PurgeKeys};

use super::{BUNDLE_INTERVAL, Offer};
use crate::handover::Handing;
use crate::input::LinkId;
use crate::links::Link;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::LinkAction;
use crate::write::{HeldEnvelope, Purpose};

/// Ids of held envelopes that are read at once.
const PAGE: usize = 512;
/// Of what there was no room for, so much is looked at when there is some.
const UNSTALLED: usize = 16;

impl Mesh {
    /// Offers a new envelope to everybody who may carry it.
    pub(crate) fn offer_round(&mut self, held: &HeldEnvelope, now: MonoMillis) {
        let id = held.envelope.id();
        self.carrying.fresh.insert(id);
        for link_id in self.link_ids() {
            let may = self.may_spread(held, link_id, now);
            if let Some(link) = self.links.get_mut(&link_id).filter(|_| may)
                && link.takes_envelopes()
                && !link.spread.is_known(&id)
            {
                if link.spread.has_place() {
                    link.spread.queue.insert(id);
                } else {
                    link.spread.backlog = true;
                }
            }
        }
    }

    /// Whether an envelope may be given to the peer of a link, to be carried on.
    fn may_spread(&self, held: &HeldEnvelope, link: LinkId, now: MonoMillis) -> bool {
        let Some(link) = self.links.get(&link) else { return false };
        let peer = link.peer.identity;
        let contact = self.is_accepted(&peer);
        // req: CAR-02
        if !contact {
            return false;
        }
        // req: CAR-03
        if held.ttl == 0 && !tortalk_model::deviate!(skip_car_03) {
            return false;
        }
        // The contact of what we made is its recipient, of what we carry its giver.
        // req: CAR-06
        if held.contact == peer && !tortalk_model::deviate!(skip_car_06) {
            return false;
        }
        let mailbox = held.envelope.header().mailbox;
        let card = self.contacts.get(&peer).and_then(|known| known.card.as_ref());
        let is_recipient = link.proved.contains(&mailbox)
            || card.is_some_and(|card| card.contact_mailbox() == Some(mailbox));
        // What is ours to somebody whom the user has blocked goes nowhere.
        let welcome = held.purpose == Purpose::Carried || self.is_accepted(&held.contact);
        if is_recipient || !welcome {
            return false;
        }
        // req: CAR-15
        if !self.may_go_round(held, now) && !tortalk_model::deviate!(skip_car_15) {
            return false;
        }
        true
    }

    /// Looks into the store for what links were not offered yet.
    pub(super) fn queue_backlogs<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        for id in self.link_ids() {
            let Some(link) = self.links.get_mut(&id) else { continue };
            if !link.spread.backlog || !link.takes_envelopes() {
                continue;
            }
            link.spread.backlog = false;
            let peer = link.peer.identity;
            let accepted = self.is_accepted(&peer);
            // req: CAR-02
            if !accepted {
                continue;
            }
            let mut after = None;
            loop {
                let page = step.store.to_spread(&peer, after, PAGE)?;
                if !self.queue_page(step, id, &page)? || page.len() < PAGE {
                    break;
                }
                after = page.last().copied();
            }
        }
        Ok(())
    }

    /// Queues what may be offered of these; whether there is place for more.
    fn queue_page<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        id: LinkId,
        page: &[EnvelopeId],
    ) -> Result<bool, R::Error> {
        for envelope_id in page {
            let Some(link) = self.links.get(&id) else { return Ok(false) };
            if link.spread.is_known(envelope_id) {
                continue;
            }
            if !link.spread.has_place() {
                return Ok(false);
            }
            let Some(held) = step.store.envelope(envelope_id)? else { continue };
            if self.may_spread(&held, id, step.now.mono)
                && let Some(link) = self.links.get_mut(&id)
            {
                link.spread.queue.insert(*envelope_id);
            }
        }
        Ok(true)
    }

    /// Sends each link what was gathered for it: offers and purge keys.
    pub(super) fn send_bundles<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        let now = step.now.mono;
        for id in self.link_ids() {
            let Some(link) = self.links.get(&id) else { continue };
            let accepted = self.is_accepted(&link.peer.identity);
            // req: CAR-02
            if !accepted {
                continue;
            }
            let Some(link) = self.links.get_mut(&id) else { continue };
            if now < link.spread.bundle_at || !link.takes_envelopes() {
                continue;
            }
            let mut ids = Vec::new();
            while ids.len() < SPREAD_ENTRIES_MAX
                && let Some(envelope_id) = link.spread.queue.pop_first()
            {
                // What expired meanwhile is not offered.
                // req: CAR-11
                if self.carrying.fresh.contains(&envelope_id) || step.store.holds(&envelope_id)? {
                    link.spread.offered.insert(envelope_id, Offer::Offered);
                    ids.push(envelope_id);
                }
            }
            let mut keys = Vec::new();
            while keys.len() < SPREAD_ENTRIES_MAX
                && let Some((_, key)) = link.spread.purges.pop_first()
            {
                keys.push(key);
            }
            if !(ids.is_empty() && keys.is_empty()) {
                link.spread.bundle_at = now + BUNDLE_INTERVAL;
            }
            if let Ok(ids) = EnvelopeIds::new(ids) {
                step.ready.links.push(LinkAction::Send(id, Frame::Have(ids)));
            }
            if let Ok(keys) = PurgeKeys::new(keys) {
                step.ready.links.push(LinkAction::Send(id, Frame::Purge(keys)));
            }
        }
        Ok(())
    }

    /// The peer wants some of what it was offered.
    pub(crate) fn wanted_by_peer<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        id: LinkId,
        ids: &EnvelopeIds,
    ) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let in_budget = link.spread.budget.take(step.now.mono);
        // req: CAR-33
        if !in_budget {
            return;
        }
        for envelope_id in ids.as_slice() {
            let offer = link.spread.offered.get_mut(envelope_id);
            // req: CAR-07, CAR-08
            let Some(offer) = offer.filter(|offer| **offer == Offer::Offered) else { continue };
            *offer = Offer::Wanted;
            self.carrying.to_serve.insert(*envelope_id);
        }
    }

    /// Gives copies of what is wanted, each to one link at a time.
    pub(super) fn serve_wants<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        for envelope_id in core::mem::take(&mut self.carrying.to_serve) {
            let on_its_way = self.carrying.spreading.contains_key(&envelope_id);
            // req: CAR-10
            if on_its_way && !tortalk_model::deviate!(skip_car_10) {
                continue;
            }
            let wanting = self.links.values().filter(|link| link.spread.wants(&envelope_id));
            let mut links: Vec<LinkId> = wanting.map(|link| link.id).collect();
            if links.is_empty() {
                continue;
            }
            let Some(held) = step.store.envelope(&envelope_id)? else { continue };
            // req: CAR-36
            shuffle(&mut links, &mut *self.entropy);
            for id in links {
                if !self.may_spread(&held, id, step.now.mono) {
                    continue;
                }
                let Some(link) = self.links.get_mut(&id).filter(|link| link.takes_envelopes())
                else {
                    continue;
                };
                if link.spread.retry_at.is_some() || !link.has_room(&held) {
                    link.spread.stalled.insert(envelope_id);
                    continue;
                }
                // req: CAR-04
                let ttl = held.ttl - u8::from(!tortalk_model::deviate!(spread_whole_ttl));
                link.hand_over(step, &held, Handing::Spread { ttl });
                link.spread.offered.insert(envelope_id, Offer::Done);
                self.carrying.spreading.insert(envelope_id, id);
                break;
            }
        }
        Ok(())
    }

    /// A spread has its answer: the next one who wants a copy may have it.
    pub(crate) fn spread_answered(&mut self, id: EnvelopeId, acknowledged_on: Option<LinkId>) {
        self.carrying.spreading.remove(&id);
        self.carrying.to_serve.insert(id);
        // Who has it is known to the store from now on.
        if let Some(link) = acknowledged_on.and_then(|link| self.links.get_mut(&link)) {
            link.spread.offered.remove(&id);
        }
    }

    /// The peer takes nothing more to carry until then.
    pub(crate) fn spread_later(&mut self, link: LinkId, id: EnvelopeId, at: MonoMillis) {
        if let Some(link) = self.links.get_mut(&link) {
            link.spread.retry_at = Some(at);
            link.spread.offered.insert(id, Offer::Wanted);
            link.spread.stalled.insert(id);
        }
    }

    /// There is room on a link again.
    pub(crate) fn serve_stalled(&mut self, link: LinkId) {
        let Some(link) = self.links.get_mut(&link) else { return };
        if link.spread.retry_at.is_some() {
            return;
        }
        for _ in 0..UNSTALLED {
            let Some(id) = link.spread.stalled.pop_first() else { return };
            self.carrying.to_serve.insert(id);
        }
    }

    /// More copies of an envelope may be made than before.
    pub(crate) fn may_be_copied_again(&mut self, id: EnvelopeId) {
        self.carrying.to_serve.insert(id);
        for link in self.links.values_mut() {
            link.spread.backlog = true;
        }
    }

    pub(super) fn link_ids(&self) -> Vec<LinkId> {
        self.links.values().filter(|link| !link.is_closing()).map(|link| link.id).collect()
    }
}

impl Link {
    /// Whether anything may be asked of this link, or offered on it.
    pub(super) const fn exchanges_offers(&self) -> bool {
        !self.is_retired()
    }
}

fn shuffle(links: &mut [LinkId], entropy: &mut dyn Entropy) {
    for last in (1..links.len()).rev() {
        let random = u64::from_be_bytes(entropy::array(entropy));
        // The bias of a remainder of 64 bits does not matter here.
        let other = usize::try_from(random % (last as u64 + 1)).unwrap_or(last);
        links.swap(last, other);
    }
}
