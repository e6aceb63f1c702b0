//! What the machine asks.

use tortalk_mesh::{Contact, HeldEnvelope, IncomingMessage, OutgoingMessage, Read};
use tortalk_model::{EnvelopeId, IdentityKey, MessageId, UnixMillis};

use crate::apply::column_of_time;
use crate::cell::{Place, Table};
use crate::error::StoreError;
use crate::messages::Direction;
use crate::rows;
use crate::store::{CARDS, Store, meta, meta_place};

const WAITING: &str = "SELECT message.message_id FROM outgoing
    JOIN message ON message.id = outgoing.message
    WHERE outgoing.waiting_for = ?1 ORDER BY outgoing.message";
const DUE: &str = "SELECT message.message_id FROM outgoing
    JOIN message ON message.id = outgoing.message
    WHERE outgoing.retry_at <= ?1
    ORDER BY outgoing.retry_at, outgoing.message LIMIT ?2";
const NEXT_DUE: &str = "SELECT min(retry_at) FROM outgoing WHERE retry_at IS NOT NULL";
const PENDING: &str = "SELECT envelope_id FROM envelope
    WHERE person = ?1 AND pending = 1 AND id > ?2 ORDER BY id LIMIT ?3";

impl Read for Store {
    type Error = StoreError;

    fn contacts(&self) -> Result<Vec<Contact>, StoreError> {
        let found =
            self.db.rows("SELECT id, person, sealed FROM contact ORDER BY id", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
            })?;
        found
            .into_iter()
            .map(|(id, person, sealed)| {
                let identity = self.db.identity(person)?;
                let place = Place::new(Table::Contact, id).number(person);
                place.open(&self.db.key, &sealed, |bytes| rows::read_contact(identity, bytes))
            })
            .collect()
    }

    fn own_cards(&self) -> Result<Option<(Vec<u8>, Vec<u8>)>, StoreError> {
        let Some(sealed) = meta(&self.db, CARDS)? else { return Ok(None) };
        meta_place(CARDS).open(&self.db.key, &sealed, rows::read_cards).map(Some)
    }

    fn outgoing(&self, id: &MessageId) -> Result<Option<OutgoingMessage>, StoreError> {
        let found = self.db.message(id, Direction::Outgoing)?;
        found.map(|row| self.db.outgoing_of(&row)).transpose()
    }

    fn waiting_for_key(&self, contact: &IdentityKey) -> Result<Vec<MessageId>, StoreError> {
        let Some(person) = self.db.person(contact)? else { return Ok(Vec::new()) };
        self.db.rows(WAITING, [person], |row| row.get(0).map(MessageId::from_bytes))
    }

    /// The earliest first.
    fn due(&self, now: UnixMillis, limit: usize) -> Result<Vec<MessageId>, StoreError> {
        self.db.rows(DUE, (column_of_time(now), column_of_limit(limit)), |row| {
            row.get(0).map(MessageId::from_bytes)
        })
    }

    /// Of those that [`Read::due`] can name.
    fn next_due(&self) -> Result<Option<UnixMillis>, StoreError> {
        let earliest: Option<Option<i64>> = self.db.row(NEXT_DUE, [], |row| row.get(0))?;
        Ok(earliest.flatten().map(|at| UnixMillis(at.cast_unsigned())))
    }

    fn envelope(&self, id: &EnvelopeId) -> Result<Option<HeldEnvelope>, StoreError> {
        self.db.held(id)
    }

    /// An `after` that is not held any more counts as none.
    fn pending_for(
        &self,
        contact: &IdentityKey,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<EnvelopeId>, StoreError> {
        let Some(person) = self.db.person(contact)? else { return Ok(Vec::new()) };
        let after = match after {
            Some(id) => self.db.envelope_row(&id)?.unwrap_or(0),
            None => 0,
        };
        self.db.rows(PENDING, (person, after, column_of_limit(limit)), |row| {
            row.get(0).map(EnvelopeId::from_bytes)
        })
    }

    fn seen(&self, id: &EnvelopeId) -> Result<bool, StoreError> {
        let found = self.db.row(
            "SELECT 1 FROM seen WHERE envelope_id = ?1",
            [id.as_bytes()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    fn incoming(&self, id: &MessageId) -> Result<Option<IncomingMessage>, StoreError> {
        let found = self.db.message(id, Direction::Incoming)?;
        found.map(|row| self.db.incoming_of(&row)).transpose()
    }
}

pub(crate) fn column_of_limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{PAGE, PAGE_WITH, UNREAD};

    /// What must stay fast with ten thousand envelopes and a hundred thousand
    /// messages goes by an index: no sorting, no walk through a whole table.
    #[test]
    fn queries_go_by_their_index() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("store.sqlite");
        let connection = tortalk_sqlite::open(&path, &crate::schema::SCHEMA).expect("a database");
        for (query, index) in [
            (WAITING, "outgoing_waiting"),
            (DUE, "outgoing_due"),
            (NEXT_DUE, "outgoing_due"),
            (PENDING, "envelope_pending"),
            (PAGE, "INTEGER PRIMARY KEY"),
            (PAGE_WITH, "message_of"),
            (UNREAD, "incoming_unread"),
        ] {
            let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).expect("SQL");
            let count = plan.parameter_count();
            let steps: Vec<String> = plan
                .query_map(rusqlite::params_from_iter(vec![1; count]), |row| row.get(3))
                .expect("a plan")
                .collect::<Result<_, _>>()
                .expect("its steps");
            let plan = steps.join("; ");
            assert!(plan.contains(index), "{query}\n{plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{query}\n{plan}");
            for step in &steps {
                assert!(!step.starts_with("SCAN") || step.contains("INDEX"), "{query}\n{plan}");
            }
        }
    }
}
