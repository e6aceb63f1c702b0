//! SQLite the way torTalk wants it: pragmas, migrations, lock, damage report.
