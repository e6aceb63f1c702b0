//! Asking others to accept us, and telling them that we did (spec/contacts.md).

use tortalk_keys::card::Card;
use tortalk_keys::invite::Invite;
use tortalk_model::limits::REQUEST_TEXT_BYTES_MAX;
use tortalk_model::{IdentityKey, MessageId};
use tortalk_seal::{Body, OpenedMessage, ReceiptKind};

use crate::contacts::{CardSource, Known};
use crate::delivery::DeliveryState;
use crate::mesh::{Mesh, Step};
use crate::read::Read;
use crate::ready::CommandError;
use crate::receiving::proof_of;
use crate::write::{Evidence, OutgoingMessage, Write};

impl Mesh {
    pub(crate) const fn check_request_text(text: &str) -> Result<(), CommandError> {
        if text.len() > REQUEST_TEXT_BYTES_MAX {
            let (len, limit) = (text.len(), REQUEST_TEXT_BYTES_MAX);
            return Err(CommandError::RequestTooLong { len, limit });
        }
        Ok(())
    }

    /// Asks somebody whom the user has added to accept us, unless they have.
    ///
    /// Without a text there is nothing to be asked before their intro card says
    /// to which key: they may be about to show that they have accepted us.
    pub(crate) fn ask<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
        text: String,
    ) -> Result<(), R::Error> {
        let Some(known) = self.contacts.get(identity) else { return Ok(()) };
        // req: REQ-01
        if known.card.is_some() {
            if !text.is_empty() {
                // Long enough and short enough: it is queued.
                let _queued = self.send_text(step, *identity, text);
                self.contact_changed(step, identity);
            }
            return Ok(());
        }
        let (asks, has_intro) = (known.contact.asking.is_some(), known.intro_card.is_some());
        let invite = known.contact.invite.as_deref().and_then(|bytes| Invite::parse(bytes).ok());
        if let Some(invite) = invite {
            self.adopt_relays(step, &invite);
        }
        if text.is_empty() && !has_intro {
            return Ok(());
        }
        let open = self.open_request(step, identity)?;
        // req: REQ-02
        if text.is_empty() && (asks || open.is_some()) {
            return Ok(());
        }
        if let Some(message) = open {
            // What is said now takes its place.
            self.give_up(step, &message)?;
        }
        self.request_when_answerable(step, identity, text);
        Ok(())
    }

    /// Makes a request as soon as its answer can find us: our card in it cannot be
    /// changed later.
    fn request_when_answerable<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
        text: String,
    ) {
        let waits = self.waits_for_registration() && self.links_with(identity).is_empty();
        let Some(known) = self.contacts.get_mut(identity) else { return };
        // req: REQ-30
        if waits {
            known.contact.asking = Some(text);
            self.contact_changed(step, identity);
            return;
        }
        known.contact.asking = None;
        self.make_request(step, identity, text);
    }

    /// Makes the requests that waited for a relay of ours.
    pub(crate) fn ask_who_waits<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let waiting = |known: &&Known| {
            let has_intro = known.intro_card.is_some();
            let asking = known.contact.asking.as_ref();
            known.card.is_none() && asking.is_some_and(|text| has_intro || !text.is_empty())
        };
        let waiting = self.contacts.values().filter(waiting);
        for identity in waiting.map(|known| known.contact.identity).collect::<Vec<_>>() {
            self.ask_what_waits(step, &identity);
        }
    }

    /// As above for one contact, whose intro card is here or who has something to
    /// be told.
    fn ask_what_waits<R: Read>(&mut self, step: &mut Step<'_, R>, identity: &IdentityKey) {
        let Some(known) = self.contacts.get_mut(identity) else { return };
        let text = known.contact.asking.take();
        if self.is_accepted(identity) && (text.is_some() || self.request_to(identity).is_none()) {
            self.request_when_answerable(step, identity, text.unwrap_or_default());
        }
    }

    fn make_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
        text: String,
    ) {
        let Some(card) = self.own_contact_card().map(|card| card.as_bytes().to_vec()) else {
            return;
        };
        let body = Body::ContactRequest { card, text };
        let Some((message_id, _)) = self.compose(step, identity, body) else { return };
        if let Some(known) = self.contacts.get_mut(identity) {
            known.contact.requested = Some(message_id);
        }
        self.contact_changed(step, identity);
    }

    /// Our request to a contact, as long as nothing has answered it.
    fn open_request<R: Read>(
        &self,
        step: &Step<'_, R>,
        identity: &IdentityKey,
    ) -> Result<Option<OutgoingMessage>, R::Error> {
        let Some(message_id) = self.request_to(identity) else { return Ok(None) };
        let message = step.store.outgoing(&message_id)?;
        Ok(message.filter(|message| !DeliveryState::of(message).is_final()))
    }

    fn request_to(&self, identity: &IdentityKey) -> Option<MessageId> {
        self.contacts.get(identity).and_then(|known| known.contact.requested)
    }

    /// Whether somebody's intro card is looked for: they are added, and nothing of
    /// them is here that a request could be sealed to.
    pub fn wants_intro_card(&self, identity: &IdentityKey) -> bool {
        self.is_accepted(identity)
            && self
                .contacts
                .get(identity)
                .is_some_and(|known| known.card.is_none() && known.intro_card.is_none())
    }

    /// Somebody's intro card is here: a request can be sealed to its key.
    pub(crate) fn take_intro_card<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
        card: Card,
        source: CardSource,
    ) -> Result<(), R::Error> {
        if !self.is_accepted(identity) {
            return Ok(());
        }
        let Some(known) = self.contacts.get_mut(identity) else { return Ok(()) };
        if known.card.is_some() || card.contact().is_some() || card.identity() != *identity {
            return Ok(());
        }
        let newer = known.intro_card.as_ref().is_none_or(|held| {
            card.supersedes(held)
                && (source == CardSource::Owner || !card.is_ahead_of(step.now.wall))
        });
        if newer {
            known.intro_card = Some(card);
            self.look_again_for(identity);
            self.seal_waiting(step, identity)?;
        }
        // Whoever is linked can answer there.
        // req: REQ-01
        self.ask_what_waits(step, identity);
        Ok(())
    }

    /// Their contact card is here: what we ask goes where contacts' mail goes.
    // req: REQ-06
    pub(crate) fn readdress_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
    ) -> Result<(), R::Error> {
        let waiting = self.contacts.get_mut(identity).and_then(|k| k.contact.asking.take());
        if let Some(text) = waiting {
            // Nobody need be asked any more; words are words.
            if !text.is_empty() {
                let _queued = self.send_text(step, *identity, text);
            }
            self.contact_changed(step, identity);
        }
        let Some(message) = self.open_request(step, identity)? else { return Ok(()) };
        let Some(held) = self.held_for(step, &message)? else { return Ok(()) };
        if self.is_outdated(step.now, &held) {
            self.seal_again(step, message);
        }
        Ok(())
    }

    /// Tells somebody that they are a contact from now on, as this request asked.
    pub(crate) fn send_accept<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
        request: MessageId,
    ) {
        let Some(card) = self.own_contact_card().map(|card| card.as_bytes().to_vec()) else {
            return;
        };
        self.compose(step, identity, Body::ContactAccept { request, card });
    }

    /// A contact has accepted us: that answers the request that they name, no other.
    pub(crate) fn take_accept<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        opened: &OpenedMessage,
        answered: &MessageId,
    ) -> Result<(), R::Error> {
        let sender = opened.sender();
        // Words that they have not seen go on, and have their receipt like any message.
        // req: REQ-33
        if self.request_to(&sender) != Some(*answered) && !tortalk_model::deviate!(skip_req_33) {
            return Ok(());
        }
        let message_id = *answered;
        let Some(mut message) = step.store.outgoing(&message_id)? else { return Ok(()) };
        if let Some(known) = self.contacts.get_mut(&sender) {
            known.contact.requested = None;
        }
        self.contact_changed(step, &sender);
        let received = |evidence: &Evidence| matches!(evidence, Evidence::Receipt { .. });
        if message.evidence.iter().any(received) {
            return Ok(());
        }
        // req: REQ-33
        let (kind, at) = (ReceiptKind::Delivered, step.now.wall);
        let evidence = Evidence::Receipt { kind, at, proof: proof_of(opened) };
        message.evidence.push(evidence.clone());
        step.ready.writes.push(Write::AddEvidence { message_id, evidence });
        self.stop_trying(step, &message)?;
        self.state_changed(step, message_id, sender, DeliveryState::of(&message));
        Ok(())
    }
}
