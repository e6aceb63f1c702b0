//! Whatever may come over a TCP connection, from the first byte on.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::link(bytes));
