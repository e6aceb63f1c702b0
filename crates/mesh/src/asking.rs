//! Asking others to accept us, and telling them that we did (spec/contacts.md).

use tortalk_keys::card::Card;
use tortalk_model::limits::REQUEST_TEXT_BYTES_MAX;
use tortalk_model::{IdentityKey, MessageId};
use tortalk_seal::{Body, OpenedMessage, ReceiptKind};

use crate::contacts::CardSource;
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
        if text.is_empty() && known.intro_card.is_none() {
            return Ok(());
        }
        let open = self.open_request(step, identity)?;
        // req: REQ-02
        if text.is_empty() && open.is_some() {
            return Ok(());
        }
        if let Some(message) = open {
            // What is said now takes its place.
            self.give_up(step, &message)?;
        }
        self.make_request(step, identity, text);
        Ok(())
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
        if !newer {
            return Ok(());
        }
        known.intro_card = Some(card);
        self.look_again_for(identity);
        self.seal_waiting(step, identity)?;
        // req: REQ-01
        if self.request_to(identity).is_none() {
            self.make_request(step, identity, String::new());
        }
        Ok(())
    }

    /// Their contact card is here: what we ask goes where contacts' mail goes.
    // req: REQ-06
    pub(crate) fn readdress_request<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: &IdentityKey,
    ) -> Result<(), R::Error> {
        let Some(message) = self.open_request(step, identity)? else { return Ok(()) };
        let Some(held) = self.held_for(step, &message)? else { return Ok(()) };
        if self.is_outdated(step.now, &held) {
            self.seal_again(step, message);
        }
        Ok(())
    }

    /// Tells somebody that they are a contact from now on.
    pub(crate) fn send_accept<R: Read>(&mut self, step: &mut Step<'_, R>, identity: &IdentityKey) {
        let Some(card) = self.own_contact_card().map(|card| card.as_bytes().to_vec()) else {
            return;
        };
        self.compose(step, identity, Body::ContactAccept { card });
    }

    /// A contact has accepted us: that answers what we asked.
    pub(crate) fn take_accept<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        opened: &OpenedMessage,
    ) -> Result<(), R::Error> {
        let sender = opened.sender();
        let Some(message_id) = self.request_to(&sender) else { return Ok(()) };
        let Some(mut message) = step.store.outgoing(&message_id)? else { return Ok(()) };
        // One that was never sealed is not what they answer; it still goes out.
        if message.envelope_id.is_none() {
            return Ok(());
        }
        if let Some(known) = self.contacts.get_mut(&sender) {
            known.contact.requested = None;
        }
        self.contact_changed(step, &sender);
        let received = |evidence: &Evidence| matches!(evidence, Evidence::Receipt { .. });
        if message.evidence.iter().any(received) {
            return Ok(());
        }
        // req: REQ-21
        let (kind, at) = (ReceiptKind::Delivered, step.now.wall);
        let evidence = Evidence::Receipt { kind, at, proof: proof_of(opened) };
        message.evidence.push(evidence.clone());
        step.ready.writes.push(Write::AddEvidence { message_id, evidence });
        self.stop_trying(step, &message)?;
        self.state_changed(step, message_id, sender, DeliveryState::of(&message));
        Ok(())
    }
}
