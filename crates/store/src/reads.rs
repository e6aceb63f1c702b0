//! What the machine asks.

use tortalk_keys::relay::RelayAddress;
use tortalk_mesh::{
    Carried, Contact, ContactRequest, HeldEnvelope, IncomingMessage, OutgoingMessage, Read,
    RegisteredMailbox,
};
use tortalk_model::{
    Envelope, EnvelopeId, IdentityKey, MailboxKey, MessageId, PurgeHash, PurgeKey, UnixMillis,
};

use crate::apply::column_of_time;
use crate::cell::{Place, Table};
use crate::error::StoreError;
use crate::messages::{Direction, seen_place, unopened_place};
use crate::rows;
use crate::store::{ADOPTED, CARDS, RELAYS, Store, meta, meta_place};

const WAITING: &str = "SELECT message.message_id FROM outgoing
    JOIN message ON message.id = outgoing.message
    WHERE outgoing.waiting_for = ?1 ORDER BY outgoing.message";
const DUE: &str = "SELECT message.message_id FROM outgoing
    JOIN message ON message.id = outgoing.message
    WHERE outgoing.retry_at <= ?1
    ORDER BY outgoing.retry_at, outgoing.message LIMIT ?2";
const UNFINISHED: &str = "SELECT message.message_id FROM outgoing
    JOIN message ON message.id = outgoing.message
    WHERE outgoing.retry_at IS NOT NULL AND message.person = ?1";
const WRITTEN: &str = "SELECT message_id FROM message
    WHERE person = ?1 AND number >= ?2 AND number <= ?3 ORDER BY number LIMIT 1024";
const NEXT_DUE: &str = "SELECT min(retry_at) FROM outgoing WHERE retry_at IS NOT NULL";
const PENDING: &str = "SELECT envelope_id FROM envelope
    WHERE person = ?1 AND pending = 1 AND id > ?2 ORDER BY id LIMIT ?3";

const TO_SPREAD: &str = "SELECT envelope_id FROM envelope
    WHERE spreads = 1 AND id > ?1 AND person != ?2
        AND NOT EXISTS (SELECT 1 FROM handed WHERE envelope = envelope.id AND peer = ?2)
    ORDER BY id LIMIT ?3";
const CARRIED_FOR: &str = "SELECT envelope_id FROM envelope
    WHERE mailbox = ?1 AND carried = 1 AND id > ?2
        AND NOT EXISTS (SELECT 1 FROM handed WHERE envelope = envelope.id AND peer = ?3)
    ORDER BY id LIMIT ?4";
const CARRIED: &str = "SELECT person, count(*), sum(size) FROM envelope
    WHERE carried = 1 GROUP BY person";
const WAITING_HERE: &str = "SELECT count(*) FROM envelope
    WHERE carried = 0 AND at_relay = 0
        AND NOT EXISTS (SELECT 1 FROM handed WHERE envelope = envelope.id)";
const PURGED_BY: &str = "SELECT envelope_id FROM envelope WHERE purge = ?1 ORDER BY id";
const HANDED_TO: &str = "SELECT handed.peer FROM handed
    JOIN envelope ON envelope.id = handed.envelope
    WHERE envelope.envelope_id = ?1 ORDER BY handed.peer";
const OWED: &str = "SELECT seen.envelope_id, seen.sealed FROM owed
    JOIN seen ON seen.envelope_id = owed.envelope_id
    WHERE owed.peer = ?1 AND seen.sealed IS NOT NULL ORDER BY owed.envelope_id LIMIT ?2";
/// Nobody has this number.
const NOBODY: i64 = 0;

impl Store {
    /// How many envelopes of ours are nowhere but here: no peer and no relay has
    /// said that it stored them.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn waiting(&self) -> Result<u64, StoreError> {
        let count = self.db.row(WAITING_HERE, [], |row| row.get::<_, i64>(0))?;
        Ok(count.unwrap_or(0).cast_unsigned())
    }
}

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

    fn requests(&self) -> Result<Vec<ContactRequest>, StoreError> {
        let found =
            self.db.rows("SELECT id, person, sealed FROM request ORDER BY id", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?))
            })?;
        found
            .into_iter()
            .map(|(id, person, sealed)| {
                let identity = self.db.identity(person)?;
                let place = Place::new(Table::Request, id).number(person);
                place.open(&self.db.key, &sealed, |bytes| rows::read_request(identity, bytes))
            })
            .collect()
    }

    fn declined(&self, id: &MessageId) -> Result<bool, StoreError> {
        let found =
            self.db
                .row("SELECT 1 FROM declined WHERE message_id = ?1", [id.as_bytes()], |_| Ok(()))?;
        Ok(found.is_some())
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

    /// In no order.
    fn unfinished(&self, contact: &IdentityKey) -> Result<Vec<MessageId>, StoreError> {
        let Some(person) = self.db.person(contact)? else { return Ok(Vec::new()) };
        self.db.rows(UNFINISHED, [person], |row| row.get(0).map(MessageId::from_bytes))
    }

    fn written(
        &self,
        contact: &IdentityKey,
        from: u64,
        to: u64,
    ) -> Result<Vec<MessageId>, StoreError> {
        let Some(person) = self.db.person(contact)? else { return Ok(Vec::new()) };
        let column = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.db.rows(WRITTEN, (person, column(from), column(to)), |row| {
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
        let after = self.row_after(after)?;
        self.db.rows(PENDING, (person, after, column_of_limit(limit)), |row| {
            row.get(0).map(EnvelopeId::from_bytes)
        })
    }

    fn holds(&self, id: &EnvelopeId) -> Result<bool, StoreError> {
        Ok(self.db.envelope_row(id)?.is_some())
    }

    fn is_left_at_relay(&self, id: &EnvelopeId) -> Result<bool, StoreError> {
        let found = self.db.row(
            "SELECT 1 FROM envelope WHERE envelope_id = ?1 AND at_relay = 1",
            [id.as_bytes()],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    /// As [`Read::pending_for`] about `after`.
    fn to_spread(
        &self,
        peer: &IdentityKey,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<EnvelopeId>, StoreError> {
        let peer = self.db.person(peer)?.unwrap_or(NOBODY);
        let after = self.row_after(after)?;
        self.db.rows(TO_SPREAD, (after, peer, column_of_limit(limit)), |row| {
            row.get(0).map(EnvelopeId::from_bytes)
        })
    }

    /// As [`Read::pending_for`] about `after`.
    fn carried_for(
        &self,
        mailbox: &MailboxKey,
        peer: &IdentityKey,
        after: Option<EnvelopeId>,
        limit: usize,
    ) -> Result<Vec<EnvelopeId>, StoreError> {
        let peer = self.db.person(peer)?.unwrap_or(NOBODY);
        let after = self.row_after(after)?;
        let mailbox = self.db.mailbox_tag(mailbox);
        self.db.rows(CARRIED_FOR, (mailbox, after, peer, column_of_limit(limit)), |row| {
            row.get(0).map(EnvelopeId::from_bytes)
        })
    }

    fn carried(&self) -> Result<Vec<Carried>, StoreError> {
        let found = self.db.rows(CARRIED, [], |row| {
            Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        })?;
        let of = |(person, envelopes, bytes): (i64, i64, i64)| {
            let (envelopes, bytes) = (envelopes.cast_unsigned(), bytes.cast_unsigned());
            Ok(Carried { giver: self.db.identity(person)?, envelopes, bytes })
        };
        found.into_iter().map(of).collect()
    }

    fn purged_by(&self, hash: &PurgeHash) -> Result<Vec<EnvelopeId>, StoreError> {
        let tag = self.db.purge_tag(hash);
        self.db.rows(PURGED_BY, [tag], |row| row.get(0).map(EnvelopeId::from_bytes))
    }

    fn handed_to(&self, id: &EnvelopeId) -> Result<Vec<IdentityKey>, StoreError> {
        let peers = self.db.rows(HANDED_TO, [id.as_bytes()], |row| row.get(0))?;
        peers.into_iter().map(|peer| self.db.identity(peer)).collect()
    }

    fn purge_key(&self, id: &EnvelopeId) -> Result<Option<PurgeKey>, StoreError> {
        let sealed: Option<Option<Vec<u8>>> = self.db.row(
            "SELECT sealed FROM seen WHERE envelope_id = ?1",
            [id.as_bytes()],
            |row| row.get(0),
        )?;
        let open = |sealed: Vec<u8>| seen_place(id).open(&self.db.key, &sealed, rows::read_seen);
        sealed.flatten().map(open).transpose()
    }

    fn owed_purges(
        &self,
        peer: &IdentityKey,
        limit: usize,
    ) -> Result<Vec<(EnvelopeId, PurgeKey)>, StoreError> {
        let peer = self.db.person(peer)?.unwrap_or(NOBODY);
        let found = self.db.rows(OWED, (peer, column_of_limit(limit)), |row| {
            Ok((EnvelopeId::from_bytes(row.get(0)?), row.get::<_, Vec<u8>>(1)?))
        })?;
        let open = |(id, sealed): (EnvelopeId, Vec<u8>)| {
            Ok((id, seen_place(&id).open(&self.db.key, &sealed, rows::read_seen)?))
        };
        found.into_iter().map(open).collect()
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

    fn own_relays(&self) -> Result<Vec<RegisteredMailbox>, StoreError> {
        let Some(sealed) = meta(&self.db, RELAYS)? else { return Ok(Vec::new()) };
        meta_place(RELAYS).open(&self.db.key, &sealed, rows::read_own_relays)
    }

    fn adopted_relays(&self) -> Result<Vec<RelayAddress>, StoreError> {
        let Some(sealed) = meta(&self.db, ADOPTED)? else { return Ok(Vec::new()) };
        meta_place(ADOPTED).open(&self.db.key, &sealed, rows::read_adopted_relays)
    }

    fn unopened(&self) -> Result<Vec<EnvelopeId>, StoreError> {
        let query = "SELECT envelope_id FROM unopened ORDER BY id";
        self.db.rows(query, [], |row| row.get(0).map(EnvelopeId::from_bytes))
    }

    fn unopened_envelope(&self, id: &EnvelopeId) -> Result<Option<Envelope>, StoreError> {
        let found = self.db.row(
            "SELECT id, forget_at, sealed FROM unopened WHERE envelope_id = ?1",
            [id.as_bytes()],
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)),
        )?;
        let Some((row, forget_at, sealed)) = found else { return Ok(None) };
        unopened_place(row, id, forget_at)
            .open(&self.db.key, &sealed, |bytes| rows::read_unopened(id, bytes))
            .map(Some)
    }
}

impl Store {
    /// The row of an envelope, or one in front of all.
    fn row_after(&self, id: Option<EnvelopeId>) -> Result<i64, StoreError> {
        match id {
            Some(id) => Ok(self.db.envelope_row(&id)?.unwrap_or(0)),
            None => Ok(0),
        }
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
            (UNFINISHED, "outgoing_due"),
            (WRITTEN, "message_number"),
            (NEXT_DUE, "outgoing_due"),
            (PENDING, "envelope_pending"),
            (TO_SPREAD, "envelope_spreads"),
            (CARRIED_FOR, "envelope_mailbox"),
            (CARRIED, "envelope_carried"),
            (PURGED_BY, "envelope_purge"),
            (OWED, "PRIMARY KEY"),
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
