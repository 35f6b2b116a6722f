//! Image edits of arbitrary files, by libFuzzer.
#![no_main]

#[path = "../body.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::check_input(data));
