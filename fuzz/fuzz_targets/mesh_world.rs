//! Some nodes and relays with arbitrary incidents.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::mesh_world(bytes));
