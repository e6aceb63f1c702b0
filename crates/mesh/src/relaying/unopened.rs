//! Envelopes for us that cannot be opened yet: kept raw, and tried again.

use std::collections::VecDeque;

use core::time::Duration;

use tortalk_model::envelope::Envelope;
use tortalk_model::limits::relay::{UNOPENED_BYTES_MAX, UNOPENED_MAX};
use tortalk_model::{EnvelopeId, MailboxKey, MonoMillis, RelayKey};

use super::fetching::Fate;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::sending::remember_until;
use crate::write::Write;

/// When openings for strangers are possible again.
const BUDGET_AFTER: Duration = Duration::from_secs(1);

/// What is kept, oldest first.
#[derive(Default)]
pub(super) struct Unopened {
    kept: VecDeque<Kept>,
    bytes: usize,
    /// Those that wait for nothing but the budget for strangers.
    for_budget: VecDeque<EnvelopeId>,
    /// Requests for which there was no place.
    for_place: VecDeque<EnvelopeId>,
}

struct Kept {
    id: EnvelopeId,
    /// 0 until it was read.
    len: usize,
    mailbox: Option<MailboxKey>,
    /// From where it came, if that was in this run.
    relay: Option<RelayKey>,
}

impl Unopened {
    pub(super) fn load(ids: Vec<EnvelopeId>) -> Self {
        let kept = ids.into_iter().map(|id| Kept { id, len: 0, mailbox: None, relay: None });
        Self { kept: kept.collect(), ..Self::default() }
    }

    fn note(&mut self, envelope: &Envelope, relay: Option<RelayKey>) {
        let (id, len) = (envelope.id(), envelope.as_bytes().len());
        let mailbox = Some(envelope.header().mailbox);
        match self.kept.iter_mut().find(|kept| kept.id == id) {
            Some(kept) if kept.len > 0 => return,
            Some(kept) => (kept.len, kept.mailbox) = (len, mailbox),
            None => self.kept.push_back(Kept { id, len, mailbox, relay }),
        }
        self.bytes += len;
    }

    /// Notes for what it waits.
    fn wait_for(&mut self, id: EnvelopeId, fate: Fate) {
        let queue = match fate {
            Fate::NoBudget => &mut self.for_budget,
            Fate::NoPlace => &mut self.for_place,
            Fate::NoKey | Fate::Done => return,
        };
        if !queue.contains(&id) {
            queue.push_back(id);
        }
    }

    fn forget(&mut self, id: &EnvelopeId) {
        self.for_budget.retain(|waiting| waiting != id);
        self.for_place.retain(|waiting| waiting != id);
        if let Some(index) = self.kept.iter().position(|kept| kept.id == *id) {
            let gone = self.kept.remove(index);
            self.bytes -= gone.map_or(0, |gone| gone.len);
        }
    }

    /// The one that goes when there is no room: the oldest, those of strangers
    /// before those of contacts.
    fn surplus(&self, intro: &MailboxKey) -> Option<EnvelopeId> {
        if self.kept.len() <= UNOPENED_MAX && self.bytes <= UNOPENED_BYTES_MAX {
            return None;
        }
        let strangers = self.kept.iter().find(|kept| kept.mailbox.as_ref() == Some(intro));
        strangers.or_else(|| self.kept.front()).map(|kept| kept.id)
    }
}

impl Mesh {
    /// Keeps what could not be opened, within bounds.
    // req: RLC-10
    pub(super) fn keep_unopened<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        envelope: &Envelope,
        fate: Fate,
    ) {
        if fate == Fate::Done || tortalk_model::deviate!(drop_unopened) {
            return;
        }
        let until = remember_until(envelope.header().expires_at, step.now.wall);
        let envelope_id = envelope.id();
        let envelope_kept = Box::new(envelope.clone());
        step.ready.writes.push(Write::PutUnopened { envelope: envelope_kept, until });
        let unopened = &mut self.relays.unopened;
        unopened.note(envelope, Some(relay));
        unopened.wait_for(envelope_id, fate);
        let intro = self.keyring.intro_mailbox.public();
        while let Some(id) = unopened.surplus(&intro) {
            unopened.forget(&id);
            step.ready.writes.push(Write::DropUnopened(id));
        }
    }

    /// Tries everything that was kept: after a start, and with other keys.
    pub(crate) fn open_what_was_kept<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        self.relays.changed = true;
        let ids: Vec<EnvelopeId> = self.relays.unopened.kept.iter().map(|kept| kept.id).collect();
        for id in ids {
            self.open_kept(step, id)?;
        }
        Ok(())
    }

    /// Tries what waits for the budget for strangers, as far as that goes.
    pub(crate) fn open_within_budget<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        for _ in 0..self.relays.unopened.for_budget.len() {
            let Some(id) = self.relays.unopened.for_budget.pop_front() else { break };
            if self.open_kept(step, id)? == Fate::NoBudget {
                break;
            }
        }
        Ok(())
    }

    /// A request has been decided on: another that came through a relay may have
    /// its place.
    // req: RLC-10
    pub(crate) fn place_was_freed(&mut self) {
        let Unopened { for_budget, for_place, .. } = &mut self.relays.unopened;
        for_budget.append(for_place);
        self.relays.changed = true;
    }

    pub(super) fn wake_for_budget(&mut self, now: MonoMillis) {
        if !self.relays.unopened.for_budget.is_empty() {
            self.relays.wake(now + BUDGET_AFTER);
        }
    }

    fn open_kept<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        id: EnvelopeId,
    ) -> Result<Fate, R::Error> {
        let Some(envelope) = step.store.unopened_envelope(&id)? else {
            // It has expired, or comes with the writes of this step.
            return Ok(Fate::Done);
        };
        self.relays.unopened.note(&envelope, None);
        // After a start nobody knows from where it came; one relay is as good as
        // another to count it under.
        let kept = self.relays.unopened.kept.iter().find(|kept| kept.id == id);
        let relay = kept.and_then(|kept| kept.relay).or_else(|| self.relays.own.first().copied());
        let relay = relay.unwrap_or(RelayKey::from_bytes([0; 32]));
        let fate = self.take_in_fetched(step, relay, &envelope)?;
        self.relays.unopened.wait_for(id, fate);
        if fate == Fate::Done {
            self.relays.unopened.forget(&id);
            step.ready.writes.push(Write::DropUnopened(id));
        }
        Ok(fate)
    }
}
