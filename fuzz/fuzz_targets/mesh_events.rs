//! One machine under arbitrary events and hostile peers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::mesh_events(bytes));
