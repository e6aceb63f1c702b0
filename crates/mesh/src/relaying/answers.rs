//! What relays answer about envelopes that were left there.

use core::time::Duration;

use tortalk_keys::Signature;
use tortalk_keys::relay_proof::receipt::{self, ReceiptClaim};
use tortalk_model::limits::relay::DEPOSIT_TIMEOUT;
use tortalk_model::{EnvelopeId, RelayKey, UnixMillis};
use tortalk_seal::SignedMessage;

use super::{Left, StorageProof};
use crate::clocks::offset_ms;
use crate::delivery::DeliveryState;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::Event;
use crate::relay::{DepositRefusal, RelayAction, RelayDown, StorageReceipt};
use crate::retry::is_acknowledged;
use crate::write::{Evidence, HeldEnvelope, Purpose, Write};

/// A refusal without a hint, or with one beyond reason, waits this long.
const RETRY_AFTER_S: u32 = 60;
const RETRY_AFTER_S_MAX: u32 = 24 * 3600;

/// Why an envelope was not taken, and what the relay says beside it.
pub(super) struct Refusal {
    pub(super) reason: DepositRefusal,
    pub(super) retry_after_s: u32,
    pub(super) now: UnixMillis,
}

impl Mesh {
    /// A storage receipt came.
    pub(super) fn stored_at_relay<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        word: &StorageReceipt,
    ) -> Result<(), R::Error> {
        let claim = ReceiptClaim { time: word.time, store_until: word.store_until, ids: &word.ids };
        let signature = Signature::from_bytes(word.signature);
        // req: RLY-26
        if receipt::verify(&relay, &claim, &signature).is_err()
            && !tortalk_model::deviate!(skip_rly_26)
        {
            return Ok(());
        }
        for id in &word.ids {
            // What was never left there is nobody's news.
            let now = step.now.mono;
            let left = self.relays.up(&relay).and_then(|known| known.answered(id, now));
            let Some(left) = left else { continue };
            self.relays.leaving.stored(&left.of, &relay);
            step.ready.writes.push(Write::LeftAtRelay(left.of));
            if let Purpose::Message(message_id) = left.purpose
                && let Some(mut message) = step.store.outgoing(&message_id)?
            {
                let before = DeliveryState::of(&message);
                let known = |evidence: &Evidence| match evidence {
                    Evidence::AtRelay { relay: other, .. } => *other == relay,
                    _ => false,
                };
                if before.is_final() || message.evidence.iter().any(known) {
                    continue;
                }
                if !is_acknowledged(&message) {
                    self.try_after_ack(step, &message);
                }
                // req: DLV-15, DLV-16
                let evidence = Evidence::AtRelay {
                    relay,
                    at: step.now.wall,
                    store_until: word.store_until,
                    proof: StorageProof { envelope_id: *id, receipt: word.clone() }.to_bytes(),
                };
                message.evidence.push(evidence.clone());
                step.ready.writes.push(Write::AddEvidence { message_id, evidence });
                let state = DeliveryState::of(&message);
                if state != before {
                    self.state_changed(step, message_id, message.contact, state);
                }
            }
        }
        Ok(())
    }

    /// A relay did not take an envelope.
    pub(super) fn refused_by_relay<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        id: EnvelopeId,
        refusal: Refusal,
    ) -> Result<(), R::Error> {
        let now = step.now.mono;
        let left = self.relays.up(&relay).and_then(|known| known.answered(&id, now));
        let Some(left) = left else { return Ok(()) };
        match refusal.reason {
            // req: RLC-16
            DepositRefusal::Busy | DepositRefusal::NoRoom | DepositRefusal::Full => {
                let seconds = match refusal.retry_after_s {
                    0 => RETRY_AFTER_S,
                    hint => {
                        hint.min(RETRY_AFTER_S_MAX)
                            * u32::from(!tortalk_model::deviate!(leave_again_soon))
                    }
                };
                let from = now + Duration::from_secs(u64::from(seconds));
                self.relays.leaving.put_off(&left.of, &relay, from, now);
            }
            DepositRefusal::Expiry => {
                let offset_ms = offset_ms(refusal.now, step.now.wall);
                step.ready.events.push(Event::RelayClockDiffers { relay, offset_ms });
                let sealed = self.seal_by_clock_of(step, &left, refusal.now)?;
                match sealed {
                    Some(held) => self.leave_resealed(step, relay, left, held),
                    None => self.relays.leaving.given_up(&left.of, &relay, now),
                }
            }
            // Other bytes will not come of it.
            DepositRefusal::Malformed => self.relays.leaving.given_up(&left.of, &relay, now),
        }
        Ok(())
    }

    /// Ends the connections with relays that leave something unanswered; it is left
    /// there again later, and at the next relay at once.
    // req: RLC-28
    pub(super) fn let_silent_relays_go<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let now = step.now.mono;
        for relay in self.relays.known.keys().copied().collect::<Vec<_>>() {
            let Some(known) = self.relays.up(&relay) else { continue };
            let limit = |left: &Left| left.since + DEPOSIT_TIMEOUT;
            let overdue = known.unanswered.values().filter(|left| now >= limit(left));
            let overdue: Vec<EnvelopeId> = overdue.map(|left| left.of).collect();
            if overdue.is_empty() {
                if let Some(next) = known.unanswered.values().map(limit).min() {
                    self.relays.wake(next);
                }
                continue;
            }
            known.disconnect(step, relay);
            let from = now + Duration::from_secs(u64::from(RETRY_AFTER_S));
            for id in overdue {
                self.relays.leaving.put_off(&id, &relay, from, now);
            }
            self.relays.leaving.lost(&relay);
            step.ready.events.push(Event::RelayDown { relay, why: RelayDown::Unreachable });
        }
    }

    /// Seals a message for one relay, with an expiry in that relay's clock. The
    /// envelope that is held stays as it is: what a relay says of the time changes
    /// nothing but what is left there.
    // req: RLC-17
    fn seal_by_clock_of<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        left: &Left,
        relay_now: UnixMillis,
    ) -> Result<Option<HeldEnvelope>, R::Error> {
        let Purpose::Message(message_id) = left.purpose else { return Ok(None) };
        let message = step.store.outgoing(&message_id)?;
        let open = message.filter(|message| !DeliveryState::of(message).is_final());
        let (Some(message), false) = (open, left.resealed) else { return Ok(None) };
        let signature = Signature::from_bytes(message.signature);
        let Ok(signed) = SignedMessage::from_stored(message.signed, signature) else {
            return Ok(None);
        };
        Ok(self.seal_by(step, &left.contact, &signed, left.purpose, Some(relay_now)))
    }

    fn leave_resealed<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        relay: RelayKey,
        left: Left,
        held: HeldEnvelope,
    ) {
        let Some(known) = self.relays.up(&relay) else { return };
        let HeldEnvelope { envelope, stamp, .. } = held;
        let len = envelope.as_bytes().len();
        let since = step.now.mono;
        known.note_left(envelope.id(), Left { resealed: true, len, since, ..left });
        step.ready.relays.push(RelayAction::Deposit { relay, envelope, stamp });
    }
}
