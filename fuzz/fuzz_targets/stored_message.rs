//! Signed messages from one's own disk.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::stored_message(bytes));
