//! What a person asks: what was said, where a word was said, what is unread.

use tortalk_mesh::{DeliveryState, Evidence};
use tortalk_model::{IdentityKey, MessageId, UnixMillis};
use tortalk_seal::{Body, BodyType};

use crate::apply::shown_text;
use crate::cell::Table;
use crate::error::{StoreError, sql};
use crate::messages::{Direction, MessageRow, message_columns};
use crate::reads::column_of_limit;
use crate::rows;
use crate::search::Entry;
use crate::store::Store;

pub(crate) const PAGE: &str =
    message_columns!("WHERE shown = 1 AND id < ?1 ORDER BY id DESC LIMIT ?2");
pub(crate) const PAGE_WITH: &str =
    message_columns!("WHERE person = ?1 AND shown = 1 AND id < ?2 ORDER BY id DESC LIMIT ?3");
pub(crate) const UNREAD: &str = "SELECT unread_from, count(*) FROM incoming
    WHERE unread_from IS NOT NULL GROUP BY unread_from";

/// A message as a person sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Its place: messages that were stored later have higher numbers.
    pub row: u64,
    /// Which way it goes.
    pub direction: Direction,
    /// With whom; not necessarily a contact.
    pub contact: IdentityKey,
    /// Its name.
    pub message_id: MessageId,
    /// What it says. Bodies that people see are text, contact requests, and
    /// those that only a newer version can show. Of what we wrote that is not
    /// text, the words alone are here: a request of ours is without its card.
    pub body: Body,
    /// When it was written, by the writer's clock.
    pub sent_at: UnixMillis,
    /// When it was stored here, by our clock.
    pub at: UnixMillis,
    /// How far a message from us came, as its evidence allows; none for others.
    pub state: Option<DeliveryState>,
    /// What the state rests on, oldest first; empty for a message to us.
    pub evidence: Vec<Evidence>,
    /// Whether the user has seen it; always for a message from us.
    pub read: bool,
}

impl Store {
    /// At most `limit` messages, newest first: with `contact` or with everybody,
    /// of rows below `before` or of all.
    ///
    /// # Errors
    /// When the database cannot be read or a row is damaged.
    pub fn history(
        &self,
        contact: Option<&IdentityKey>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let (before, limit) = (column_of_row(before), column_of_limit(limit));
        let found = match contact {
            None => self.db.rows(PAGE, (before, limit), MessageRow::of)?,
            Some(contact) => {
                let Some(person) = self.db.person(contact)? else { return Ok(Vec::new()) };
                self.db.rows(PAGE_WITH, (person, before, limit), MessageRow::of)?
            }
        };
        found.iter().map(|row| self.entry(row)).collect()
    }

    /// At most `limit` messages with all of `words`, newest first; otherwise as
    /// [`Store::history`].
    ///
    /// Case does not matter, and the start of a word is enough. Words without a
    /// letter or digit are passed over; where no other is left, nothing is found.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub fn search(
        &self,
        words: &str,
        contact: Option<&IdentityKey>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HistoryEntry>, StoreError> {
        let person = match contact {
            None => None,
            Some(contact) => match self.db.person(contact)? {
                Some(person) => Some(person),
                None => return Ok(Vec::new()),
            },
        };
        let before = column_of_row(before);
        let wanted =
            |entry: Entry| entry.row < before && person.is_none_or(|person| person == entry.person);
        let mut entries = Vec::new();
        for row in self.index.find(words, wanted).take(limit) {
            let found = self.db.row(message_columns!("WHERE id = ?1"), [row], MessageRow::of)?;
            let found = found.ok_or_else(|| Table::Message.damaged(row))?;
            entries.push(self.entry(&found)?);
        }
        Ok(entries)
    }

    /// One message, ours before theirs.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub fn message(&self, id: &MessageId) -> Result<Option<HistoryEntry>, StoreError> {
        let found = match self.db.message(id, Direction::Outgoing)? {
            Some(row) => Some(row),
            None => self.db.message(id, Direction::Incoming)?,
        };
        found.map(|row| self.entry(&row)).transpose()
    }

    /// Whether people see this message of ours in a conversation.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub fn is_shown(&self, id: &MessageId) -> Result<bool, StoreError> {
        let shown: Option<i64> = self.db.row(
            "SELECT shown FROM message WHERE message_id = ?1 AND direction = 1",
            [id.as_bytes()],
            |row| row.get(0),
        )?;
        Ok(shown == Some(1))
    }

    /// How many messages the user has not seen, by who wrote them; those with
    /// none are left out.
    ///
    /// # Errors
    /// As [`Store::history`].
    pub fn unread(&self) -> Result<Vec<(IdentityKey, u64)>, StoreError> {
        let counts = self.db.rows(UNREAD, [], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))?;
        counts
            .into_iter()
            .map(|(person, count)| Ok((self.db.identity(person)?, count.cast_unsigned())))
            .collect()
    }

    /// Opens the texts of all messages for [`Store::search`].
    pub(crate) fn fill_index(&mut self) -> Result<(), StoreError> {
        let (db, index) = (&self.db, &mut self.index);
        let mut statement =
            db.connection.prepare(message_columns!("WHERE shown = 1 ORDER BY id")).map_err(sql)?;
        let mut found = statement.query([]).map_err(sql)?;
        while let Some(row) = found.next().map_err(sql)? {
            let row = MessageRow::of(row).map_err(sql)?;
            let entry = Entry { row: row.row, person: row.person };
            match row.direction {
                Direction::Outgoing => index.add(entry, &row.open(db, rows::read_outgoing)?.text),
                Direction::Incoming => {
                    let body = row.open(db, rows::read_incoming)?.body;
                    index.add(entry, shown_text(&body).unwrap_or_default());
                }
            }
            index.commit();
        }
        Ok(())
    }

    fn entry(&self, row: &MessageRow) -> Result<HistoryEntry, StoreError> {
        let number = row.row.cast_unsigned();
        let (direction, message_id) = (row.direction, row.message_id);
        match direction {
            Direction::Outgoing => {
                let message = self.db.outgoing_of(row)?;
                Ok(HistoryEntry {
                    row: number,
                    direction,
                    contact: message.contact,
                    message_id,
                    state: Some(DeliveryState::of(&message)),
                    body: shown_body(message.body_type, message.text),
                    sent_at: message.written_at,
                    at: message.written_at,
                    evidence: message.evidence,
                    read: true,
                })
            }
            Direction::Incoming => {
                let message = self.db.incoming_of(row)?;
                Ok(HistoryEntry {
                    row: number,
                    direction,
                    contact: message.contact,
                    message_id,
                    state: None,
                    body: message.body,
                    sent_at: message.sent_at,
                    at: message.received_at,
                    evidence: Vec::new(),
                    read: message.read,
                })
            }
        }
    }
}

/// What people see of what we wrote.
fn shown_body(body_type: BodyType, text: String) -> Body {
    match body_type {
        BodyType::CONTACT_REQUEST => Body::ContactRequest { card: Vec::new(), text },
        _ => Body::Text(text),
    }
}

fn column_of_row(before: Option<u64>) -> i64 {
    before.map_or(i64::MAX, |row| i64::try_from(row).unwrap_or(i64::MAX))
}
