//! What a caller says about its database.

/// One numbered step of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// Its number: 1 for the first, then one more each. The database carries
    /// the number of the last one applied as its `user_version`.
    pub number: u32,
    /// SQL statements without `BEGIN`, `COMMIT` or pragmas. Published ones are
    /// never changed: a later one mends them.
    pub sql: &'static str,
}

/// How far deleted bytes are overwritten inside the database file.
///
/// Neither reaches the write-ahead log, what the file system copied or what an
/// SSD keeps. Keys therefore never lie in a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Erasure {
    /// Everything deleted is zeroed, pages that become free included
    /// (`secure_delete=ON`). Costs writes; for what a person wrote.
    Pages,
    /// Zeroed where the page is written anyway (`secure_delete=FAST`). Free of
    /// cost; for what is sealed to someone else's key.
    Cells,
}

/// A database as the caller wants it.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    pub(crate) what: &'static str,
    pub(crate) application_id: u32,
    pub(crate) erasure: Erasure,
    pub(crate) migrations: &'static [Migration],
}

impl Schema {
    /// Describes a database. `what` is the word for it in messages ("profile",
    /// "relay store"). `application_id` is its mark in the file's header.
    ///
    /// # Panics
    ///
    /// If `application_id` is zero or over `i32::MAX`, or if the migrations are
    /// not numbered 1, 2, 3 …: in a `const` this is an error of the compiler.
    pub const fn new(
        what: &'static str,
        application_id: u32,
        erasure: Erasure,
        migrations: &'static [Migration],
    ) -> Self {
        assert!(application_id != 0 && application_id <= i32::MAX as u32, "no mark for the file");
        assert!(!migrations.is_empty(), "a schema begins with migration 1");
        let mut index = 0;
        while index < migrations.len() {
            assert!(migrations[index].number as usize == index + 1, "migrations count 1, 2, 3");
            index += 1;
        }
        Self { what, application_id, erasure, migrations }
    }

    /// The number of the newest migration that this program knows.
    pub const fn version(&self) -> u32 {
        self.migrations.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: &[Migration] = &[Migration { number: 1, sql: "" }, Migration { number: 3, sql: "" }];

    #[test]
    #[should_panic(expected = "count 1, 2, 3")]
    fn a_gap_in_the_numbers_is_refused() {
        let _ = Schema::new("profile", 1, Erasure::Pages, GAP);
    }

    #[test]
    #[should_panic(expected = "no mark")]
    fn a_schema_without_a_mark_is_refused() {
        let _ = Schema::new("profile", 0, Erasure::Pages, &GAP[..1]);
    }
}
