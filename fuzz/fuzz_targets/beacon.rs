//! Datagrams of discovery.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::beacon(bytes));
