//! Invites as people paste them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::invite_text(bytes));
