//! What is missing of a contact's numbered messages, and asking for it
//! (spec/delivery.md, section 4).

use core::time::Duration;

use tortalk_keys::Signature;
use tortalk_model::limits::{
    CHAIN_GAP_SHOWN_AFTER, CHAIN_GAPS_MAX, CHAINS_EARLIER_MAX, RESEND_ANSWERED_AGAIN_AFTER,
    RESEND_ASKED_AFTER, RESEND_ASKED_AGAIN_AFTER, RESEND_MESSAGES_MAX,
};
use tortalk_model::{ChainId, IdentityKey, MessageId, UnixMillis};
use tortalk_seal::{Body, OpenedMessage, ResendRequest, SignedMessage};

use crate::delivery::DeliveryState;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::Event;
use crate::write::{Evidence, OutgoingMessage, Purpose, Write};

/// A contact's chain as far as it came here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerChain {
    /// Which chain.
    pub chain_id: ChainId,
    /// The number after the largest that came.
    pub next: u64,
    /// What did not come of those before, ascending; at most 64 ranges.
    pub missing: Vec<MissingRange>,
    /// Our last resend request.
    pub asked: Option<MessageId>,
    /// When that was made, by our clock.
    pub asked_at: Option<UnixMillis>,
    /// Chains that came before this one, the latest last; at most eight.
    pub earlier: Vec<ChainId>,
}

/// Numbers of messages that did not come, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingRange {
    /// The first.
    pub from: u64,
    /// The last.
    pub to: u64,
    /// When it was noticed, by our clock.
    pub since: UnixMillis,
}

impl PeerChain {
    /// A chain of which `counter` is the first message that came, after those.
    fn begin(chain_id: ChainId, earlier: Vec<ChainId>, counter: u64, now: UnixMillis) -> Self {
        let mut chain =
            Self { chain_id, next: 1, missing: Vec::new(), asked: None, asked_at: None, earlier };
        // Further back it is not a gap but a past that we do not know: the contact
        // was one before, and was removed.
        if counter > RESEND_MESSAGES_MAX as u64 {
            chain.next = counter;
        }
        chain.note(counter, now);
        chain
    }

    fn note(&mut self, counter: u64, now: UnixMillis) {
        if counter >= self.next {
            if counter > self.next {
                let (from, to) = (self.next, counter - 1);
                self.missing.push(MissingRange { from, to, since: now });
            }
            self.next = counter.saturating_add(1);
        } else if let Some(at) =
            self.missing.iter().position(|range| (range.from..=range.to).contains(&counter))
        {
            let range = self.missing.remove(at);
            let before = MissingRange { to: counter.wrapping_sub(1), ..range };
            let after = MissingRange { from: counter.saturating_add(1), ..range };
            let parts = [before, after].into_iter().filter(|part| part.from <= part.to);
            let _none = self.missing.splice(at..at, parts.filter(|part| part.from >= range.from));
        }
        // req: DLV-18
        if self.missing.len() > CHAIN_GAPS_MAX && !tortalk_model::deviate!(skip_dlv_18) {
            self.missing.remove(0);
        }
    }

    /// This chain and those before it, for one that takes its place.
    fn replaced(mut self) -> Vec<ChainId> {
        self.earlier.push(self.chain_id);
        if self.earlier.len() > CHAINS_EARLIER_MAX {
            self.earlier.remove(0);
        }
        self.earlier
    }

    /// How many messages have been missing for this time.
    pub fn missing_for(&self, age: Duration, now: UnixMillis) -> u64 {
        self.old(age, now).map(|range| (range.to - range.from).saturating_add(1)).sum()
    }

    fn old(&self, age: Duration, now: UnixMillis) -> impl Iterator<Item = &MissingRange> {
        self.missing.iter().filter(move |range| has_passed(range.since, age, now))
    }

    /// What is to be asked for now: as much as one answer may bring.
    fn to_ask(&self, now: UnixMillis) -> Option<ResendRequest> {
        let mut old = self.old(RESEND_ASKED_AFTER, now);
        let first = old.next()?;
        let most = first.from.saturating_add(RESEND_MESSAGES_MAX as u64 - 1);
        let last = old.filter(|range| range.from <= most).last().unwrap_or(first);
        let (chain_id, from, to) = (self.chain_id, first.from, last.to.min(most));
        Some(ResendRequest { chain_id, from, to })
    }
}

/// Whether this time has gone by; by a clock that was set back it has.
pub(crate) fn has_passed(since: UnixMillis, time: Duration, now: UnixMillis) -> bool {
    now >= since.saturating_add(time) || now < since
}

impl Mesh {
    /// A message of a contact's chain has come, now or before.
    pub(crate) fn note_chain<R: Read>(&mut self, step: &mut Step<'_, R>, opened: &OpenedMessage) {
        let (chain_id, counter) = (opened.chain_id(), opened.counter());
        // A visible message with the number 0 is in no chain.
        if !opened.body().is_user_visible() || counter == 0 {
            return;
        }
        let Some(known) = self.contacts.get_mut(&opened.sender()) else { return };
        let now = step.now.wall;
        let before = known.contact.their_chain.clone();
        // req: DLV-23
        if before.as_ref().is_some_and(|chain| chain.earlier.contains(&chain_id))
            && !tortalk_model::deviate!(skip_dlv_23)
        {
            return;
        }
        let chain = match before.clone() {
            Some(mut chain) if chain.chain_id == chain_id => {
                chain.note(counter, now);
                chain
            }
            Some(other) => PeerChain::begin(chain_id, other.replaced(), counter, now),
            None => PeerChain::begin(chain_id, Vec::new(), counter, now),
        };
        if before.as_ref() == Some(&chain) {
            return;
        }
        known.contact.their_chain = Some(chain);
        step.ready.writes.push(Write::PutContact(Box::new(known.contact.clone())));
        let sender = opened.sender();
        if known.gap_shown > 0 {
            self.show_gap(step, &sender);
        }
    }

    /// Says how much of a contact's chain is missing, when that has changed.
    fn show_gap<R: Read>(&mut self, step: &mut Step<'_, R>, contact: &IdentityKey) {
        let Some(known) = self.contacts.get_mut(contact) else { return };
        let chain = known.contact.their_chain.as_ref();
        // req: DLV-21
        let missing =
            chain.map_or(0, |chain| chain.missing_for(CHAIN_GAP_SHOWN_AFTER, step.now.wall));
        if missing != known.gap_shown {
            known.gap_shown = missing;
            step.ready.events.push(Event::Gap { contact: *contact, missing });
        }
    }

    /// Shows gaps that have become old enough, and asks for what is missing.
    pub(crate) fn look_at_chains<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        let gaps = |known: &crate::contacts::Known| {
            let chain = known.contact.their_chain.as_ref();
            chain.is_some_and(|chain| !chain.missing.is_empty())
        };
        let with_gaps = self.contacts.iter().filter(|(_, known)| gaps(known));
        for contact in with_gaps.map(|(identity, _)| *identity).collect::<Vec<_>>() {
            self.show_gap(step, &contact);
            self.ask_again_for(step, &contact)?;
        }
        Ok(())
    }

    fn ask_again_for<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        contact: &IdentityKey,
    ) -> Result<(), R::Error> {
        let now = step.now.wall;
        let chain = self.contacts.get(contact).and_then(|known| known.contact.their_chain.clone());
        let Some(mut chain) = chain else { return Ok(()) };
        let Some(request) = chain.to_ask(now) else { return Ok(()) };
        let waits = |at| !has_passed(at, RESEND_ASKED_AGAIN_AFTER, now);
        // req: DLV-22
        if chain.asked_at.is_some_and(waits) {
            return Ok(());
        }
        if !self.is_accepted(contact) || !self.can_seal(contact, step.now) {
            return Ok(());
        }
        // One that is still on its way asks for no less.
        if let Some(asked) = chain.asked
            && let Some(message) = step.store.outgoing(&asked)?
            && !DeliveryState::of(&message).is_final()
        {
            return Ok(());
        }
        let Some((asked, _)) = self.compose(step, contact, Body::ResendRequest(request)) else {
            return Ok(());
        };
        (chain.asked, chain.asked_at) = (Some(asked), Some(now));
        if let Some(known) = self.contacts.get_mut(contact) {
            known.contact.their_chain = Some(chain);
            step.ready.writes.push(Write::PutContact(Box::new(known.contact.clone())));
        }
        Ok(())
    }

    /// A contact lacks messages of ours: they go out once more.
    pub(crate) fn resend<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        contact: &IdentityKey,
        request: ResendRequest,
    ) -> Result<(), R::Error> {
        let now = step.now.mono;
        let Some(known) = self.contacts.get_mut(contact) else { return Ok(()) };
        let lately = known.resent_at.is_some_and(|at| now < at + RESEND_ANSWERED_AGAIN_AFTER);
        // req: DLV-19
        if lately && !tortalk_model::deviate!(skip_dlv_19) {
            return Ok(());
        }
        known.resent_at = Some(now);
        // What was not taken of the answer before gives place to this one.
        for id in core::mem::take(&mut known.resent) {
            if step.store.holds(&id)? {
                self.purge_own(step, id)?;
            }
        }
        let ResendRequest { chain_id, from, to } = request;
        let mut sent = 0;
        for message_id in step.store.written(contact, from, to)? {
            // req: DLV-17
            if sent >= RESEND_MESSAGES_MAX {
                break;
            }
            let Some(message) = step.store.outgoing(&message_id)? else { continue };
            let signature = Signature::from_bytes(message.signature);
            let signed = SignedMessage::from_stored(message.signed.clone(), signature);
            let Some(signed) = signed.ok().filter(|s| s.fields().chain_id == chain_id) else {
                continue;
            };
            sent += 1;
            self.send_once_more(step, message, &signed)?;
        }
        Ok(())
    }

    fn send_once_more<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message: OutgoingMessage,
        signed: &SignedMessage,
    ) -> Result<(), R::Error> {
        if !DeliveryState::of(&message).is_final() {
            return self.try_message_again(step, message);
        }
        if message.evidence.iter().any(|e| matches!(e, Evidence::Cancelled { .. })) {
            return Ok(());
        }
        // There is a receipt, so nothing would end its efforts: it goes as receipts
        // go, until somebody has it or it expires.
        if let Some(held) = self.seal_to_contact(step, &message.contact, signed, Purpose::Receipt) {
            if let Some(known) = self.contacts.get_mut(&message.contact) {
                known.resent.push(held.envelope.id());
            }
            self.hold(step, held);
        }
        Ok(())
    }

    /// Another sealing key of a contact is known: what was tried in vain, or was
    /// sealed to keys that were lost with its store, is sealed to that.
    pub(crate) fn seal_outdated<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        contact: &IdentityKey,
    ) -> Result<(), R::Error> {
        let Some(known) = self.contacts.get_mut(contact) else { return Ok(()) };
        let anew = core::mem::take(&mut known.store_is_new);
        let request = known.contact.requested;
        for message_id in step.store.unfinished(contact)? {
            if Some(message_id) == request {
                continue;
            }
            let Some(message) = step.store.outgoing(&message_id)? else { continue };
            let Some(held) = self.held_for(step, &message)? else { continue };
            let in_vain = anew || message.attempts > 0;
            // req: DLV-20
            if in_vain && self.is_outdated(step.now, &held) && !tortalk_model::deviate!(skip_dlv_20)
            {
                self.seal_again(step, message);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn chain(counters: &[u64]) -> PeerChain {
        let id = ChainId::from_bytes([1; 8]);
        let mut chain = PeerChain::begin(id, Vec::new(), counters[0], UnixMillis(0));
        for &counter in &counters[1..] {
            chain.note(counter, UnixMillis(0));
        }
        chain
    }

    fn ranges(chain: &PeerChain) -> Vec<(u64, u64)> {
        chain.missing.iter().map(|range| (range.from, range.to)).collect()
    }

    #[test]
    fn numbers_in_any_order_leave_what_is_missing() {
        assert_eq!(ranges(&chain(&[1, 2, 3])), []);
        assert_eq!(ranges(&chain(&[3])), [(1, 2)]);
        assert_eq!(ranges(&chain(&[3, 1])), [(2, 2)]);
        assert_eq!(ranges(&chain(&[3, 1, 2])), []);
        assert_eq!(ranges(&chain(&[1, 10])), [(2, 9)]);
        assert_eq!(ranges(&chain(&[1, 10, 5])), [(2, 4), (6, 9)]);
        assert_eq!(ranges(&chain(&[1, 10, 5, 2, 9, 5])), [(3, 4), (6, 8)]);
        assert_eq!(ranges(&chain(&[1, 10, 5, 12])), [(2, 4), (6, 9), (11, 11)]);
        assert_eq!(ranges(&chain(&[5000, 5002])), [(5001, 5001)]);
        assert_eq!(ranges(&chain(&[u64::MAX, u64::MAX])), []);
        let mut counters: Vec<u64> = (1..=200).step_by(2).collect();
        assert_eq!(ranges(&chain(&counters)).len(), 64);
        counters.extend((2..=200).step_by(2));
        assert_eq!(ranges(&chain(&counters)), []);
    }

    #[test]
    fn what_is_asked_for_fits_in_one_answer() {
        let asked = |counters: &[u64]| {
            let request = chain(counters).to_ask(UnixMillis(10 * MINUTE))?;
            Some((request.from, request.to))
        };
        assert_eq!(asked(&[1, 2]), None);
        assert_eq!(asked(&[1, 4]), Some((2, 3)));
        assert_eq!(asked(&[1, 4, 9]), Some((2, 8)));
        assert_eq!(asked(&[1, 4, 600]), Some((2, 257)));
        assert_eq!(asked(&[1, 400, 900]), Some((2, 257)));
        assert_eq!(chain(&[1, 4]).to_ask(UnixMillis(10 * MINUTE - 1)), None);
        assert_eq!(chain(&[1, 4]).missing_for(CHAIN_GAP_SHOWN_AFTER, UnixMillis(MINUTE)), 2);
        assert_eq!(chain(&[1, 4]).missing_for(CHAIN_GAP_SHOWN_AFTER, UnixMillis(MINUTE - 1)), 0);
    }
}
