//! What an authenticated peer may send on a link.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::records(bytes));
