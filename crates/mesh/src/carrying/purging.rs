//! Forgetting envelopes that have arrived, and telling others to.

use std::collections::BTreeSet;

use tortalk_model::envelope::purge_hash;
use tortalk_model::limits::OFFERS_MAX;
use tortalk_model::{EnvelopeId, IdentityKey, PurgeKey};
use tortalk_wire::PurgeKeys;

use crate::input::LinkId;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::sending::remember_until;
use crate::write::{HeldEnvelope, Purpose, Write};

impl Mesh {
    /// Tells the peer of a link, with the next bundle, that an envelope has
    /// arrived. One that is not told loses room until the envelope expires.
    pub(crate) fn tell_purge(&mut self, link: LinkId, id: EnvelopeId, key: PurgeKey) {
        let accepted = self.links.get(&link).is_some_and(|l| self.is_accepted(&l.peer.identity));
        if let Some(link) = self.links.get_mut(&link).filter(|_| accepted)
            && link.spread.purges.len() < OFFERS_MAX
        {
            link.spread.purges.insert(id, key);
        }
    }

    /// Somebody shows keys: holders forget.
    pub(crate) fn purged_by_peer<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        keys: &PurgeKeys,
    ) -> Result<(), R::Error> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let peer = link.peer.identity;
        let in_budget = link.spread.budget.take(step.now.mono);
        // req: CAR-33
        if !in_budget {
            return Ok(());
        }
        let accepted = self.is_accepted(&peer);
        // req: CAR-32
        if !accepted && !tortalk_model::deviate!(skip_car_32) {
            return Ok(());
        }
        let mut gone = BTreeSet::new();
        for key in keys.as_slice() {
            // req: CAR-28, CAR-29
            for envelope_id in step.store.purged_by(&purge_hash(key))? {
                let Some(held) = step.store.envelope(&envelope_id)? else { continue };
                // req: CAR-30
                if matches!(held.purpose, Purpose::Message(_)) {
                    continue;
                }
                if gone.insert(envelope_id) && !tortalk_model::deviate!(ignore_purges) {
                    self.purge(step, &held, key, Some(peer))?;
                }
            }
        }
        Ok(())
    }

    /// Forgets an envelope that has arrived and tells those who have it too.
    pub(crate) fn purge<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        held: &HeldEnvelope,
        key: &PurgeKey,
        told_by: Option<IdentityKey>,
    ) -> Result<(), R::Error> {
        let envelope_id = held.envelope.id();
        let mut holders = step.store.handed_to(&envelope_id)?;
        // Of what we made the contact is the recipient, of what we carry the giver.
        match held.purpose {
            Purpose::Carried => holders.push(held.contact),
            Purpose::Message(_) | Purpose::Receipt => holders.retain(|who| *who != held.contact),
        }
        // Otherwise nobody else has it whom we would have to answer later.
        if !holders.is_empty() {
            let until = remember_until(held.envelope.header().expires_at, step.now.wall);
            let purge_key = Some(key.clone());
            step.ready.writes.push(Write::Seen { envelope_id, until, purge_key });
        }
        // req: CAR-27, CAR-31
        for peer in holders.into_iter().filter(|who| Some(*who) != told_by) {
            let mut links = self.links.values().filter(|link| link.peer.identity == peer);
            match links.find(|link| link.exchanges_offers()).map(|link| link.id) {
                Some(link) => self.tell_purge(link, envelope_id, key.clone()),
                // req: CAR-35
                None => step.ready.writes.push(Write::OwePurge { peer, envelope_id }),
            }
        }
        if held.purpose == Purpose::Carried {
            self.carrying.room.take(&held.contact, held.envelope.as_bytes().len());
        }
        self.drop_envelope(step, envelope_id);
        Ok(())
    }

    /// Tells contacts who have come what they missed.
    pub(super) fn queue_owed_purges<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        for id in self.link_ids() {
            let Some(link) = self.links.get(&id) else { continue };
            let peer = link.peer.identity;
            if !link.spread.owes || !link.takes_envelopes() || !self.is_accepted(&peer) {
                continue;
            }
            let owed = step.store.owed_purges(&peer, OFFERS_MAX)?;
            if let Some(link) = self.links.get_mut(&id) {
                link.spread.owes = false;
            }
            for (envelope_id, key) in owed {
                self.tell_purge(id, envelope_id, key);
                step.ready.writes.push(Write::PurgeTold { peer, envelope_id });
            }
        }
        Ok(())
    }

    /// Forgets an envelope of ours for which nothing more is to be done.
    pub(crate) fn purge_own<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        envelope_id: EnvelopeId,
    ) -> Result<(), R::Error> {
        let held = step.store.envelope(&envelope_id)?;
        match held.as_ref().and_then(|held| Some((held, held.purge_key.as_ref()?))) {
            Some((held, key)) => self.purge(step, held, key, None),
            None => {
                self.drop_envelope(step, envelope_id);
                Ok(())
            }
        }
    }
}
