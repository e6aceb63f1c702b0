//! What clients send to a relay.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::rpc_request(bytes));
