//! Handing envelopes over on links, and what peers answer.

use core::time::Duration;
use std::collections::BTreeSet;

use tortalk_model::{EnvelopeId, IdentityKey};
use tortalk_wire::{Ack, AckResult, EnvelopeBytes, Frame, Msg, Push, RefusalReason, StampBytes};

use crate::delivery::DeliveryState;
use crate::input::LinkId;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::LinkAction;
use crate::sending::wait_after;
use crate::write::{Evidence, HeldEnvelope, Purpose, Write};

/// A refusal without a hint, or with one beyond reason, waits this long.
const RETRY_AFTER_S: u32 = 60;
const RETRY_AFTER_S_MAX: u32 = 24 * 3600;

impl Mesh {
    /// Hands a new envelope to its recipient at once, if a link is ready for it;
    /// otherwise a link that comes, or has room later, takes it from the store.
    pub(crate) fn offer<R: Read>(&mut self, step: &mut Step<'_, R>, held: &HeldEnvelope) {
        let mut links = self.links.values_mut();
        let Some(link) =
            links.find(|link| link.peer.identity == held.contact && link.takes_envelopes())
        else {
            return;
        };
        let len = held.envelope.as_bytes().len();
        let ready = !link.backlog && link.retry_at.is_none() && link.has_room(len);
        if ready && link.proved.contains(&held.envelope.header().mailbox) {
            link.hand_over(step, held);
        } else {
            link.backlog = true;
        }
    }

    /// The peer is ready to take envelopes.
    pub(crate) fn pull(&mut self, id: LinkId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.pulled = true;
        link.pull_unanswered = true;
        link.backlog = true;
        link.cursor = None;
    }

    /// Hands over from the store what links have room for; answers pulls.
    pub(crate) fn hand_over_backlogs<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        let ids: Vec<LinkId> = self.links.keys().copied().collect();
        for id in ids {
            self.hand_over_backlog(step, id)?;
        }
        Ok(())
    }

    fn hand_over_backlog<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: LinkId,
    ) -> Result<(), R::Error> {
        let Some(link) = self.links.get(&id) else { return Ok(()) };
        let waits = link.retry_at.is_some();
        if !link.takes_envelopes() || !(link.backlog || link.pull_unanswered) {
            return Ok(());
        }
        let identity = link.peer.identity;
        let accepted = self.is_accepted(&identity);
        // What is unacknowledged on another link of this peer is on its way.
        let links = self.links.values().filter(|link| link.peer.identity == identity);
        let on_its_way: BTreeSet<EnvelopeId> =
            links.flat_map(|link| link.unacked.keys().copied()).collect();
        let mut batch = Vec::new();
        let mut more = false;
        if accepted && !waits && link.backlog {
            let room = link.unacked_max.saturating_sub(link.unacked.len());
            let limit = room + 1 + on_its_way.len();
            let mut pending = step.store.pending_for(&identity, link.cursor, limit)?;
            pending.retain(|envelope_id| !on_its_way.contains(envelope_id));
            more = pending.len() > room;
            for envelope_id in pending.into_iter().take(room) {
                if let Some(held) = step.store.envelope(&envelope_id)? {
                    batch.push(held);
                }
            }
        }
        let Some(link) = self.links.get_mut(&id) else { return Ok(()) };
        batch.retain(|held| link.proved.contains(&held.envelope.header().mailbox));
        let answer = core::mem::take(&mut link.pull_unanswered);
        if answer {
            let count = u32::try_from(batch.len()).unwrap_or(u32::MAX);
            step.ready.links.push(LinkAction::Send(id, Frame::Push(Push { count })));
        }
        for held in &batch {
            if !link.has_room(held.envelope.as_bytes().len()) {
                more = true;
                break;
            }
            link.hand_over(step, held);
        }
        if !waits {
            link.backlog = more;
        }
        if answer {
            step.ready.links.push(LinkAction::Send(id, Frame::End));
        }
        Ok(())
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
        // req: GSP-15
        let Some((purpose, len)) = link.unacked.remove(&ack.id) else { return Ok(()) };
        link.unacked_bytes -= len;
        match ack.result {
            AckResult::Stored | AckResult::Duplicate => self.handed(step, peer, ack.id, purpose),
            AckResult::Refused(reason) => self.refused(step, id, ack, purpose, reason),
        }
    }

    fn handed<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        peer: IdentityKey,
        envelope_id: EnvelopeId,
        purpose: Purpose,
    ) -> Result<(), R::Error> {
        let message_id = match purpose {
            Purpose::Receipt => {
                step.ready.writes.push(Write::DropEnvelope(envelope_id));
                return Ok(());
            }
            Purpose::Message(message_id) => message_id,
        };
        step.ready.writes.push(Write::HandedOver { peer, envelope_id });
        let Some(mut message) = step.store.outgoing(&message_id)? else { return Ok(()) };
        if DeliveryState::of(&message).is_final() {
            return Ok(());
        }
        let first = !message.evidence.iter().any(
            |evidence| matches!(evidence, Evidence::Handed { peer: other, .. } if *other == peer),
        );
        let attempts = message.attempts;
        // req: GSP-19
        let at = step.now.wall.saturating_add(wait_after(attempts));
        self.note_due(Some(at));
        step.ready.writes.push(Write::NextTry { message_id, attempts, at: Some(at) });
        if first {
            let evidence = Evidence::Handed { peer, at: step.now.wall };
            message.evidence.push(evidence.clone());
            step.ready.writes.push(Write::AddEvidence { message_id, evidence });
            let state = DeliveryState::of(&message);
            self.state_changed(step, message_id, message.contact, state);
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
        match (reason, purpose) {
            (RefusalReason::UnknownKey, Purpose::Message(message_id)) => {
                self.seal_to_newer_key(step, &message_id)?;
            }
            // A receipt is never sealed again (DLV-14).
            (RefusalReason::UnknownKey | RefusalReason::Malformed, Purpose::Receipt) => {
                step.ready.writes.push(Write::DropEnvelope(ack.id));
            }
            (RefusalReason::Busy | RefusalReason::Quota, _) => {
                let seconds = match ack.retry_after_s {
                    0 => RETRY_AFTER_S,
                    hint => hint.min(RETRY_AFTER_S_MAX),
                };
                if let Some(link) = self.links.get_mut(&id) {
                    let wait = Duration::from_secs(u64::from(seconds));
                    link.retry_at = Some(step.now.mono + wait);
                }
            }
            // It stays in the store and goes out again with the next link, the
            // next proof of a mailbox or the next timed try.
            _ => {}
        }
        Ok(())
    }

    /// The links of this peer look into the store again.
    pub(crate) fn backlog_for(&mut self, identity: &IdentityKey) {
        for link in self.links.values_mut().filter(|link| link.peer.identity == *identity) {
            link.backlog = true;
            link.cursor = None;
        }
    }

    /// An envelope was replaced: its acknowledgement no longer matters.
    pub(crate) fn forget_unacked(&mut self, envelope_id: &EnvelopeId) {
        for link in self.links.values_mut() {
            if let Some((_, len)) = link.unacked.remove(envelope_id) {
                link.unacked_bytes -= len;
            }
        }
    }
}

impl crate::links::Link {
    fn hand_over<R: Read>(&mut self, step: &mut Step<'_, R>, held: &HeldEnvelope) {
        let len = held.envelope.as_bytes().len();
        self.cursor = Some(held.envelope.id());
        self.unacked.insert(held.envelope.id(), (held.purpose, len));
        self.unacked_bytes += len;
        let msg = Msg {
            // The recipient needs neither: it carries nothing further (GSP-18).
            ttl: 0,
            stamp: StampBytes::default(),
            envelope: EnvelopeBytes::from(&held.envelope),
        };
        step.ready.links.push(LinkAction::Send(self.id, Frame::Msg(msg)));
    }
}
