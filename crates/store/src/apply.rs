//! Carrying out the machine's writes.

use tortalk_mesh::{
    Contact, ContactRequest, Evidence, HeldEnvelope, IncomingMessage, OutgoingMessage, Purpose,
    Write,
};
use tortalk_model::{Envelope, EnvelopeId, IdentityKey, MessageId, PurgeKey, UnixMillis};
use tortalk_seal::{Body, BodyType};

use crate::cell::{Place, Table};
use crate::error::StoreError;
use crate::messages::{
    Direction, EnvelopeColumns, incoming_place, message_place, outgoing_place, seen_place,
    unopened_place,
};
use crate::reads::column_of_limit;
use crate::rows::{self, IncomingState, OutgoingState};
use crate::search::Entry;
use crate::store::{ADOPTED, CARDS, RELAYS, Store};

impl Store {
    /// Applies writes, in order, to the open transaction.
    ///
    /// A message that is there already stays as it is. A write about a message or
    /// an envelope that is not there changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`] without [`Store::begin`]; any other error
    /// means that the transaction can only be rolled back.
    pub fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.change(|store| writes.iter().try_for_each(|write| store.apply_one(write)))
    }

    fn apply_one(&mut self, write: &Write) -> Result<(), StoreError> {
        match write {
            Write::PutContact(contact) => self.put_contact(contact),
            Write::DropContact(identity) => self.drop_contact(identity),
            Write::PutRequest(request) => self.put_request(request),
            Write::DropRequest(identity) => self.drop_request(identity),
            Write::Declined { message_id, until } => self.decline(message_id, *until),
            Write::PutOwnCards(cards) => {
                self.put_meta(CARDS, &rows::cards(&cards.intro, &cards.contact))
            }
            Write::PutOutgoing(message) => self.put_outgoing(message),
            Write::PutEnvelope(held) => self.put_envelope(held),
            Write::SealedIn { message_id, envelope_id } => {
                self.change_outgoing(message_id, |state| state.envelope_id = Some(*envelope_id))
            }
            Write::SetTtl { envelope_id, ttl } => self.set_ttl(envelope_id, *ttl),
            Write::DropEnvelope(id) => self.drop_envelope(id),
            Write::HandedOver { peer, envelope_id } => self.handed_over(peer, envelope_id),
            Write::LeftAtRelay(id) => self.left_at_relay(id),
            Write::ForgetHandedOver { .. } if tortalk_model::deviate!(remember_holders) => Ok(()),
            Write::ForgetHandedOver { peer } => self.forget_handed_over(peer),
            Write::HandOverAgain { peer, envelope_id } => self.hand_over_again(peer, envelope_id),
            Write::AddEvidence { message_id, evidence } => self.add_evidence(message_id, evidence),
            Write::NextTry { message_id, attempts, at } => {
                self.change_outgoing(message_id, |state| {
                    state.attempts = *attempts;
                    state.next_try = *at;
                })
            }
            Write::PutIncoming(message) => self.put_incoming(message),
            Write::ReceiptMade { message_id, kind: _, at } => {
                self.change_incoming(message_id, |state| state.receipt_at = Some(*at))
            }
            Write::Seen { .. } if tortalk_model::deviate!(forget_seen) => Ok(()),
            Write::Seen { envelope_id, until, purge_key } => {
                self.see(envelope_id, *until, purge_key.as_ref())
            }
            Write::OwePurge { peer, envelope_id } => self.owe_purge(peer, envelope_id),
            Write::PurgeTold { peer, envelope_id } => self.purge_told(peer, envelope_id),
            Write::MarkRead(message_id) => {
                self.change_incoming(message_id, |state| state.read = true)
            }
            Write::Expire { before } => self.expire(*before),
            Write::PutOwnRelays(relays) => self.put_meta(RELAYS, &rows::own_relays(relays)?),
            Write::PutAdoptedRelays(relays) => {
                self.put_meta(ADOPTED, &rows::adopted_relays(relays)?)
            }
            Write::PutUnopened { envelope, until } => self.put_unopened(envelope, *until),
            Write::DropUnopened(id) => self.drop_unopened(id),
        }
    }

    fn put_contact(&mut self, contact: &Contact) -> Result<(), StoreError> {
        let person = self.db.number_person(&contact.identity, &mut *self.entropy)?;
        let known =
            self.db.row("SELECT id FROM contact WHERE person = ?1", [person], |row| row.get(0))?;
        let id = match known {
            Some(id) => id,
            None => self.db.next_id("SELECT ifnull(max(id), 0) + 1 FROM contact")?,
        };
        let place = Place::new(Table::Contact, id).number(person);
        let sealed = place.seal(&self.db.key, &mut *self.entropy, &rows::contact(contact));
        self.db.execute(
            "INSERT INTO contact (id, person, sealed) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
            (id, person, sealed),
        )?;
        Ok(())
    }

    fn drop_contact(&self, identity: &IdentityKey) -> Result<(), StoreError> {
        let Some(person) = self.db.person(identity)? else { return Ok(()) };
        self.db.execute("DELETE FROM contact WHERE person = ?1", [person])?;
        Ok(())
    }

    fn put_request(&mut self, request: &ContactRequest) -> Result<(), StoreError> {
        let person = self.db.number_person(&request.identity, &mut *self.entropy)?;
        let known =
            self.db.row("SELECT id FROM request WHERE person = ?1", [person], |row| row.get(0))?;
        let id = match known {
            Some(id) => id,
            None => self.db.next_id("SELECT ifnull(max(id), 0) + 1 FROM request")?,
        };
        let place = Place::new(Table::Request, id).number(person);
        let sealed = place.seal(&self.db.key, &mut *self.entropy, &rows::request(request));
        self.db.execute(
            "INSERT INTO request (id, person, sealed) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
            (id, person, sealed),
        )?;
        Ok(())
    }

    fn drop_request(&self, identity: &IdentityKey) -> Result<(), StoreError> {
        let Some(person) = self.db.person(identity)? else { return Ok(()) };
        self.db.execute("DELETE FROM request WHERE person = ?1", [person])?;
        Ok(())
    }

    fn decline(&self, id: &MessageId, until: UnixMillis) -> Result<(), StoreError> {
        self.db.execute(
            "INSERT INTO declined (message_id, until) VALUES (?1, ?2)
             ON CONFLICT (message_id) DO UPDATE SET until = max(until, excluded.until)",
            (id.as_bytes(), column_of_time(until)),
        )?;
        Ok(())
    }

    fn put_outgoing(&mut self, message: &OutgoingMessage) -> Result<(), StoreError> {
        if self.db.message_row(&message.message_id, Direction::Outgoing)?.is_some() {
            return Ok(());
        }
        let (row, person) = self.put_message(
            &message.contact,
            Direction::Outgoing,
            is_shown(message.body_type).then_some(&message.text),
            &message.message_id,
            number_of(message.counter),
            &rows::outgoing(message),
        )?;
        let state = OutgoingState {
            envelope_id: message.envelope_id,
            attempts: message.attempts,
            next_try: message.next_try,
            receipted: message.evidence.iter().any(is_receipt),
        };
        self.put_outgoing_state(row, person, &state)?;
        for evidence in &message.evidence {
            self.put_evidence(row, &message.message_id, evidence)?;
        }
        Ok(())
    }

    fn put_incoming(&mut self, message: &IncomingMessage) -> Result<(), StoreError> {
        if self.db.message_row(&message.message_id, Direction::Incoming)?.is_some() {
            return Ok(());
        }
        let (row, person) = self.put_message(
            &message.contact,
            Direction::Incoming,
            shown_text(&message.body),
            &message.message_id,
            None,
            &rows::incoming(message)?,
        )?;
        let state = IncomingState { receipt_at: message.receipt_at, read: message.read };
        let unread_from = (shown_text(&message.body).is_some() && !message.read).then_some(person);
        self.put_incoming_state(row, unread_from, &state)
    }

    /// Puts down the part of a message that never changes. `text` is what people
    /// see of it; none if they never see it.
    fn put_message(
        &mut self,
        contact: &IdentityKey,
        direction: Direction,
        text: Option<&str>,
        message_id: &MessageId,
        number: Option<i64>,
        plaintext: &[u8],
    ) -> Result<(i64, i64), StoreError> {
        let person = self.db.number_person(contact, &mut *self.entropy)?;
        let row = self.db.next_id("SELECT ifnull(max(id), 0) + 1 FROM message")?;
        let shown = i64::from(text.is_some());
        let place = message_place(row, person, direction, shown, message_id, number);
        let sealed = place.seal(&self.db.key, &mut *self.entropy, plaintext);
        self.db.execute(
            "INSERT INTO message (id, person, direction, shown, message_id, number, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            (row, person, direction as i64, shown, message_id.as_bytes(), number, sealed),
        )?;
        if let Some(text) = text {
            self.index.add(Entry { row, person }, text);
        }
        Ok((row, person))
    }

    fn change_outgoing(
        &mut self,
        message_id: &MessageId,
        change: impl FnOnce(&mut OutgoingState),
    ) -> Result<(), StoreError> {
        let found = self.db.message_row(message_id, Direction::Outgoing)?;
        let Some((row, person)) = found else { return Ok(()) };
        let before = self.db.outgoing_state(row)?;
        let mut state = before.clone();
        change(&mut state);
        if state == before {
            return Ok(());
        }
        self.put_outgoing_state(row, person, &state)
    }

    fn put_outgoing_state(
        &mut self,
        row: i64,
        person: i64,
        state: &OutgoingState,
    ) -> Result<(), StoreError> {
        let waiting_for = state.envelope_id.is_none().then_some(person);
        let retry_at = state.next_try.filter(|_| !state.receipted).map(column_of_time);
        let place = outgoing_place(row, waiting_for, retry_at);
        let sealed = place.seal(&self.db.key, &mut *self.entropy, &rows::outgoing_state(state));
        self.db.execute(
            "INSERT INTO outgoing (message, waiting_for, retry_at, sealed)
             VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (message) DO UPDATE SET waiting_for = excluded.waiting_for,
                retry_at = excluded.retry_at, sealed = excluded.sealed",
            (row, waiting_for, retry_at, sealed),
        )?;
        Ok(())
    }

    fn change_incoming(
        &mut self,
        message_id: &MessageId,
        change: impl FnOnce(&mut IncomingState),
    ) -> Result<(), StoreError> {
        let found = self.db.message_row(message_id, Direction::Incoming)?;
        let Some((row, _)) = found else { return Ok(()) };
        let (unread_from, before) = self.db.incoming_state(row)?;
        let mut state = before.clone();
        change(&mut state);
        if state == before {
            return Ok(());
        }
        self.put_incoming_state(row, unread_from.filter(|_| !state.read), &state)
    }

    fn put_incoming_state(
        &mut self,
        row: i64,
        unread_from: Option<i64>,
        state: &IncomingState,
    ) -> Result<(), StoreError> {
        let place = incoming_place(row, unread_from);
        let sealed = place.seal(&self.db.key, &mut *self.entropy, &rows::incoming_state(state));
        self.db.execute(
            "INSERT INTO incoming (message, unread_from, sealed) VALUES (?1, ?2, ?3)
             ON CONFLICT (message) DO UPDATE SET unread_from = excluded.unread_from,
                sealed = excluded.sealed",
            (row, unread_from, sealed),
        )?;
        Ok(())
    }

    fn add_evidence(
        &mut self,
        message_id: &MessageId,
        evidence: &Evidence,
    ) -> Result<(), StoreError> {
        let found = self.db.message_row(message_id, Direction::Outgoing)?;
        let Some((row, _)) = found else { return Ok(()) };
        self.put_evidence(row, message_id, evidence)?;
        if is_receipt(evidence) {
            self.change_outgoing(message_id, |state| state.receipted = true)?;
        }
        Ok(())
    }

    fn put_evidence(
        &mut self,
        message: i64,
        message_id: &MessageId,
        evidence: &Evidence,
    ) -> Result<(), StoreError> {
        let sameness = rows::evidence_sameness(message_id, evidence);
        let tag = self.db.key.tag("store/evidence", &sameness);
        let known = self.db.row(
            "SELECT 1 FROM evidence WHERE message = ?1 AND tag = ?2",
            (message, tag),
            |_| Ok(()),
        )?;
        if known.is_some() {
            return Ok(());
        }
        let id = self.db.next_id("SELECT ifnull(max(id), 0) + 1 FROM evidence")?;
        let place = Place::new(Table::Evidence, id).number(message).bytes(&tag);
        let sealed = place.seal(&self.db.key, &mut *self.entropy, &rows::evidence(evidence));
        self.db.execute(
            "INSERT INTO evidence (id, message, tag, sealed) VALUES (?1, ?2, ?3, ?4)",
            (id, message, tag, sealed),
        )?;
        Ok(())
    }

    /// Inserts an envelope, or replaces what is known about one: it keeps its
    /// place in the order, and who has stored it.
    fn put_envelope(&mut self, held: &HeldEnvelope) -> Result<(), StoreError> {
        let person = self.db.number_person(&held.contact, &mut *self.entropy)?;
        let envelope_id = held.envelope.id();
        let id = match self.db.envelope_row(&envelope_id)? {
            Some(id) => id,
            None => self.db.next_id("SELECT ifnull(max(id), 0) + 1 FROM envelope")?,
        };
        let forget_at = match held.purpose {
            // The machine seals the message again, and drops this one then.
            Purpose::Message(_) => None,
            Purpose::Receipt | Purpose::Carried => {
                Some(column_of_time(held.envelope.header().expires_at))
            }
        };
        let header = held.envelope.header();
        let columns = EnvelopeColumns {
            row: id,
            person,
            carried: i64::from(held.purpose == Purpose::Carried),
            spreads: i64::from(held.ttl > 0),
            size: column_of_limit(held.envelope.as_bytes().len()),
            mailbox: self.db.mailbox_tag(&header.mailbox),
            purge: self.db.purge_tag(&header.purge_hash),
            forget_at,
        };
        let place = columns.place(&envelope_id);
        let sealed = place.seal(&self.db.key, &mut *self.entropy, &rows::envelope(held));
        let EnvelopeColumns { carried, spreads, size, mailbox, purge, .. } = columns;
        self.db.execute(
            "INSERT INTO envelope (id, envelope_id, person, carried, spreads, size, mailbox,
                purge, forget_at, sealed, pending)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?4 = 0 AND
                NOT EXISTS (SELECT 1 FROM handed WHERE envelope = ?1 AND peer = ?3))
             ON CONFLICT (id) DO UPDATE SET person = excluded.person,
                carried = excluded.carried, pending = excluded.pending,
                spreads = excluded.spreads, size = excluded.size,
                mailbox = excluded.mailbox, purge = excluded.purge,
                forget_at = excluded.forget_at, sealed = excluded.sealed",
            (
                id,
                envelope_id.as_bytes(),
                person,
                carried,
                spreads,
                size,
                mailbox,
                purge,
                forget_at,
                sealed,
            ),
        )?;
        Ok(())
    }

    fn set_ttl(&mut self, id: &EnvelopeId, ttl: u8) -> Result<(), StoreError> {
        match self.db.held(id)? {
            Some(held) if held.ttl != ttl => self.put_envelope(&HeldEnvelope { ttl, ..held }),
            _ => Ok(()),
        }
    }

    fn drop_envelope(&self, id: &EnvelopeId) -> Result<(), StoreError> {
        self.db.execute("DELETE FROM envelope WHERE envelope_id = ?1", [id.as_bytes()])?;
        Ok(())
    }

    fn handed_over(&mut self, peer: &IdentityKey, id: &EnvelopeId) -> Result<(), StoreError> {
        let Some(envelope) = self.db.envelope_row(id)? else { return Ok(()) };
        let peer = self.db.number_person(peer, &mut *self.entropy)?;
        self.db.execute(
            "INSERT INTO handed (envelope, peer) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            (envelope, peer),
        )?;
        self.db.execute(
            "UPDATE envelope SET pending = 0 WHERE id = ?1 AND person = ?2",
            (envelope, peer),
        )?;
        Ok(())
    }

    fn left_at_relay(&self, id: &EnvelopeId) -> Result<(), StoreError> {
        let left = "UPDATE envelope SET at_relay = 1 WHERE envelope_id = ?1";
        self.db.execute(left, [id.as_bytes()])?;
        Ok(())
    }

    fn hand_over_again(&self, peer: &IdentityKey, id: &EnvelopeId) -> Result<(), StoreError> {
        let Some(envelope) = self.db.envelope_row(id)? else { return Ok(()) };
        let Some(peer) = self.db.person(peer)? else { return Ok(()) };
        self.db
            .execute("DELETE FROM handed WHERE envelope = ?1 AND peer = ?2", (envelope, peer))?;
        self.db.execute(
            "UPDATE envelope SET pending = 1 WHERE id = ?1 AND person = ?2 AND carried = 0",
            (envelope, peer),
        )?;
        Ok(())
    }

    fn forget_handed_over(&self, peer: &IdentityKey) -> Result<(), StoreError> {
        let Some(peer) = self.db.person(peer)? else { return Ok(()) };
        self.db.execute("DELETE FROM handed WHERE peer = ?1", [peer])?;
        self.db.execute(
            "UPDATE envelope SET pending = 1 WHERE person = ?1 AND pending = 0 AND carried = 0",
            [peer],
        )?;
        Ok(())
    }

    fn see(
        &mut self,
        id: &EnvelopeId,
        until: UnixMillis,
        purge_key: Option<&PurgeKey>,
    ) -> Result<(), StoreError> {
        let sealed = purge_key
            .map(|key| seen_place(id).seal(&self.db.key, &mut *self.entropy, &rows::seen(key)));
        self.db.execute(
            "INSERT INTO seen (envelope_id, until, sealed) VALUES (?1, ?2, ?3)
             ON CONFLICT (envelope_id) DO UPDATE SET until = max(until, excluded.until),
                sealed = ifnull(excluded.sealed, sealed)",
            (id.as_bytes(), column_of_time(until), sealed),
        )?;
        Ok(())
    }

    fn owe_purge(&mut self, peer: &IdentityKey, id: &EnvelopeId) -> Result<(), StoreError> {
        let peer = self.db.number_person(peer, &mut *self.entropy)?;
        self.db.execute(
            "INSERT INTO owed (peer, envelope_id)
             SELECT ?1, envelope_id FROM seen WHERE envelope_id = ?2
             ON CONFLICT DO NOTHING",
            (peer, id.as_bytes()),
        )?;
        Ok(())
    }

    fn purge_told(&self, peer: &IdentityKey, id: &EnvelopeId) -> Result<(), StoreError> {
        let Some(peer) = self.db.person(peer)? else { return Ok(()) };
        self.db.execute(
            "DELETE FROM owed WHERE peer = ?1 AND envelope_id = ?2",
            (peer, id.as_bytes()),
        )?;
        Ok(())
    }

    fn expire(&self, before: UnixMillis) -> Result<(), StoreError> {
        let before = column_of_time(before);
        self.db.execute("DELETE FROM seen WHERE until < ?1", [before])?;
        self.db.execute("DELETE FROM declined WHERE until < ?1", [before])?;
        self.db.execute("DELETE FROM envelope WHERE forget_at < ?1", [before])?;
        self.db.execute("DELETE FROM unopened WHERE forget_at < ?1", [before])?;
        Ok(())
    }

    /// Keeps an envelope that cannot be opened; one that is there stays as it is.
    fn put_unopened(&mut self, envelope: &Envelope, until: UnixMillis) -> Result<(), StoreError> {
        let envelope_id = envelope.id();
        let known = "SELECT 1 FROM unopened WHERE envelope_id = ?1";
        if self.db.row(known, [envelope_id.as_bytes()], |_| Ok(()))?.is_some() {
            return Ok(());
        }
        let id = self.db.next_id("SELECT ifnull(max(id), 0) + 1 FROM unopened")?;
        let forget_at = column_of_time(until);
        let place = unopened_place(id, &envelope_id, forget_at);
        let sealed = place.seal(&self.db.key, &mut *self.entropy, &rows::unopened(envelope));
        self.db.execute(
            "INSERT INTO unopened (id, envelope_id, forget_at, sealed) VALUES (?1, ?2, ?3, ?4)",
            (id, envelope_id.as_bytes(), forget_at, sealed),
        )?;
        Ok(())
    }

    fn drop_unopened(&self, id: &EnvelopeId) -> Result<(), StoreError> {
        self.db.execute("DELETE FROM unopened WHERE envelope_id = ?1", [id.as_bytes()])?;
        Ok(())
    }
}

/// A time in clear. Those after the year 292,000,000 are one.
pub(crate) fn column_of_time(time: UnixMillis) -> i64 {
    i64::try_from(time.0).unwrap_or(i64::MAX)
}

/// What people see of a message's body and what a search goes through; none if
/// they never see it.
pub(crate) fn shown_text(body: &Body) -> Option<&str> {
    match body {
        Body::Text(text) | Body::ContactRequest { text, .. } => Some(text),
        // Shown as "needs a newer version".
        Body::Unknown { .. } => Some(""),
        Body::Receipt(_)
        | Body::ContactAccept { .. }
        | Body::Card { .. }
        | Body::ResendRequest(_) => None,
    }
}

/// Whether people see a message of this kind in a conversation.
pub(crate) const fn is_shown(body_type: BodyType) -> bool {
    match body_type {
        BodyType::TEXT | BodyType::CONTACT_REQUEST => true,
        other => !other.is_known(),
    }
}

/// A place in a chain; the first is 1.
fn number_of(counter: u64) -> Option<i64> {
    (counter > 0).then(|| i64::try_from(counter).unwrap_or(i64::MAX))
}

const fn is_receipt(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Receipt { .. })
}
