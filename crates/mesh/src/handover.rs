//! Handing envelopes over on links, and what peers answer.

use core::time::Duration;
use std::collections::BTreeSet;

use tortalk_model::limits::UNACKED_BYTES_MAX;
use tortalk_model::{EnvelopeId, IdentityKey, MonoMillis};
use tortalk_wire::{Ack, AckResult, EnvelopeBytes, Frame, Msg, Push, RefusalReason, StampBytes};

use crate::clocks::offset_ms;
use crate::delivery::DeliveryState;
use crate::input::LinkId;
use crate::links::Link;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::{Event, LinkAction};
use crate::write::{Evidence, HeldEnvelope, Purpose, Write};

/// A refusal without a hint, or with one beyond reason, waits this long.
const RETRY_AFTER_S: u32 = 60;
const RETRY_AFTER_S_MAX: u32 = 24 * 3600;
/// Ids of held envelopes that are read at once.
const PAGE: usize = 512;

/// How an envelope was handed over on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Handing {
    /// To its recipient.
    Direct,
    /// To somebody who carries it on, with this `ttl`.
    Spread {
        /// What the taker was told.
        ttl: u8,
    },
}

/// An envelope that was handed over and has no answer yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unacked {
    purpose: Purpose,
    len: usize,
    handing: Handing,
}

/// A look into the store for one link.
#[derive(Default)]
struct Batch {
    /// To be handed over.
    ready: Vec<HeldEnvelope>,
    /// For mailboxes that the peer has not proved; there may be many.
    unproved: Vec<EnvelopeId>,
}

impl Mesh {
    /// Hands a new envelope to its recipient at once, if a link is ready for it;
    /// otherwise a link that comes, or has room later, takes it from the store.
    pub(crate) fn offer<R: Read>(&mut self, step: &mut Step<'_, R>, held: &HeldEnvelope) {
        let links = self.links.values_mut();
        let mut links: Vec<_> = links
            .filter(|link| link.peer.identity == held.contact && link.takes_envelopes())
            .collect();
        let ready = links.iter_mut().find(|link| {
            !link.backlog && link.retry_at.is_none() && link.may_take(held) && link.has_room(held)
        });
        match ready {
            Some(link) => link.hand_over(step, held, Handing::Direct),
            None => links.iter_mut().for_each(|link| link.backlog = true),
        }
    }

    /// The peer is ready to take envelopes.
    pub(crate) fn pull(&mut self, id: LinkId, now: MonoMillis) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.pulled = true;
        link.pull_unanswered = true;
        link.backlog = true;
        link.spread.backlog = true;
        link.spread.owes = true;
        link.ready_at.get_or_insert(now);
    }

    /// Hands over from the store what links have room for; answers pulls.
    pub(crate) fn hand_over_backlogs<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        let mut unproved = BTreeSet::new();
        for id in ids {
            unproved.extend(self.hand_over_backlog(step, id)?);
        }
        // Once each, though several links of one person may have found it.
        for envelope_id in unproved {
            let Some(held) = step.store.envelope(&envelope_id)? else { continue };
            // The peer is here, and its card names another mailbox by now.
            // req: GSP-39
            if self.is_outdated(step.now, &held) && !tortalk_model::deviate!(skip_gsp_39) {
                self.replace(step, &held)?;
            }
        }
        Ok(())
    }

    /// As above for one link; returns what is for mailboxes that it has not proved.
    fn hand_over_backlog<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
    ) -> Result<Vec<EnvelopeId>, R::Error> {
        let Some(link) = self.links.get(&id).filter(|link| link.takes_envelopes()) else {
            return Ok(Vec::new());
        };
        // Who asks to be a contact may have a receipt for that.
        let peer = link.peer.identity;
        let accepted = self.is_accepted(&peer) || self.requests.of(&peer).is_some();
        let looks = accepted && link.backlog && link.retry_at.is_none();
        let Batch { ready, unproved } =
            if looks { self.take_from_backlog(step, id)? } else { Batch::default() };
        let Some(link) = self.links.get_mut(&id) else { return Ok(unproved) };
        let answer = core::mem::take(&mut link.pull_unanswered);
        if answer {
            let count = u32::try_from(ready.len()).unwrap_or(u32::MAX);
            step.ready.links.push(LinkAction::Send(id, Frame::Push(Push { count })));
        }
        for held in &ready {
            link.hand_over(step, held, Handing::Direct);
        }
        if answer {
            step.ready.links.push(LinkAction::Send(id, Frame::End));
        }
        for held in &ready {
            self.direct_first(held, step.now.mono);
        }
        Ok(unproved)
    }

    /// What the store holds for a link's peer, in its order, as far as the window
    /// has room; the link's backlog ends when that was all.
    fn take_from_backlog<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        id: LinkId,
    ) -> Result<Batch, R::Error> {
        let mut batch = Batch::default();
        let Some(identity) = self.links.get(&id).map(|link| link.peer.identity) else {
            return Ok(batch);
        };
        // What is unacknowledged on another link of this peer is on its way.
        let links = self.links.values().filter(|link| link.peer.identity == identity);
        let on_its_way: BTreeSet<EnvelopeId> =
            links.flat_map(|link| link.unacked.keys().copied()).collect();
        let accepted = self.is_accepted(&identity);
        let Some(link) = self.links.get_mut(&id) else { return Ok(batch) };
        let mut bytes = 0;
        let mut after = None;
        // What is ours to this peer, then what we carry for its mailboxes.
        // To a stranger it would show who is our contact.
        let proved = if accepted && !tortalk_model::deviate!(carry_only_on_offer) {
            link.proved.clone()
        } else {
            Vec::new()
        };
        let mut sources = core::iter::once(None).chain(proved.into_iter().map(Some));
        let mut source = sources.next().flatten();
        loop {
            if link.unacked.len() + batch.ready.len() >= link.unacked_max {
                return Ok(batch);
            }
            let page = match &source {
                None => step.store.pending_for(&identity, after, PAGE)?,
                // req: CAR-09
                Some(mailbox) => step.store.carried_for(mailbox, &identity, after, PAGE)?,
            };
            for envelope_id in &page {
                if on_its_way.contains(envelope_id) || link.aside.contains(envelope_id) {
                    continue;
                }
                let Some(held) = step.store.envelope(envelope_id)? else { continue };
                // req: GSP-35
                if !link.may_take(&held) && !tortalk_model::deviate!(skip_gsp_35) {
                    link.aside.insert(*envelope_id);
                    batch.unproved.push(*envelope_id);
                    continue;
                }
                if !link.has_room_for(&held, batch.ready.len(), bytes) {
                    return Ok(batch);
                }
                bytes += held.envelope.as_bytes().len();
                batch.ready.push(held);
            }
            after = page.last().copied();
            if page.len() < PAGE {
                let Some(next) = sources.next() else {
                    link.backlog = false;
                    return Ok(batch);
                };
                (source, after) = (next, None);
            }
        }
    }

    /// A peer says what became of an envelope.
    pub(crate) fn acked<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        ack: &Ack,
    ) -> Result<(), R::Error> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        let peer = link.peer.identity;
        if tortalk_model::deviate!(ack_of_anything) {
            step.ready.writes.push(Write::HandedOver { peer, envelope_id: ack.id });
        }
        // req: GSP-15
        let Some(unacked) = link.unacked.remove(&ack.id) else { return Ok(()) };
        link.unacked_bytes -= unacked.len;
        if let Handing::Spread { .. } = unacked.handing {
            let acknowledged = !matches!(ack.result, AckResult::Refused(_));
            self.spread_answered(ack.id, acknowledged.then_some(id));
        }
        self.serve_stalled(id);
        match (ack.result, unacked.handing) {
            (AckResult::Stored | AckResult::Duplicate, _) => self.handed(step, peer, ack, unacked),
            (AckResult::Refused(reason), Handing::Direct) => {
                self.refused(step, id, ack, unacked.purpose, reason)
            }
            (AckResult::Refused(reason), Handing::Spread { .. }) => {
                self.spread_refused(step, id, ack, unacked.purpose, reason)
            }
        }
    }

    fn handed<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: IdentityKey,
        ack: &Ack,
        unacked: Unacked,
    ) -> Result<(), R::Error> {
        let envelope_id = ack.id;
        if !tortalk_model::deviate!(hand_over_again) {
            step.ready.writes.push(Write::HandedOver { peer, envelope_id });
        }
        if let (Handing::Spread { ttl }, AckResult::Stored) = (unacked.handing, ack.result)
            && let Some(held) = step.store.envelope(&envelope_id)?
            && held.ttl > ttl
            && !tortalk_model::deviate!(keep_ttl)
        {
            // req: CAR-05
            step.ready.writes.push(Write::SetTtl { envelope_id, ttl });
        }
        let message_id = match (unacked.purpose, unacked.handing) {
            (Purpose::Message(message_id), _) => message_id,
            // Nobody else needs it any more.
            (Purpose::Receipt, Handing::Direct) => return self.purge_own(step, envelope_id),
            (Purpose::Receipt | Purpose::Carried, _) => return Ok(()),
        };
        if unacked.handing == Handing::Direct {
            self.direct_first_for(envelope_id, step.now.mono);
        }
        let Some(mut message) = step.store.outgoing(&message_id)? else { return Ok(()) };
        let before = DeliveryState::of(&message);
        if before.is_final() {
            return Ok(());
        }
        self.try_after_ack(step, &message);
        let first = !message.evidence.iter().any(
            |evidence| matches!(evidence, Evidence::Handed { peer: other, .. } if *other == peer),
        );
        if first {
            let evidence = Evidence::Handed { peer, at: step.now.wall };
            message.evidence.push(evidence.clone());
            step.ready.writes.push(Write::AddEvidence { message_id, evidence });
            let state = DeliveryState::of(&message);
            if state != before {
                self.state_changed(step, message_id, message.contact, state);
            }
        }
        Ok(())
    }

    fn refused<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        ack: &Ack,
        purpose: Purpose,
        reason: RefusalReason,
    ) -> Result<(), R::Error> {
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        if matches!(reason, RefusalReason::Busy | RefusalReason::Quota) {
            link.retry_at = Some(retry_at(step.now.mono, ack));
            link.backlog = true;
            return Ok(());
        }
        // It goes out again with the next link, the next proof of a mailbox, the
        // next card or the next timed try.
        link.aside.insert(ack.id);
        match (reason, purpose) {
            (RefusalReason::UnknownKey, Purpose::Message(message_id)) => {
                self.seal_to_newer_key(step, &message_id)?;
            }
            // A receipt is never sealed again (DLV-14).
            (RefusalReason::UnknownKey | RefusalReason::Malformed, Purpose::Receipt) => {
                self.drop_envelope(step, ack.id);
            }
            _ => {}
        }
        Ok(())
    }

    /// Somebody does not carry an envelope. Whatever they say about its contents
    /// counts for nothing: they cannot know.
    fn spread_refused<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
        ack: &Ack,
        purpose: Purpose,
        reason: RefusalReason,
    ) -> Result<(), R::Error> {
        let Some(contact) = self.links.get(&id).map(|link| link.peer.identity) else {
            return Ok(());
        };
        match (reason, purpose) {
            (RefusalReason::Busy | RefusalReason::Quota, _) => {
                self.spread_later(id, ack.id, retry_at(step.now.mono, ack));
            }
            (RefusalReason::Expired, Purpose::Message(message_id)) => {
                let offset_ms = offset_ms(ack.now, step.now.wall);
                step.ready.events.push(Event::ClockDiffers { contact, offset_ms });
                self.seal_for_clock(step, &message_id, &ack.id, ack.now)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// They asked to be left alone as a stranger; now they have accepted us.
    pub(crate) fn let_links_take_again(&mut self, identity: &IdentityKey) {
        for link in self.links.values_mut().filter(|link| link.peer.identity == *identity) {
            link.retry_at = None;
        }
    }

    /// Whatever is held for this contact may be handed over from now on, also what
    /// was set aside.
    pub(crate) fn look_again_for(&mut self, identity: &IdentityKey) {
        for link in self.links.values_mut().filter(|link| link.peer.identity == *identity) {
            link.look_again();
        }
    }
}

/// When a refusal's hint says to come again.
fn retry_at(now: MonoMillis, ack: &Ack) -> MonoMillis {
    let seconds = match ack.retry_after_s {
        0 => RETRY_AFTER_S,
        hint => hint.min(RETRY_AFTER_S_MAX),
    };
    now + Duration::from_secs(u64::from(seconds))
}

impl Link {
    /// Whether the peer has proved the mailbox that an envelope is for.
    fn may_take(&self, held: &HeldEnvelope) -> bool {
        self.proved.contains(&held.envelope.header().mailbox)
    }

    pub(crate) fn has_room(&self, held: &HeldEnvelope) -> bool {
        self.has_room_for(held, 0, 0)
    }

    /// Whether one more envelope fits in the window after these.
    // req: GSP-16
    fn has_room_for(&self, held: &HeldEnvelope, envelopes: usize, bytes: usize) -> bool {
        let len = held.envelope.as_bytes().len();
        self.unacked.len() + envelopes < self.unacked_max
            && self.unacked_bytes + bytes + len <= UNACKED_BYTES_MAX
    }

    pub(crate) fn hand_over<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        held: &HeldEnvelope,
        handing: Handing,
    ) {
        let (purpose, len) = (held.purpose, held.envelope.as_bytes().len());
        self.unacked.insert(held.envelope.id(), Unacked { purpose, len, handing });
        self.unacked_bytes += len;
        let (ttl, stamp) = match handing {
            // The recipient needs neither: it carries nothing further (GSP-18).
            Handing::Direct => {
                (u8::from(tortalk_model::deviate!(direct_ttl_1)), StampBytes::default())
            }
            Handing::Spread { ttl } => {
                (ttl, StampBytes::try_from(&held.stamp[..]).unwrap_or_default())
            }
        };
        let msg = Msg { ttl, stamp, envelope: EnvelopeBytes::from(&held.envelope) };
        step.ready.links.push(LinkAction::Send(self.id, Frame::Msg(msg)));
    }
}
