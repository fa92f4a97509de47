//! `faultline_fuzz::predicate_text`, driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| faultline_fuzz::predicate_text::run(input));
