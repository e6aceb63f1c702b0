//! The payload of a link's handshake.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::versions(bytes));
