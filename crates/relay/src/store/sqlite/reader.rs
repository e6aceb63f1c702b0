//! Reading beside the writer.

use rusqlite::{Connection, params};
use tortalk_model::{Epoch, MailboxKey};
use tortalk_rpc::EnvelopeBytes;
use tortalk_sqlite::StoreFault;

use super::values::{array, card, number, signed, wrong};
use super::{one, totals};
use crate::store::{Queued, Reader, StoreError, StoredCard, Totals};

/// Reads the database. Each call sees what is committed when it begins.
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
}

impl SqliteReader {
    pub(super) const fn new(connection: Connection) -> Self {
        Self { connection }
    }
}

impl Reader for SqliteReader {
    fn epoch(&mut self) -> Result<Epoch, StoreError> {
        let epoch = one(&self.connection, "SELECT epoch FROM relay", [], |row| array(row, 0))?;
        Ok(Epoch::from_bytes(epoch.ok_or(StoreFault::Damaged)?))
    }

    fn queued(
        &mut self,
        mailbox: &MailboxKey,
        after: u64,
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Queued>, StoreError> {
        let mut found = Vec::new();
        let mut left = bytes;
        let mut read = || -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(
                "SELECT envelope.seq, content.bytes
                 FROM mailbox
                 JOIN envelope ON envelope.mailbox = mailbox.id
                     AND envelope.seq > max(?2, mailbox.cursor)
                 JOIN content ON content.row = envelope.row
                 WHERE mailbox.key = ?1 AND envelope.class < 2
                 ORDER BY envelope.seq LIMIT ?3",
            )?;
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let mut rows =
                statement.query(params![&mailbox.as_bytes()[..], signed(after), count])?;
            while let Some(row) = rows.next()? {
                let envelope = row.get_ref(1)?.as_blob()?;
                if envelope.len() > left {
                    break;
                }
                left -= envelope.len();
                let envelope = EnvelopeBytes::try_from(envelope).map_err(|e| wrong(1, e))?;
                found.push(Queued { seq: number(row, 0)?, envelope });
            }
            Ok(())
        };
        read().map_err(StoreFault::from)?;
        Ok(found)
    }

    fn card(&mut self, mailbox: &MailboxKey) -> Result<Option<StoredCard>, StoreError> {
        one(
            &self.connection,
            "SELECT card.seq, card.blob, card.signature, card.put_at
             FROM mailbox JOIN card ON card.mailbox = mailbox.id
             WHERE mailbox.key = ?1",
            [&mailbox.as_bytes()[..]],
            card,
        )
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        totals(&self.connection)
    }
}
