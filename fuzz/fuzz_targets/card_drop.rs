//! Cards from a drop at a relay.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::card_drop(bytes));
