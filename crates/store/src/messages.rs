//! Rows about messages and envelopes: finding and opening them.

use tortalk_mesh::{Evidence, HeldEnvelope, IncomingMessage, OutgoingMessage};
use tortalk_model::{EnvelopeId, MailboxKey, MessageId, PurgeHash};

use crate::cell::{Place, Table};
use crate::db::Db;
use crate::error::StoreError;
use crate::rows::{self, IncomingState, OutgoingState};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// To us.
    Incoming = 0,
    /// From us.
    Outgoing = 1,
}

/// A row of `message` as it lies there.
pub(crate) struct MessageRow {
    pub(crate) row: i64,
    pub(crate) person: i64,
    pub(crate) direction: Direction,
    pub(crate) message_id: MessageId,
    shown: i64,
    number: Option<i64>,
    sealed: Vec<u8>,
}

/// The columns of [`MessageRow`], for queries.
macro_rules! message_columns {
    ($rest:literal) => {
        concat!(
            "SELECT id, person, direction, shown, message_id, number, sealed FROM message ",
            $rest
        )
    };
}
pub(crate) use message_columns;

impl MessageRow {
    /// Reads the columns of `message_columns!`.
    pub(crate) fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            row: row.get(0)?,
            person: row.get(1)?,
            direction: match row.get(2)? {
                0 => Direction::Incoming,
                1 => Direction::Outgoing,
                other => return Err(rusqlite::Error::IntegralValueOutOfRange(2, other)),
            },
            shown: row.get(3)?,
            message_id: MessageId::from_bytes(row.get(4)?),
            number: row.get(5)?,
            sealed: row.get(6)?,
        })
    }

    /// Opens the part that never changes.
    pub(crate) fn open<T>(
        &self,
        db: &Db,
        read: impl FnOnce(&[u8]) -> Result<T, rows::NotARow>,
    ) -> Result<T, StoreError> {
        let Self { row, person, direction, shown, number, .. } = *self;
        message_place(row, person, direction, shown, &self.message_id, number).open(
            &db.key,
            &self.sealed,
            read,
        )
    }
}

impl Db {
    /// A message's row and whose conversation it belongs to.
    pub(crate) fn message_row(
        &self,
        id: &MessageId,
        direction: Direction,
    ) -> Result<Option<(i64, i64)>, StoreError> {
        self.row(
            "SELECT id, person FROM message WHERE message_id = ?1 AND direction = ?2",
            (id.as_bytes(), direction as i64),
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
    }

    pub(crate) fn message(
        &self,
        id: &MessageId,
        direction: Direction,
    ) -> Result<Option<MessageRow>, StoreError> {
        self.row(
            message_columns!("WHERE message_id = ?1 AND direction = ?2"),
            (id.as_bytes(), direction as i64),
            MessageRow::of,
        )
    }

    pub(crate) fn outgoing_of(&self, row: &MessageRow) -> Result<OutgoingMessage, StoreError> {
        let fixed = row.open(self, rows::read_outgoing)?;
        let state = self.outgoing_state(row.row)?;
        Ok(OutgoingMessage {
            message_id: row.message_id,
            contact: self.identity(row.person)?,
            signed: fixed.signed,
            signature: fixed.signature,
            body_type: fixed.body_type,
            counter: fixed.counter,
            text: fixed.text,
            written_at: fixed.written_at,
            envelope_id: state.envelope_id,
            attempts: state.attempts,
            next_try: state.next_try,
            evidence: self.evidence_for(row.row)?,
        })
    }

    pub(crate) fn incoming_of(&self, row: &MessageRow) -> Result<IncomingMessage, StoreError> {
        let fixed = row.open(self, rows::read_incoming)?;
        let (_, state) = self.incoming_state(row.row)?;
        Ok(IncomingMessage {
            message_id: row.message_id,
            contact: self.identity(row.person)?,
            signed_hash: fixed.signed_hash,
            sent_at: fixed.sent_at,
            received_at: fixed.received_at,
            chain_id: fixed.chain_id,
            counter: fixed.counter,
            body: fixed.body,
            receipt_at: state.receipt_at,
            read: state.read,
        })
    }

    /// What changes about a message from us. Every such message has it.
    pub(crate) fn outgoing_state(&self, row: i64) -> Result<OutgoingState, StoreError> {
        let (waiting_for, retry_at, sealed) = self
            .row(
                "SELECT waiting_for, retry_at, sealed FROM outgoing WHERE message = ?1",
                [row],
                |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, Vec<u8>>(2)?)),
            )?
            .ok_or_else(|| Table::Outgoing.damaged(row))?;
        outgoing_place(row, waiting_for, retry_at).open(
            &self.key,
            &sealed,
            rows::read_outgoing_state,
        )
    }

    /// Whose unread message it is, if it is one, and what changes about a message
    /// to us. Every such message has it.
    pub(crate) fn incoming_state(
        &self,
        row: i64,
    ) -> Result<(Option<i64>, IncomingState), StoreError> {
        let (unread_from, sealed) = self
            .row("SELECT unread_from, sealed FROM incoming WHERE message = ?1", [row], |row| {
                Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?))
            })?
            .ok_or_else(|| Table::Incoming.damaged(row))?;
        let state =
            incoming_place(row, unread_from).open(&self.key, &sealed, rows::read_incoming_state)?;
        Ok((unread_from, state))
    }

    pub(crate) fn evidence_for(&self, message: i64) -> Result<Vec<Evidence>, StoreError> {
        let found = self.rows(
            "SELECT id, tag, sealed FROM evidence WHERE message = ?1 ORDER BY id",
            [message],
            |row| Ok((row.get(0)?, row.get::<_, [u8; 16]>(1)?, row.get::<_, Vec<u8>>(2)?)),
        )?;
        found
            .into_iter()
            .map(|(id, tag, sealed)| {
                let place = Place::new(Table::Evidence, id).number(message).bytes(&tag);
                place.open(&self.key, &sealed, rows::read_evidence)
            })
            .collect()
    }

    pub(crate) fn envelope_row(&self, id: &EnvelopeId) -> Result<Option<i64>, StoreError> {
        self.row("SELECT id FROM envelope WHERE envelope_id = ?1", [id.as_bytes()], |row| {
            row.get(0)
        })
    }

    pub(crate) fn mailbox_tag(&self, mailbox: &MailboxKey) -> [u8; 16] {
        self.key.tag("store/mailbox", mailbox.as_bytes())
    }

    pub(crate) fn purge_tag(&self, hash: &PurgeHash) -> [u8; 16] {
        self.key.tag("store/purge", hash.as_bytes())
    }

    pub(crate) fn held(&self, id: &EnvelopeId) -> Result<Option<HeldEnvelope>, StoreError> {
        let found = self.row(
            "SELECT id, person, carried, spreads, size, mailbox, purge, forget_at, sealed
             FROM envelope WHERE envelope_id = ?1",
            [id.as_bytes()],
            |row| Ok((EnvelopeColumns::of(row)?, row.get::<_, Vec<u8>>(8)?)),
        )?;
        let Some((columns, sealed)) = found else { return Ok(None) };
        let contact = self.identity(columns.person)?;
        columns
            .place(id)
            .open(&self.key, &sealed, |bytes| rows::read_envelope(contact, id, bytes))
            .map(Some)
    }
}

pub(crate) fn message_place(
    row: i64,
    person: i64,
    direction: Direction,
    shown: i64,
    message_id: &MessageId,
    number: Option<i64>,
) -> Place {
    Place::new(Table::Message, row)
        .number(person)
        .number(direction as i64)
        .number(shown)
        .bytes(message_id.as_bytes())
        .maybe(number)
}

pub(crate) fn outgoing_place(row: i64, waiting_for: Option<i64>, retry_at: Option<i64>) -> Place {
    Place::new(Table::Outgoing, row).maybe(waiting_for).maybe(retry_at)
}

pub(crate) fn incoming_place(row: i64, unread_from: Option<i64>) -> Place {
    Place::new(Table::Incoming, row).maybe(unread_from)
}

/// The columns of `envelope` in clear, in their order, but for its own id.
/// `pending` is left out: it follows from the table `handed`.
pub(crate) struct EnvelopeColumns {
    pub(crate) row: i64,
    pub(crate) person: i64,
    pub(crate) carried: i64,
    pub(crate) spreads: i64,
    pub(crate) size: i64,
    pub(crate) mailbox: [u8; 16],
    pub(crate) purge: [u8; 16],
    pub(crate) forget_at: Option<i64>,
}

impl EnvelopeColumns {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            row: row.get(0)?,
            person: row.get(1)?,
            carried: row.get(2)?,
            spreads: row.get(3)?,
            size: row.get(4)?,
            mailbox: row.get(5)?,
            purge: row.get(6)?,
            forget_at: row.get(7)?,
        })
    }

    pub(crate) fn place(&self, envelope_id: &EnvelopeId) -> Place {
        Place::new(Table::Envelope, self.row)
            .bytes(envelope_id.as_bytes())
            .number(self.person)
            .number(self.carried)
            .number(self.spreads)
            .number(self.size)
            .bytes(&self.mailbox)
            .bytes(&self.purge)
            .maybe(self.forget_at)
    }
}

/// `until` is left out: it only grows.
pub(crate) fn seen_place(envelope_id: &EnvelopeId) -> Place {
    Place::new(Table::Seen, 0).bytes(envelope_id.as_bytes())
}

pub(crate) fn unopened_place(row: i64, envelope_id: &EnvelopeId, forget_at: i64) -> Place {
    Place::new(Table::Unopened, row).bytes(envelope_id.as_bytes()).number(forget_at)
}
