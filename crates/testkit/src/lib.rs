//! Vectors and seeded randomness for the tests of the torTalk crates.
