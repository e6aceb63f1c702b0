//! One frame of any known type with any body.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::frame_body(bytes));
