//! Statements on the connection, and who is behind a person's number.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension as _, Params, Row};
use tortalk_model::IdentityKey;
use tortalk_model::entropy::Entropy;

use crate::cell::{Place, Table};
use crate::error::{StoreError, sql};
use crate::rows;
use crate::vault::ProfileKey;

/// The connection with the key to its sealed columns.
pub(crate) struct Db {
    pub(crate) connection: Connection,
    pub(crate) key: ProfileKey,
    people: RefCell<People>,
}

/// Numbers of people that were looked up before. A rollback empties it.
#[derive(Default)]
struct People {
    numbers: BTreeMap<IdentityKey, i64>,
    identities: BTreeMap<i64, IdentityKey>,
}

impl Db {
    pub(crate) fn new(connection: Connection, key: ProfileKey) -> Self {
        Self { connection, key, people: RefCell::default() }
    }

    /// Runs a statement; how many rows it changed.
    pub(crate) fn execute(
        &self,
        statement: &'static str,
        params: impl Params,
    ) -> Result<usize, StoreError> {
        self.connection
            .prepare_cached(statement)
            .and_then(|mut prepared| prepared.execute(params))
            .map_err(sql)
    }

    /// The first row of a query.
    pub(crate) fn row<T>(
        &self,
        query: &'static str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.connection
            .prepare_cached(query)
            .and_then(|mut prepared| prepared.query_row(params, read).optional())
            .map_err(sql)
    }

    /// All rows of a query.
    pub(crate) fn rows<T>(
        &self,
        query: &'static str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.connection
            .prepare_cached(query)
            .and_then(|mut prepared| prepared.query_map(params, read)?.collect())
            .map_err(sql)
    }

    /// The number for the next row, by a query for it.
    pub(crate) fn next_id(&self, query: &'static str) -> Result<i64, StoreError> {
        let id = self.row(query, [], |row| row.get(0))?;
        Ok(id.expect("an aggregate has a row"))
    }

    /// The number of a person who was named before.
    pub(crate) fn person(&self, identity: &IdentityKey) -> Result<Option<i64>, StoreError> {
        if let Some(number) = self.people.borrow().numbers.get(identity) {
            return Ok(Some(*number));
        }
        let tag = self.person_tag(identity);
        let number = self.row("SELECT id FROM person WHERE tag = ?1", [tag], |row| row.get(0))?;
        if let Some(number) = number {
            self.remember(*identity, number);
        }
        Ok(number)
    }

    /// The number of a person, who gets one if they have none.
    pub(crate) fn number_person(
        &self,
        identity: &IdentityKey,
        entropy: &mut dyn Entropy,
    ) -> Result<i64, StoreError> {
        if let Some(number) = self.person(identity)? {
            return Ok(number);
        }
        let number = self.next_id("SELECT ifnull(max(id), 0) + 1 FROM person")?;
        let tag = self.person_tag(identity);
        let place = Place::new(Table::Person, number).bytes(&tag);
        let sealed = place.seal(&self.key, entropy, &rows::person(identity));
        self.execute(
            "INSERT INTO person (id, tag, sealed) VALUES (?1, ?2, ?3)",
            (number, tag, sealed),
        )?;
        self.remember(*identity, number);
        Ok(number)
    }

    /// Whose number this is.
    pub(crate) fn identity(&self, number: i64) -> Result<IdentityKey, StoreError> {
        if let Some(identity) = self.people.borrow().identities.get(&number) {
            return Ok(*identity);
        }
        let (tag, sealed) = self
            .row("SELECT tag, sealed FROM person WHERE id = ?1", [number], |row| {
                Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, Vec<u8>>(1)?))
            })?
            .ok_or_else(|| Table::Person.damaged(number))?;
        let place = Place::new(Table::Person, number).bytes(&tag);
        let identity = place.open(&self.key, &sealed, rows::read_person)?;
        self.remember(identity, number);
        Ok(identity)
    }

    /// People who got their number in a transaction that is gone have none.
    pub(crate) fn forget_people(&self) {
        self.people.replace(People::default());
    }

    fn remember(&self, identity: IdentityKey, number: i64) {
        let mut people = self.people.borrow_mut();
        people.numbers.insert(identity, number);
        people.identities.insert(number, identity);
    }

    fn person_tag(&self, identity: &IdentityKey) -> [u8; 16] {
        self.key.tag("store/person", identity.as_bytes())
    }
}
