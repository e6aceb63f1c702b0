//! The checks and measurements of the torTalk repository.
fn main() {}
