//! Removing a contact, and other secrets for those who stay (spec/contacts.md).

use tortalk_model::{IdentityKey, UnixMillis};
use tortalk_seal::Body;
use tortalk_wire::ByeReason;

use crate::delivery::DeliveryState;
use crate::mesh::{CommandResult, Mesh, Step};
use crate::read::Read;
use crate::ready::{CommandError, Event, Outcome};
use crate::write::Write;

impl Mesh {
    /// Makes a contact a stranger. What was said stays; what was not delivered is
    /// given up.
    pub(crate) fn remove_contact<R: Read>(
        &mut self,
        step: &mut Step<'_, R>,
        identity: IdentityKey,
    ) -> Result<CommandResult, R::Error> {
        if !self.contacts.contains_key(&identity) {
            return Ok(Err(CommandError::NotAContact));
        }
        // req: REQ-25
        for message_id in step.store.due(UnixMillis(u64::MAX), usize::MAX)? {
            let Some(message) = step.store.outgoing(&message_id)? else { continue };
            if message.contact == identity
                && !DeliveryState::of(&message).is_final()
                && !tortalk_model::deviate!(skip_req_25)
            {
                self.give_up(step, &message)?;
            }
        }
        self.receipts.forget(&identity);
        self.contacts.remove(&identity);
        step.ready.writes.push(Write::DropContact(identity));
        step.ready.events.push(Event::ContactRemoved { identity });
        // What they proved and were shown was for a contact.
        for id in self.links_with(&identity) {
            self.close(step, id, ByeReason::Policy);
        }
        Ok(Ok(Outcome::Done))
    }

    /// Gives every contact our card, sealed: those who are not linked would go on
    /// by the old one.
    pub(crate) fn send_card_to_all<R: Read>(&mut self, step: &mut Step<'_, R>) {
        let Some(card) = self.own_contact_card().map(|card| card.as_bytes().to_vec()) else {
            return;
        };
        let accepted = self.contacts.keys().filter(|identity| self.is_accepted(identity));
        // req: REQ-27
        for identity in accepted.copied().collect::<Vec<_>>() {
            if !tortalk_model::deviate!(keep_new_card) {
                self.compose(step, &identity, Body::Card { card: card.clone() });
            }
        }
    }
}
