//! `faultline_fuzz::yaml_documents`, driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| faultline_fuzz::yaml_documents::run(input));
