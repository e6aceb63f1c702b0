//! A stream of frames, cut anywhere.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tortalk_fuzz::frame(bytes));
