//! Envelopes as carriers see them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::envelope(bytes));
