//! `faultline_fuzz::spec_to_instructions`, driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| faultline_fuzz::spec_to_instructions::run(input));
