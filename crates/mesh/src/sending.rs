//! From the user's words to an envelope, and into another one where that must be.

use core::time::Duration;

use tortalk_keys::card::Card;
use tortalk_keys::{Signature, stamp};
use tortalk_model::entropy::{self, Entropy};
use tortalk_model::envelope::key_id;
use tortalk_model::limits::{BODY_BYTES_MAX, ENVELOPE_LIFE_MAX, RESEAL_FOR_CLOCK_AFTER};
use tortalk_model::{ChainId, EnvelopeId, IdentityKey, MessageId, Nonce, Now, UnixMillis};
use tortalk_seal::{Body, Draft, Recipient, SealingPublic, SignedMessage, seal};

use crate::contacts::Known;
use crate::delivery::DeliveryState;
use crate::mesh::{CommandResult, Mesh, Step};
use crate::read::Read;
use crate::ready::{CommandError, Event, Outcome};
use crate::write::{HeldEnvelope, OutgoingMessage, Purpose, Standing, Write};

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
        match self.contacts.get(&to).map(|known| known.contact.standing) {
            Some(Standing::Accepted) => {}
            Some(Standing::Blocked) => return Err(CommandError::Blocked),
            Some(Standing::Unwanted) | None => return Err(CommandError::NotAContact),
        }
        let len = text.len();
        let (message_id, state) = self
            .compose(step, &to, Body::Text(text))
            .ok_or(CommandError::TextTooLong { len, limit: BODY_BYTES_MAX })?;
        Ok(Outcome::Queued { message_id, state })
    }

    /// Writes a message to a contact and sends it on its way. None when there is no
    /// such contact, or the body is beyond its limits.
    pub(crate) fn compose<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        to: &IdentityKey,
        body: Body,
    ) -> Option<(MessageId, DeliveryState)> {
        let to = *to;
        let known = self.contacts.get_mut(&to)?;
        let (body_type, visible) = (body.body_type(), body.is_user_visible());
        let text = match &body {
            Body::Text(text) | Body::ContactRequest { text, .. } => text.clone(),
            _ => String::new(),
        };
        // req: SEA-52
        let (chain_id, counter) = if visible {
            (known.contact.chain_id, known.contact.next_counter)
        } else {
            (ChainId::from_bytes([0; 8]), 0)
        };
        let draft = Draft {
            audience: to,
            device_id: self.keyring.device_id,
            // req: SEA-09
            nonce: Nonce::from_bytes(entropy::array(&mut *self.entropy)),
            sent_at: step.now.wall,
            chain_id,
            counter,
            body,
        };
        let signed = SignedMessage::sign(&self.keyring.identity, draft).ok()?;
        if visible {
            known.contact.next_counter += 1;
            step.ready.writes.push(Write::PutContact(Box::new(known.contact.clone())));
        }
        let message_id = signed.message_id();
        let mut message = OutgoingMessage {
            message_id,
            contact: to,
            signed: signed.bytes().to_vec(),
            signature: *signed.signature().as_bytes(),
            body_type,
            counter,
            text,
            written_at: step.now.wall,
            envelope_id: None,
            attempts: 0,
            next_try: None,
            evidence: Vec::new(),
        };
        let held = self.seal_to_contact(step, &to, &signed, Purpose::Message(message_id));
        message.envelope_id = held.as_ref().map(|held| held.envelope.id());
        message.next_try = Some(self.next_look(step.now, held.as_ref()));
        self.note_due(message.next_try);
        let state = DeliveryState::of(&message);
        step.ready.writes.push(Write::PutOutgoing(Box::new(message)));
        self.state_changed(step, message_id, to, state);
        if let Some(held) = held {
            self.hold(step, held);
        }
        Some((message_id, state))
    }

    /// Seals to a contact's newest valid key, if there is one.
    pub(crate) fn seal_to_contact<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        to: &IdentityKey,
        signed: &SignedMessage,
        purpose: Purpose,
    ) -> Option<HeldEnvelope> {
        self.seal_by(step, to, signed, purpose, None)
    }

    /// As above; with `clock` the expiry is for somebody else's clock.
    pub(crate) fn seal_by<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        to: &IdentityKey,
        signed: &SignedMessage,
        purpose: Purpose,
        clock: Option<UnixMillis>,
    ) -> Option<HeldEnvelope> {
        let their_now = self.their_now(to, step.now);
        let known = self.contacts.get(to)?;
        // req: REQ-03
        let asks = matches!(signed.fields().body, Body::ContactRequest { .. });
        let card = known.card.as_ref().or_else(|| known.intro_card.as_ref().filter(|_| asks))?;
        seal_to_card(card, (their_now, clock), signed, purpose, &mut *self.entropy)
    }

    /// Seals to the card of somebody who is no contact yet.
    pub(crate) fn seal_to_stranger<R: Read>(
        &mut self,
        step: &Step<'_, R>,
        card: &Card,
        signed: &SignedMessage,
        purpose: Purpose,
    ) -> Option<HeldEnvelope> {
        let their_now = self.their_now(&card.identity(), step.now);
        seal_to_card(card, (their_now, None), signed, purpose, &mut *self.entropy)
    }

    /// Makes an envelope durable and hands it over if its recipient is linked.
    pub(crate) fn hold<R: Read>(&mut self, step: &mut Step<'_, R>, held: HeldEnvelope) {
        step.ready.writes.push(Write::PutEnvelope(Box::new(held.clone())));
        self.direct_first(&held, step.now.mono);
        self.offer(step, &held);
        self.offer_round(&held, step.now.mono);
    }

    /// Seals what waited for this contact's key.
    pub(crate) fn seal_waiting<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        contact: &IdentityKey,
    ) -> Result<(), R::Error> {
        let any_key = self.can_seal(contact, step.now) || self.can_ask(contact, step.now);
        if !self.is_accepted(contact) || !any_key {
            return Ok(());
        }
        for message_id in step.store.waiting_for_key(contact)? {
            if let Some(message) = step.store.outgoing(&message_id)? {
                self.seal_again(step, message);
            }
        }
        Ok(())
    }

    /// Does without an envelope that is of no use any more: its message goes into
    /// another one.
    pub(crate) fn replace<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        held: &HeldEnvelope,
    ) -> Result<(), R::Error> {
        match held.purpose {
            Purpose::Message(message_id) => {
                if let Some(message) = step.store.outgoing(&message_id)? {
                    self.seal_again(step, message);
                }
            }
            // A receipt is never sealed again (DLV-14).
            Purpose::Receipt => {
                self.drop_envelope(step, held.envelope.id());
            }
            Purpose::Carried => {}
        }
        Ok(())
    }

    /// Puts a message into a new envelope, the first or instead of the old one,
    /// and returns that. Without a valid key everything stays as it is.
    pub(crate) fn seal_again<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message: OutgoingMessage,
    ) -> Option<HeldEnvelope> {
        self.seal_again_by(step, message, None)
    }

    /// A carrier has refused a message's envelope because of the expiry: the message
    /// goes into one that expires by that carrier's clock.
    pub(crate) fn seal_for_clock<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        message_id: &MessageId,
        refused: &EnvelopeId,
        clock: UnixMillis,
    ) -> Result<(), R::Error> {
        let now = step.now.mono;
        self.sealed_for_clock.retain(|_, at| now.since(*at) < RESEAL_FOR_CLOCK_AFTER);
        // Carriers whose clocks differ must not keep us sealing.
        // req: CAR-18
        if self.sealed_for_clock.contains_key(message_id) && !tortalk_model::deviate!(skip_car_18) {
            return Ok(());
        }
        let Some(message) = step.store.outgoing(message_id)? else { return Ok(()) };
        if message.envelope_id == Some(*refused)
            && self.seal_again_by(step, message, Some(clock)).is_some()
        {
            self.sealed_for_clock.insert(*message_id, now);
        }
        Ok(())
    }

    fn seal_again_by<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        mut message: OutgoingMessage,
        clock: Option<UnixMillis>,
    ) -> Option<HeldEnvelope> {
        // What is done with, the user's giving up included, is never sealed.
        if DeliveryState::of(&message).is_final() {
            return None;
        }
        let signature = Signature::from_bytes(message.signature);
        // Else the store's checks speak of damage; nothing can be sealed here.
        let signed = SignedMessage::from_stored(message.signed.clone(), signature).ok()?;
        let (id, to) = (message.message_id, message.contact);
        // The store does not know yet what this very step has ended or sealed; an
        // envelope made now would never be dropped.
        let settled = |write: &Write| match write {
            Write::NextTry { message_id, at: None, .. } | Write::SealedIn { message_id, .. } => {
                *message_id == id
            }
            _ => false,
        };
        if step.ready.writes.iter().any(settled) {
            return None;
        }
        let held = self.seal_by(step, &to, &signed, Purpose::Message(id), clock)?;
        if let Some(old) = message.envelope_id {
            self.drop_envelope(step, old);
            // Somebody may carry it still: it does not come back to us.
            let until = step.now.wall.saturating_add(ENVELOPE_LIFE_MAX);
            step.ready.writes.push(Write::Seen { envelope_id: old, until, purge_key: None });
        }
        let envelope_id = held.envelope.id();
        step.ready.writes.push(Write::SealedIn { message_id: id, envelope_id });
        let at = Some(self.try_after_sealing(step.now, &message, &held));
        self.note_due(at);
        step.ready.writes.push(Write::NextTry { message_id: id, attempts: message.attempts, at });
        self.hold(step, held.clone());
        if message.envelope_id.is_none() {
            message.envelope_id = Some(envelope_id);
            self.state_changed(step, id, to, DeliveryState::of(&message));
        }
        Some(held)
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
        // req: GSP-30
        if self.is_outdated(step.now, &held) && !tortalk_model::deviate!(skip_gsp_30) {
            self.seal_again(step, message);
        }
        Ok(())
    }

    /// Whether its recipient has another key or mailbox by now than this envelope
    /// is for.
    pub(crate) fn is_outdated(&self, now: Now, held: &HeldEnvelope) -> bool {
        let Some(card) = self.contacts.get(&held.contact).and_then(Known::any_card) else {
            return false;
        };
        let header = held.envelope.header();
        let newest = card.newest_sealing_key(self.their_now(&held.contact, now));
        let mailbox = card.contact_mailbox().unwrap_or_else(|| card.intro_mailbox());
        newest.is_some_and(|entry| {
            key_id(&entry.public[..]) != header.key_id || mailbox != header.mailbox
        })
    }

    /// Whether a key is known to which this contact's mail can be sealed now.
    pub(crate) fn can_seal(&self, contact: &IdentityKey, now: Now) -> bool {
        let card = self.contacts.get(contact).and_then(|known| known.card.as_ref());
        let their_now = self.their_now(contact, now);
        card.is_some_and(|card| card.newest_sealing_key(their_now).is_some())
    }

    /// Whether a key is known to which a request to this contact can be sealed now.
    fn can_ask(&self, contact: &IdentityKey, now: Now) -> bool {
        let card = self.contacts.get(contact).and_then(Known::any_card);
        card.is_some_and(|card| card.newest_sealing_key(self.their_now(contact, now)).is_some())
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
}

/// Seals for whoever's card this is: for contacts' mail, or, by an intro card,
/// for strangers'. `their_now` is by the recipient's clock; the expiry is for
/// `clock`, where that is somebody else's.
fn seal_to_card(
    card: &Card,
    (their_now, clock): (UnixMillis, Option<UnixMillis>),
    signed: &SignedMessage,
    purpose: Purpose,
    entropy: &mut dyn Entropy,
) -> Option<HeldEnvelope> {
    // req: GSP-22, SEA-40
    let entry = card.newest_sealing_key(their_now)?;
    let key = SealingPublic::from_bytes(&entry.public[..]).ok()?;
    let mailbox = card.contact_mailbox().unwrap_or_else(|| card.intro_mailbox());
    // An hour less than the longest life, because expiries are rounded up.
    // req: ENV-11, SEA-41
    let life = ENVELOPE_LIFE_MAX.saturating_sub(Duration::from_secs(3600));
    let latest = entry.not_after.saturating_add(life);
    let expires_at = clock.unwrap_or(their_now).saturating_add(life).min(latest);
    let recipient = Recipient { mailbox, key: &key };
    let sealed = seal(signed, &recipient, expires_at, entropy).ok()?;
    let [random] = entropy::array::<1>(entropy);
    let (stamp, ttl) = match card.contact() {
        // req: GSP-17
        Some(part) => (
            stamp(&part.deposit_key, &sealed.envelope.id()).to_vec(),
            2 + (random & 1 & u8::from(!tortalk_model::deviate!(first_ttl_2))),
        ),
        // req: REQ-04, REQ-05
        None => (Vec::new(), 0),
    };
    Some(HeldEnvelope {
        stamp,
        envelope: sealed.envelope,
        contact: card.identity(),
        purpose,
        ttl,
        purge_key: Some(sealed.purge_key),
    })
}

/// Until when a seen envelope is remembered; holders add their tolerance.
pub(crate) fn remember_until(expires_at: UnixMillis, now: UnixMillis) -> UnixMillis {
    // An envelope from a wrong clock may claim any expiry; nothing is remembered
    // for longer than an envelope may live.
    let longest = now.saturating_add(ENVELOPE_LIFE_MAX);
    expires_at.clamp(now, longest)
}
