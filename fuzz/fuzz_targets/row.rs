//! Rows of the profile's database.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::row(bytes));
