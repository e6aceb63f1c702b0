//! Tests with real files, processes and mounts.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod damage;
#[cfg(target_os = "linux")]
mod disk;
mod lock;
mod open;
