//! The open database: its life and its transactions.

use core::fmt;
use std::io::ErrorKind;
use std::path::Path;

use tortalk_model::StoreId;
use tortalk_model::entropy::{self, Entropy};

use crate::cell::{Place, Table};
use crate::db::Db;
use crate::error::StoreError;
use crate::rows;
use crate::schema::SCHEMA;
use crate::search::SearchIndex;
use crate::vault::ProfileKey;

/// A profile's database.
///
/// Reads see every write that was applied, committed or not. What
/// [`Store::commit`] returned from is durable. One process holds a profile (the
/// lock of its folder sees to that), and in it one thread holds the store.
pub struct Store {
    pub(crate) db: Db,
    pub(crate) entropy: Box<dyn Entropy + Send>,
    pub(crate) index: SearchIndex,
    store_id: StoreId,
    transaction: Transaction,
}

/// What [`Store::begin`] was followed by so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// A write failed, so a commit would keep half of what belongs together.
    Failed,
}

impl Store {
    /// Makes the database of a new profile.
    ///
    /// `entropy` gives the store id, and then a nonce for every value sealed.
    ///
    /// # Errors
    /// [`StoreError::AlreadyThere`] when one is there; a file that an
    /// interrupted `create` left is completed.
    pub fn create(
        path: &Path,
        key: ProfileKey,
        mut entropy: Box<dyn Entropy + Send>,
    ) -> Result<Self, StoreError> {
        let db = Db::new(tortalk_sqlite::open(path, &SCHEMA)?, key);
        if meta(&db, STORE)?.is_some() {
            return Err(StoreError::AlreadyThere { path: path.to_owned() });
        }
        let store_id = StoreId::from_bytes(entropy::array(&mut *entropy));
        let mut store = Self::around(db, entropy, store_id);
        store.begin()?;
        store.put_meta(STORE, &rows::store_id(&store_id))?;
        store.commit()?;
        Ok(store)
    }

    /// Opens a profile's database, brings its tables up to date, and opens all
    /// messages for [`Store::search`].
    ///
    /// # Errors
    /// [`StoreError::NotThere`] without a database, [`StoreError::WrongKey`] when
    /// it is another profile's, [`StoreError::Damaged`] when a message does not
    /// open, [`StoreError::Open`] for all else.
    pub fn open(
        path: &Path,
        key: ProfileKey,
        entropy: Box<dyn Entropy + Send>,
    ) -> Result<Self, StoreError> {
        let not_there = || StoreError::NotThere { path: path.to_owned() };
        // SQLite makes what is missing, and fills what is empty with tables.
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.len() == 0 => return Err(not_there()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_there()),
            _ => {}
        }
        let db = Db::new(tortalk_sqlite::open(path, &SCHEMA)?, key);
        let sealed = meta(&db, STORE)?.ok_or_else(not_there)?;
        let store_id = meta_place(STORE)
            .open(&db.key, &sealed, rows::read_store_id)
            .map_err(|_| StoreError::WrongKey { path: path.to_owned() })?;
        let mut store = Self::around(db, entropy, store_id);
        store.fill_index()?;
        Ok(store)
    }

    /// The life of this database: made with it, shown to contacts.
    pub const fn store_id(&self) -> StoreId {
        self.store_id
    }

    /// Opens a transaction.
    ///
    /// # Errors
    /// [`StoreError::InTransaction`] when one is open, [`StoreError::Fault`] when
    /// the database cannot be written.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        if self.transaction != Transaction::None {
            return Err(StoreError::InTransaction);
        }
        self.db.execute("BEGIN IMMEDIATE", [])?;
        self.transaction = Transaction::Open;
        Ok(())
    }

    /// Makes everything since [`Store::begin`] durable.
    ///
    /// # Errors
    /// Whatever the error, nothing of it was kept and no transaction is open:
    /// [`StoreError::NoTransaction`], [`StoreError::Incomplete`] when a write
    /// failed before, [`StoreError::Fault`] when the disk does not take it.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        let outcome = match self.transaction {
            Transaction::None => return Err(StoreError::NoTransaction),
            Transaction::Failed => Err(StoreError::Incomplete),
            Transaction::Open => self.db.execute("COMMIT", []),
        };
        match outcome {
            Ok(_) => {
                self.transaction = Transaction::None;
                self.index.commit();
                Ok(())
            }
            Err(error) => {
                // The error that says why is this one, not the rollback's.
                let _rolled_back = self.rollback();
                Err(error)
            }
        }
    }

    /// Takes back everything since [`Store::begin`].
    ///
    /// # Errors
    /// [`StoreError::NoTransaction`] without one, [`StoreError::Fault`] when the
    /// database is beyond use.
    pub fn rollback(&mut self) -> Result<(), StoreError> {
        if self.transaction == Transaction::None {
            return Err(StoreError::NoTransaction);
        }
        self.transaction = Transaction::None;
        self.index.rollback();
        self.db.forget_people();
        // SQLite rolls back by itself when the disk is full or fails.
        if !self.db.connection.is_autocommit() {
            self.db.execute("ROLLBACK", [])?;
        }
        Ok(())
    }

    /// Runs changes inside the open transaction; after an error it cannot be
    /// committed any more.
    pub(crate) fn change(
        &mut self,
        changes: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        match self.transaction {
            Transaction::None => return Err(StoreError::NoTransaction),
            Transaction::Failed => return Err(StoreError::Incomplete),
            Transaction::Open => {}
        }
        let outcome = changes(self);
        if outcome.is_err() {
            self.transaction = Transaction::Failed;
        }
        outcome
    }

    pub(crate) fn put_meta(
        &mut self,
        name: &'static str,
        plaintext: &[u8],
    ) -> Result<(), StoreError> {
        let sealed = meta_place(name).seal(&self.db.key, &mut *self.entropy, plaintext);
        self.db.execute(
            "INSERT INTO meta (name, sealed) VALUES (?1, ?2)
             ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
            (name, sealed),
        )?;
        Ok(())
    }

    fn around(db: Db, entropy: Box<dyn Entropy + Send>, store_id: StoreId) -> Self {
        let (index, transaction) = (SearchIndex::default(), Transaction::None);
        Self { db, entropy, index, store_id, transaction }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("transaction", &self.transaction).finish_non_exhaustive()
    }
}

/// The names in the table `meta`.
const STORE: &str = "store";
pub(crate) const CARDS: &str = "cards";
pub(crate) const RELAYS: &str = "relays";
/// Relays of an invite that are ours.
pub(crate) const ADOPTED: &str = "adopted";

pub(crate) fn meta(db: &Db, name: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
    db.row("SELECT sealed FROM meta WHERE name = ?1", [name], |row| row.get(0))
}

pub(crate) fn meta_place(name: &'static str) -> Place {
    Place::new(Table::Meta, 0).bytes(name.as_bytes())
}
