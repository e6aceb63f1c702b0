//! From the user's words to an envelope, and again when that came to nothing.

use core::time::Duration;

use tortalk_keys::{Signature, stamp};
use tortalk_model::entropy;
use tortalk_model::envelope::key_id;
use tortalk_model::limits::{BODY_BYTES_MAX, ENVELOPE_LIFE_MAX, RESEAL_FOR};
use tortalk_model::{IdentityKey, MessageId, Nonce, UnixMillis};
use tortalk_seal::{Body, Draft, Recipient, SealingPublic, SignedMessage, seal};

use crate::contacts::Known;
use crate::delivery::DeliveryState;
use crate::mesh::{CommandResult, Mesh, Step};
use crate::read::Read;
use crate::ready::{CommandError, Event, Outcome};
use crate::write::{Evidence, HeldEnvelope, OutgoingMessage, Purpose, Standing, Write};

/// Messages that one tick tries again.
const TRIES_PER_TICK: usize = 256;
/// An envelope is replaced when less than this is left of its life.
const LIFE_LEFT_MIN: Duration = Duration::from_secs(24 * 3600);

/// How long after a try that brought no receipt the next one follows (GSP-19).
pub(crate) const fn wait_after(attempts: u32) -> Duration {
    const HOUR: u64 = 3600;
    Duration::from_secs(match attempts {
        0 => HOUR,
        1 => 6 * HOUR,
        _ => 24 * HOUR,
    })
}

impl Mesh {
    pub(crate) fn send_text<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        to: IdentityKey,
        text: String,
    ) -> CommandResult {
        if text.is_empty() {
            return Err(CommandError::TextEmpty);
        }
        if text.len() > BODY_BYTES_MAX {
            return Err(CommandError::TextTooLong { len: text.len(), limit: BODY_BYTES_MAX });
        }
        let known = self.contacts.get_mut(&to).ok_or(CommandError::NotAContact)?;
        if known.contact.standing == Standing::Blocked {
            return Err(CommandError::Blocked);
        }
        let draft = Draft {
            audience: to,
            device_id: self.keyring.device_id,
            nonce: Nonce::from_bytes(entropy::array(&mut *self.entropy)),
            sent_at: step.now.wall,
            chain_id: known.contact.chain_id,
            counter: known.contact.next_counter,
            body: Body::Text(text.clone()),
        };
        let signed = SignedMessage::sign(&self.keyring.identity, draft)
            .map_err(|_| CommandError::TextTooLong { len: text.len(), limit: BODY_BYTES_MAX })?;
        known.contact.next_counter += 1;
        step.ready.writes.push(Write::PutContact(Box::new(known.contact.clone())));
        let message_id = signed.message_id();
        let mut message = OutgoingMessage {
            message_id,
            contact: to,
            signed: signed.bytes().to_vec(),
            signature: *signed.signature().as_bytes(),
            text,
            written_at: step.now.wall,
            envelope_id: None,
            attempts: 0,
            next_try: None,
            evidence: Vec::new(),
        };
        let held = self.seal_to_contact(step, &to, &signed, Purpose::Message(message_id));
        message.envelope_id = held.as_ref().map(|held| held.envelope.id());
        message.next_try = held.as_ref().map(replace_at);
        self.note_due(message.next_try);
        let state = DeliveryState::of(&message);
        step.ready.writes.push(Write::PutOutgoing(Box::new(message)));
        self.state_changed(step, message_id, to, state);
        if let Some(held) = held {
            self.hold(step, held);
        }
        Ok(Outcome::Queued { message_id, state })
    }

    /// Seals to a contact's newest valid key, if there is one.
    pub(crate) fn seal_to_contact<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        to: &IdentityKey,
        signed: &SignedMessage,
        purpose: Purpose,
    ) -> Option<HeldEnvelope> {
        let known = self.contacts.get(to)?;
        let card = known.card.as_ref()?;
        let their_now = known.their_now(step.now);
        // req: SEA-40
        let entry = card.newest_sealing_key(their_now)?;
        let key = SealingPublic::from_bytes(&entry.public[..]).ok()?;
        let mailbox = card.contact_mailbox()?;
        // An hour less than the longest life, because expiries are rounded up.
        let life = ENVELOPE_LIFE_MAX.saturating_sub(Duration::from_secs(3600));
        let expires_at = their_now.saturating_add(life);
        let recipient = Recipient { mailbox, key: &key };
        let sealed = seal(signed, &recipient, expires_at, &mut *self.entropy).ok()?;
        let deposit_key = card.contact().map(|part| part.deposit_key)?;
        let [random] = entropy::array::<1>(&mut *self.entropy);
        Some(HeldEnvelope {
            stamp: stamp(&deposit_key, &sealed.envelope.id()).to_vec(),
            envelope: sealed.envelope,
            contact: *to,
            purpose,
            // req: GSP-17
            ttl: 2 + (random & 1),
            purge_key: sealed.purge_key,
        })
    }

    /// Makes an envelope durable and hands it over if its recipient is linked.
    pub(crate) fn hold<R: Read>(&mut self, step: &mut Step<'_, R>, held: HeldEnvelope) {
        step.ready.writes.push(Write::PutEnvelope(Box::new(held.clone())));
        self.offer(step, &held);
    }

    /// Seals what waited for this contact's key.
    pub(crate) fn seal_waiting<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        contact: &IdentityKey,
    ) -> Result<(), R::Error> {
        if !self.contacts.get(contact).is_some_and(|known| can_seal(known, step)) {
            return Ok(());
        }
        for message_id in step.store.waiting_for_key(contact)? {
            if let Some(message) = step.store.outgoing(&message_id)? {
                self.seal_again(step, message);
            }
        }
        Ok(())
    }

    /// Puts a message into a new envelope: the first, or instead of the old one.
    fn seal_again<R: Read>(&mut self, step: &mut Step<'_, R>, mut message: OutgoingMessage) {
        let signature = Signature::from_bytes(message.signature);
        let Ok(signed) = SignedMessage::from_stored(message.signed.clone(), signature) else {
            return; // The store's checks speak of damage; nothing can be sealed here.
        };
        let (id, to) = (message.message_id, message.contact);
        let Some(held) = self.seal_to_contact(step, &to, &signed, Purpose::Message(id)) else {
            return;
        };
        if let Some(old) = message.envelope_id {
            step.ready.writes.push(Write::DropEnvelope(old));
            self.forget_unacked(&old);
        }
        let envelope_id = held.envelope.id();
        step.ready.writes.push(Write::SealedIn { message_id: id, envelope_id });
        let at = Some(replace_at(&held));
        self.note_due(at);
        step.ready.writes.push(Write::NextTry { message_id: id, attempts: message.attempts, at });
        self.hold(step, held);
        if message.envelope_id.is_none() {
            message.envelope_id = Some(envelope_id);
            self.state_changed(step, id, to, DeliveryState::of(&message));
        }
    }

    /// The recipient cannot open our envelope: seal to its newest key, if that is
    /// another one than we used.
    pub(crate) fn seal_to_newer_key<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message_id: &MessageId,
    ) -> Result<(), R::Error> {
        let Some(message) = step.store.outgoing(message_id)? else { return Ok(()) };
        let Some(envelope_id) = message.envelope_id else { return Ok(()) };
        let Some(held) = step.store.envelope(&envelope_id)? else { return Ok(()) };
        if self.newest_key_is_another(step, &held) {
            self.seal_again(step, message);
        }
        Ok(())
    }

    fn newest_key_is_another<R: Read>(&self, step: &Step<'_, R>, held: &HeldEnvelope) -> bool {
        let Some(known) = self.contacts.get(&held.contact) else { return false };
        let newest =
            known.card.as_ref().and_then(|card| card.newest_sealing_key(known.their_now(step.now)));
        newest.is_some_and(|entry| key_id(&entry.public[..]) != held.envelope.header().key_id)
    }

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
        self.next_due = Some(now.saturating_add(Duration::from_secs(60)));
        if let Some(due) = step.store.next_due()?.filter(|due| *due > now) {
            self.next_due = Some(due);
        }
        Ok(())
    }

    fn try_message_again<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message: OutgoingMessage,
    ) -> Result<(), R::Error> {
        let now = step.now.wall;
        let (message_id, contact) = (message.message_id, message.contact);
        let gave_up = now > message.written_at.saturating_add(RESEAL_FOR);
        if gave_up || DeliveryState::of(&message).is_final() {
            let evidence = Evidence::GaveUp { at: now };
            step.ready.writes.push(Write::NextTry {
                message_id,
                attempts: message.attempts,
                at: None,
            });
            if gave_up {
                step.ready.writes.push(Write::AddEvidence { message_id, evidence });
                self.state_changed(step, message_id, contact, DeliveryState::NotConfirmed);
            }
            return Ok(());
        }
        let attempts = message.attempts.saturating_add(1);
        let at = Some(now.saturating_add(wait_after(attempts)));
        let held = match message.envelope_id {
            Some(id) => step.store.envelope(&id)?,
            None => None,
        };
        let fresh = held
            .as_ref()
            .filter(|held| now < replace_at(held) && !self.newest_key_is_another(step, held));
        match fresh {
            Some(held) => {
                let envelope_id = held.envelope.id();
                step.ready.writes.push(Write::HandOverAgain { peer: contact, envelope_id });
                self.backlog_for(&contact);
            }
            None => self.seal_again(step, OutgoingMessage { attempts, ..message }),
        }
        step.ready.writes.push(Write::NextTry { message_id, attempts, at });
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
        let evidence = Evidence::Cancelled { at: step.now.wall };
        step.ready.writes.push(Write::AddEvidence { message_id, evidence });
        self.stop_trying(step, &message);
        self.state_changed(step, message_id, message.contact, DeliveryState::Cancelled);
        Ok(Ok(Outcome::Done))
    }

    /// Nothing more is to be done for a message.
    pub(crate) fn stop_trying<R: Read>(&mut self, step: &mut Step<'_, R>, m: &OutgoingMessage) {
        let message_id = m.message_id;
        step.ready.writes.push(Write::NextTry { message_id, attempts: m.attempts, at: None });
        if let Some(envelope_id) = m.envelope_id {
            step.ready.writes.push(Write::DropEnvelope(envelope_id));
            self.forget_unacked(&envelope_id);
        }
    }

    pub(crate) fn state_changed<R: Read>(
        &self,
        step: &mut Step<'_, R>,
        message_id: MessageId,
        contact: IdentityKey,
        state: DeliveryState,
    ) {
        let at = step.now.wall;
        step.ready.events.push(Event::StateChanged { message_id, contact, state, at });
    }

    pub(crate) fn note_due(&mut self, at: Option<UnixMillis>) {
        self.next_due = [self.next_due, at].into_iter().flatten().min();
    }
}

/// When an envelope that nobody confirmed is to be replaced.
fn replace_at(held: &HeldEnvelope) -> UnixMillis {
    held.envelope.header().expires_at.saturating_sub(LIFE_LEFT_MIN)
}

fn can_seal<R: Read>(known: &Known, step: &Step<'_, R>) -> bool {
    let card = known.card.as_ref();
    known.contact.standing == Standing::Accepted
        && card.is_some_and(|card| card.newest_sealing_key(known.their_now(step.now)).is_some())
}

/// Until when a seen envelope is remembered; holders add their tolerance.
pub(crate) fn remember_until(expires_at: UnixMillis, now: UnixMillis) -> UnixMillis {
    // An envelope from a wrong clock may claim any expiry; nothing is remembered
    // for longer than an envelope may live.
    let longest = now.saturating_add(ENVELOPE_LIFE_MAX);
    expires_at.clamp(now, longest)
}
