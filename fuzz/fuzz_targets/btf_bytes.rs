//! `faultline_fuzz::btf_bytes`, driven by libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| faultline_fuzz::btf_bytes::run(input));
