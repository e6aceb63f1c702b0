//! The torTalk command line.
fn main() {}
