//! One transaction.

use rusqlite::{Transaction, params};
use tortalk_model::{Envelope, EnvelopeId, MailboxKey, PurgeHash, UnixMillis};
use tortalk_sqlite::StoreFault;

use super::values::{PURGED, array, card, class, class_number, number, prefix, signed};
use super::{all, one, run, time, totals};
use crate::rules::quota::{Class, DepositKey, Held, Mailbox};
use crate::store::{Group, MailboxId, Row, StoreError, StoredCard, Sums, Totals};

/// Where the purge hash lies in an envelope's bytes, counted from one.
const PURGE_HASH_AT: i64 = 52;

pub(super) struct SqliteGroup<'c> {
    transaction: Transaction<'c>,
    /// The number of the next row of content, once one was written.
    next_row: Option<i64>,
}

impl<'c> SqliteGroup<'c> {
    pub(super) const fn new(transaction: Transaction<'c>) -> Self {
        Self { transaction, next_row: None }
    }

    /// A number for a row of content that no row has had.
    fn take_row(&mut self) -> Result<i64, StoreError> {
        let row = match self.next_row {
            Some(row) => row,
            None => one(&self.transaction, "SELECT next_row FROM relay", [], |row| row.get(0))?
                .ok_or(StoreFault::Damaged)?,
        };
        self.next_row = Some(row + 1);
        Ok(row)
    }

    /// Deletes the bytes of a mailbox's envelopes above `after` up to `up_to`.
    fn delete_content(&self, id: i64, after: i64, up_to: i64) -> Result<usize, StoreError> {
        run(
            &self.transaction,
            "DELETE FROM content WHERE row IN (
                 SELECT row FROM envelope
                 WHERE mailbox = ?1 AND seq > ?2 AND seq <= ?3 AND class < 2)",
            [id, after, up_to],
        )
    }
}

impl Group for SqliteGroup<'_> {
    fn find(&mut self, key: &MailboxKey) -> Result<Option<(MailboxId, Mailbox)>, StoreError> {
        one(
            &self.transaction,
            "SELECT registered_until, deposit_key, next_seq, cursor, stamped_count,
                 stamped_bytes, stranger_count, stranger_bytes, purged, id
             FROM mailbox WHERE key = ?1",
            [&key.as_bytes()[..]],
            |row| Ok((MailboxId(row.get(9)?), mailbox(row)?)),
        )
    }

    fn load(&mut self, id: MailboxId) -> Result<Mailbox, StoreError> {
        let row = one(
            &self.transaction,
            "SELECT registered_until, deposit_key, next_seq, cursor, stamped_count,
                 stamped_bytes, stranger_count, stranger_bytes, purged
             FROM mailbox WHERE id = ?1",
            [id.0],
            mailbox,
        )?;
        Ok(row.ok_or(StoreFault::Damaged)?)
    }

    fn create(&mut self, key: &MailboxKey, mailbox: &Mailbox) -> Result<MailboxId, StoreError> {
        run(
            &self.transaction,
            "INSERT INTO mailbox (key, registered_until, next_seq, cursor, swept, stamped_count,
                 stamped_bytes, stranger_count, stranger_bytes, purged)
             VALUES (?1, 0, ?2, ?3, ?3, 0, 0, 0, 0, 0)",
            params![&key.as_bytes()[..], signed(mailbox.next_seq), signed(mailbox.cursor)],
        )?;
        let id = MailboxId(self.transaction.last_insert_rowid());
        self.save(id, mailbox)?;
        Ok(id)
    }

    fn save(&mut self, id: MailboxId, mailbox: &Mailbox) -> Result<(), StoreError> {
        run(
            &self.transaction,
            "UPDATE mailbox SET registered_until = ?2, deposit_key = ?3, next_seq = ?4,
                 cursor = ?5, stamped_count = ?6, stamped_bytes = ?7, stranger_count = ?8,
                 stranger_bytes = ?9, purged = ?10
             WHERE id = ?1",
            params![
                id.0,
                time(mailbox.registered_until),
                mailbox.deposit_key.as_ref().map(|key| &key.as_bytes()[..]),
                signed(mailbox.next_seq),
                signed(mailbox.cursor),
                signed(mailbox.stamped.count),
                signed(mailbox.stamped.bytes),
                signed(mailbox.strangers.count),
                signed(mailbox.strangers.bytes),
                signed(mailbox.purged),
            ],
        )?;
        Ok(())
    }

    fn remove(&mut self, id: MailboxId) -> Result<(), StoreError> {
        self.delete_content(id.0, 0, i64::MAX)?;
        for sql in [
            "DELETE FROM envelope WHERE mailbox = ?1",
            "DELETE FROM card WHERE mailbox = ?1",
            "DELETE FROM mailbox WHERE id = ?1",
        ] {
            run(&self.transaction, sql, [id.0])?;
        }
        Ok(())
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        totals(&self.transaction)
    }

    fn save_totals(&mut self, totals: &Totals) -> Result<(), StoreError> {
        run(
            &self.transaction,
            "UPDATE relay SET bytes = ?1, mailboxes = ?2, first_seq = ?3",
            [signed(totals.bytes), signed(totals.mailboxes), signed(totals.first_seq)],
        )?;
        Ok(())
    }

    fn knows(&mut self, id: &EnvelopeId, purge: &PurgeHash) -> Result<bool, StoreError> {
        let found = one(
            &self.transaction,
            "SELECT 1 FROM envelope WHERE purge = ?1 AND tag = ?2 AND id = ?3",
            params![prefix(purge.as_bytes()), prefix(id.as_bytes()), &id.as_bytes()[..]],
            |_| Ok(()),
        )?;
        Ok(found.is_some())
    }

    fn insert(
        &mut self,
        mailbox: MailboxId,
        seq: u64,
        class: Class,
        cost: u64,
        envelope: &Envelope,
    ) -> Result<(), StoreError> {
        let row = self.take_row()?;
        run(
            &self.transaction,
            "INSERT INTO content (row, bytes) VALUES (?1, ?2)",
            params![row, envelope.as_bytes()],
        )?;
        let (id, header) = (envelope.id(), envelope.header());
        run(
            &self.transaction,
            "INSERT INTO envelope (mailbox, seq, row, class, cost, expires_at, purge, tag, id)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            params![
                mailbox.0,
                signed(seq),
                row,
                class_number(class),
                signed(cost),
                time(header.expires_at),
                prefix(header.purge_hash.as_bytes()),
                prefix(id.as_bytes()),
                &id.as_bytes()[..],
            ],
        )?;
        Ok(())
    }

    fn sums(&mut self, mailbox: MailboxId, after: u64, up_to: u64) -> Result<Sums, StoreError> {
        let rows = all(
            &self.transaction,
            "SELECT class, count(*), sum(cost) FROM envelope
             WHERE mailbox = ?1 AND seq > ?2 AND seq <= ?3 GROUP BY class",
            [mailbox.0, signed(after), signed(up_to)],
            |row| {
                let held = Held { count: number(row, 1)?, bytes: number(row, 2)? };
                Ok((class(row, 0)?, held))
            },
        )?;
        let mut sums = Sums::default();
        for (class, held) in rows {
            match class {
                Some(Class::Stamped) => sums.stamped = held,
                Some(Class::Stranger) => sums.strangers = held,
                None => sums.purged = held.count,
            }
        }
        Ok(sums)
    }

    fn with_purge_hash(&mut self, hash: &PurgeHash, limit: usize) -> Result<Vec<Row>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        all(
            &self.transaction,
            "SELECT envelope.mailbox, envelope.seq, envelope.class, envelope.cost
             FROM envelope JOIN content ON content.row = envelope.row
             WHERE envelope.purge = ?1 AND envelope.class < 2
                 AND substr(content.bytes, ?2, 32) = ?3
             LIMIT ?4",
            params![prefix(hash.as_bytes()), PURGE_HASH_AT, &hash.as_bytes()[..], limit],
            row_of,
        )
    }

    fn forget_content(&mut self, mailbox: MailboxId, seq: u64) -> Result<(), StoreError> {
        self.delete_content(mailbox.0, signed(seq) - 1, signed(seq))?;
        run(
            &self.transaction,
            "UPDATE envelope SET class = ?3 WHERE mailbox = ?1 AND seq = ?2",
            [mailbox.0, signed(seq), PURGED],
        )?;
        Ok(())
    }

    fn forget(&mut self, mailbox: MailboxId, seq: u64) -> Result<(), StoreError> {
        self.delete_content(mailbox.0, signed(seq) - 1, signed(seq))?;
        run(
            &self.transaction,
            "DELETE FROM envelope WHERE mailbox = ?1 AND seq = ?2",
            [mailbox.0, signed(seq)],
        )?;
        Ok(())
    }

    fn sweep_acknowledged(&mut self, remembered: u64, limit: usize) -> Result<usize, StoreError> {
        let mut done = 0;
        while done < limit {
            let next = one(
                &self.transaction,
                "SELECT id, swept, cursor FROM mailbox WHERE swept < cursor LIMIT 1",
                [],
                |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?)),
            )?;
            let Some((id, swept, cursor)) = next else { break };
            let left = i64::try_from(limit - done).unwrap_or(i64::MAX);
            let up_to = cursor.min(swept.saturating_add(left));
            self.delete_content(id, swept, up_to)?;
            run(
                &self.transaction,
                "DELETE FROM envelope WHERE mailbox = ?1 AND seq <= ?2",
                [id, up_to.saturating_sub(signed(remembered))],
            )?;
            run(&self.transaction, "UPDATE mailbox SET swept = ?2 WHERE id = ?1", [id, up_to])?;
            done += usize::try_from(up_to - swept).unwrap_or(usize::MAX).max(1);
        }
        Ok(done)
    }

    fn take_expired(&mut self, before: UnixMillis, limit: usize) -> Result<Vec<Row>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = all(
            &self.transaction,
            "SELECT mailbox, seq, class, cost FROM envelope WHERE expires_at < ?1
             ORDER BY expires_at LIMIT ?2",
            [time(before), limit],
            row_of,
        )?;
        for row in &rows {
            self.forget(row.mailbox, row.seq)?;
        }
        Ok(rows)
    }

    fn lapsed(&mut self, now: UnixMillis, limit: usize) -> Result<Vec<MailboxId>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        all(
            &self.transaction,
            "SELECT id FROM mailbox
             WHERE stamped_count = 0 AND stranger_count = 0 AND registered_until <= ?1
             ORDER BY registered_until LIMIT ?2",
            [time(now), limit],
            |row| row.get(0).map(MailboxId),
        )
    }

    fn card(&mut self, mailbox: MailboxId) -> Result<Option<StoredCard>, StoreError> {
        one(
            &self.transaction,
            "SELECT seq, blob, signature, put_at FROM card WHERE mailbox = ?1",
            [mailbox.0],
            card,
        )
    }

    fn put_card(&mut self, mailbox: MailboxId, stored: &StoredCard) -> Result<(), StoreError> {
        run(
            &self.transaction,
            "INSERT OR REPLACE INTO card (mailbox, seq, blob, signature, put_at)
             VALUES (?1, ?2, ?3, ?4, ?5)",
            params![
                mailbox.0,
                stored.card.seq.cast_signed(),
                &stored.card.blob[..],
                &stored.card.signature[..],
                time(stored.put_at),
            ],
        )?;
        Ok(())
    }

    fn sweep_cards(&mut self, before: UnixMillis, limit: usize) -> Result<usize, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        run(
            &self.transaction,
            "DELETE FROM card WHERE mailbox IN (
                 SELECT mailbox FROM card WHERE put_at < ?1 LIMIT ?2)",
            [time(before), limit],
        )
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if let Some(next) = self.next_row {
            run(&self.transaction, "UPDATE relay SET next_row = ?1", [next])?;
        }
        Ok(self.transaction.commit().map_err(StoreFault::from)?)
    }
}

/// A mailbox from the columns that `find` and `load` name.
fn mailbox(row: &rusqlite::Row<'_>) -> rusqlite::Result<Mailbox> {
    let deposit_key = match row.get_ref(1)? {
        rusqlite::types::ValueRef::Null => None,
        _ => Some(DepositKey::from_bytes(array(row, 1)?)),
    };
    Ok(Mailbox {
        registered_until: UnixMillis(number(row, 0)?),
        deposit_key,
        next_seq: number(row, 2)?,
        cursor: number(row, 3)?,
        stamped: Held { count: number(row, 4)?, bytes: number(row, 5)? },
        strangers: Held { count: number(row, 6)?, bytes: number(row, 7)? },
        purged: number(row, 8)?,
    })
}

fn row_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        mailbox: MailboxId(row.get(0)?),
        seq: number(row, 1)?,
        class: class(row, 2)?,
        cost: number(row, 3)?,
    })
}
