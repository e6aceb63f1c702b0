//! A relay's rules under requests in any order.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::relay_rules(bytes));
