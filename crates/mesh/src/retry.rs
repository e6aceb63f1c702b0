//! A message's efforts until there is a receipt: when it is tried again, and when
//! that ends.

use core::time::Duration;

use tortalk_model::limits::{ENVELOPE_LIFE_MAX, RESEAL_FOR, TTL_AGAIN};
use tortalk_model::{MessageId, Now, UnixMillis};

use crate::clocks::STEADY_FOR;
use crate::delivery::DeliveryState;
use crate::mesh::{CommandResult, Mesh, Step};
use crate::read::Read;
use crate::ready::{CommandError, Outcome};
use crate::write::{Evidence, HeldEnvelope, OutgoingMessage, Write};

/// Messages that one tick tries again.
const TRIES_PER_TICK: usize = 256;
/// How long a tick's tries take to be stored and read again.
const NEXT_TRIES_AFTER: Duration = Duration::from_secs(60);
/// An envelope is replaced when less than this is left of its life.
const LIFE_LEFT_MIN: Duration = Duration::from_secs(24 * 3600);
/// Tries come at least so often, and a message that waits is looked at so often.
const DAILY: Duration = Duration::from_secs(24 * 3600);

/// How long after a try that brought no receipt the next one follows (GSP-19).
const fn wait_after(attempts: u32) -> Duration {
    const HOUR: u64 = 3600;
    match attempts {
        0 => Duration::from_secs(HOUR),
        1 => Duration::from_secs(6 * HOUR),
        _ => DAILY,
    }
}

impl Mesh {
    /// Tries again what has had no receipt for long (GSP-19).
    pub(crate) fn try_again<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        let now = step.now.wall;
        if self.next_due.is_none_or(|due| now < due) {
            return Ok(());
        }
        for message_id in step.store.due(now, TRIES_PER_TICK)? {
            if let Some(message) = step.store.outgoing(&message_id)? {
                self.try_message_again(step, message)?;
            }
        }
        // What is written here is read again at the next tick.
        self.next_due = Some(now.saturating_add(NEXT_TRIES_AFTER));
        if let Some(due) = step.store.next_due()?.filter(|due| *due > now) {
            self.next_due = Some(due);
        }
        Ok(())
    }

    pub(crate) fn try_message_again<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message: OutgoingMessage,
    ) -> Result<(), R::Error> {
        let now = step.now.wall;
        let (message_id, contact) = (message.message_id, message.contact);
        if DeliveryState::of(&message).is_final() {
            self.stop_trying(step, &message)?;
            return Ok(());
        }
        let over = now > message.written_at.saturating_add(RESEAL_FOR);
        // A clock that is wrong for a moment must not end anything.
        // req: GSP-37
        if over && (self.clock.is_steady(step.now) || tortalk_model::deviate!(skip_gsp_37)) {
            let evidence = Evidence::GaveUp { at: now };
            step.ready.writes.push(Write::AddEvidence { message_id, evidence });
            self.stop_trying(step, &message)?;
            self.state_changed(step, message_id, contact, DeliveryState::NotConfirmed);
            return Ok(());
        }
        if !self.is_accepted(&contact) {
            // Blocked: nothing goes out, and nothing is forgotten.
            let (attempts, at) = (message.attempts, Some(now.saturating_add(DAILY)));
            step.ready.writes.push(Write::NextTry { message_id, attempts, at });
            return Ok(());
        }
        let held = self.held_for(step, &message)?;
        let acknowledged = is_acknowledged(&message);
        let attempts = message.attempts.saturating_add(u32::from(acknowledged));
        // req: GSP-32
        let fresh = held.filter(|held| {
            (now < self.replace_at(step.now, held) || tortalk_model::deviate!(skip_gsp_32))
                && !self.is_outdated(step.now, held)
        });
        let held = match fresh {
            Some(held) => {
                let envelope_id = held.envelope.id();
                step.ready.writes.push(Write::HandOverAgain { peer: contact, envelope_id });
                self.look_again_for(&contact);
                self.spread_again(step, &held);
                Some(held)
            }
            None => self.seal_again(step, OutgoingMessage { attempts, ..message }),
        };
        let mut at = if acknowledged {
            now.saturating_add(wait_after(attempts))
        } else {
            self.next_look(step.now, held.as_ref())
        };
        if over {
            at = at.min(now.saturating_add(STEADY_FOR));
        }
        self.note_due(Some(at));
        step.ready.writes.push(Write::NextTry { message_id, attempts, at: Some(at) });
        Ok(())
    }

    pub(crate) fn held_for<R: Read>(
        &self,
        step: &Step<'_, R>,
        message: &OutgoingMessage,
    ) -> Result<Option<HeldEnvelope>, R::Error> {
        match message.envelope_id {
            Some(id) => step.store.envelope(&id),
            None => Ok(None),
        }
    }

    /// A peer has stored the message: from now on the tries count.
    pub(crate) fn try_after_ack<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message: &OutgoingMessage,
    ) {
        let (message_id, attempts) = (message.message_id, message.attempts);
        // A later acknowledgement, of a carrier perhaps, puts nothing off.
        // req: GSP-19
        let late = if tortalk_model::deviate!(try_too_late) { 2 } else { 1 };
        let at = step.now.wall.saturating_add(late * wait_after(attempts));
        let at = message.next_try.map_or(at, |before| at.min(before));
        self.note_due(Some(at));
        step.ready.writes.push(Write::NextTry { message_id, attempts, at: Some(at) });
    }

    /// When a message that nobody has acknowledged is to be looked at, by our
    /// clock: when its envelope is to be replaced, or daily while it has none.
    pub(crate) fn next_look(&self, now: Now, held: Option<&HeldEnvelope>) -> UnixMillis {
        let daily = now.wall.saturating_add(DAILY);
        match held {
            Some(held) => self.replace_at(now, held).max(now.wall.saturating_add(NEXT_TRIES_AFTER)),
            None => daily,
        }
    }

    /// When a message that went into another envelope is tried again: no later than
    /// before, if somebody has acknowledged it.
    // req: GSP-19
    pub(crate) fn try_after_sealing(
        &self,
        now: Now,
        message: &OutgoingMessage,
        held: &HeldEnvelope,
    ) -> UnixMillis {
        if !is_acknowledged(message) {
            return self.next_look(now, Some(held));
        }
        let at = now.wall.saturating_add(wait_after(message.attempts));
        message.next_try.map_or(at, |before| at.min(before))
    }

    /// When an envelope that nobody confirmed is to be replaced, by our clock; its
    /// own expiry is by the contact's.
    fn replace_at(&self, now: Now, held: &HeldEnvelope) -> UnixMillis {
        let theirs = held.envelope.header().expires_at.saturating_sub(LIFE_LEFT_MIN);
        let offset_ms = self.their_offset_ms(&held.contact, now);
        let ours = UnixMillis(theirs.0.saturating_add_signed(offset_ms.saturating_neg()));
        ours.min(now.wall.saturating_add(ENVELOPE_LIFE_MAX))
    }

    /// After a start: no try can be due later than an envelope lives, unless our
    /// clock was wrong when that was noted.
    pub(crate) fn check_tries<R: Read>(&mut self, step: &mut Step<'_, R>) -> Result<(), R::Error> {
        self.bring_forward(step, ENVELOPE_LIFE_MAX)
    }

    /// Our clock went back: what was to come soon would come long after.
    pub(crate) fn bring_tries_forward<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
    ) -> Result<(), R::Error> {
        self.bring_forward(step, DAILY)
    }

    /// Notes a try anew where it is due later than `longest` from now.
    // req: GSP-41
    fn bring_forward<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        longest: Duration,
    ) -> Result<(), R::Error> {
        let now = step.now.wall;
        let in_time = step.store.due(now.saturating_add(longest), usize::MAX)?.len();
        let all = step.store.due(UnixMillis(u64::MAX), usize::MAX)?;
        for message_id in all.iter().skip(in_time) {
            let Some(message) = step.store.outgoing(message_id)? else { continue };
            let held = self.held_for(step, &message)?;
            let at = if is_acknowledged(&message) {
                now.saturating_add(wait_after(message.attempts))
            } else {
                self.next_look(step.now, held.as_ref())
            };
            let (message_id, attempts) = (message.message_id, message.attempts);
            step.ready.writes.push(Write::NextTry { message_id, attempts, at: Some(at) });
            self.note_due(Some(at));
        }
        Ok(())
    }

    pub(crate) fn cancel<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message_id: MessageId,
    ) -> Result<CommandResult, R::Error> {
        let Some(message) = step.store.outgoing(&message_id)? else {
            return Ok(Err(CommandError::NoSuchMessage));
        };
        if DeliveryState::of(&message).is_final() {
            return Ok(Ok(Outcome::Done));
        }
        self.give_up(step, &message)?;
        Ok(Ok(Outcome::Done))
    }

    /// Ends the efforts for a message because the user wants that.
    pub(crate) fn give_up<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message: &OutgoingMessage,
    ) -> Result<(), R::Error> {
        let message_id = message.message_id;
        let evidence = Evidence::Cancelled { at: step.now.wall };
        step.ready.writes.push(Write::AddEvidence { message_id, evidence });
        self.stop_trying(step, message)?;
        self.state_changed(step, message_id, message.contact, DeliveryState::Cancelled);
        Ok(())
    }

    /// Nothing more is to be done for a message.
    pub(crate) fn stop_trying<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        m: &OutgoingMessage,
    ) -> Result<(), R::Error> {
        let message_id = m.message_id;
        step.ready.writes.push(Write::NextTry { message_id, attempts: m.attempts, at: None });
        match m.envelope_id {
            Some(envelope_id) => self.purge_own(step, envelope_id),
            None => Ok(()),
        }
    }

    /// A timed try goes round again, to contacts who do not have it yet.
    fn spread_again<R: Read>(&mut self, step: &mut Step<'_, R>, held: &HeldEnvelope) {
        let envelope_id = held.envelope.id();
        // req: REQ-05
        if held.is_for_stranger() {
            return;
        }
        // req: CAR-17
        if held.ttl < TTL_AGAIN && !tortalk_model::deviate!(skip_car_17) {
            step.ready.writes.push(Write::SetTtl { envelope_id, ttl: TTL_AGAIN });
        }
        self.may_be_copied_again(envelope_id);
    }

    pub(crate) fn note_due(&mut self, at: Option<UnixMillis>) {
        self.next_due = [self.next_due, at].into_iter().flatten().min();
    }
}

/// Whether somebody has said that they stored it: a peer, or a relay.
pub(crate) fn is_acknowledged(message: &OutgoingMessage) -> bool {
    let stored = |evidence: &Evidence| {
        matches!(evidence, Evidence::Handed { .. } | Evidence::AtRelay { .. })
    };
    message.evidence.iter().any(stored)
}
