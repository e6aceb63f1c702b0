//! The database's mark and its migrations.

use tortalk_sqlite::{Erasure, Migration, Schema};

/// "ttPF" in the header of the file.
const APPLICATION_ID: u32 = 0x7474_5046;

/// What people wrote lies here, so deleted pages are overwritten too.
pub(crate) const SCHEMA: Schema =
    Schema::new("profile", APPLICATION_ID, Erasure::Pages, MIGRATIONS);

const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, sql: include_str!("../migrations/0001_first.sql") }];
