//! Fuzz targets: what holds whatever the input is. A target panics where it does not.
//!
//! `cargo test` runs each over the inputs that are kept in `seeds/`, and over some that are made of those, the same ones
//! each time. With a nightly or a stable compiler, a C++ compiler and `cargo-fuzz`, a fuzzer that sees which code an
//! input reaches takes over:
//!
//! ```text
//! mkdir -p fuzz/corpus
//! cargo fuzz run --sanitizer none --features libfuzzer predicate_text fuzz/corpus fuzz/seeds/predicate_text
//! ```
//!
//! What it finds belongs into `seeds/`, beside the change that it led to.
#![forbid(unsafe_code)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a target reports by panicking, and the fixtures are complete"
)]

pub mod btf_bytes;
pub mod choices;
pub mod generate;
pub mod kernel;
#[path = "../../ebpf/tests/predicates/machine.rs"]
mod machine;
pub mod memory;
pub mod predicate_text;
pub mod program;
#[path = "../../ebpf/tests/common/semantics.rs"]
mod semantics;
pub mod spec_to_instructions;
pub mod yaml_documents;

/// One target.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `seeds/`.
    pub name: &'static str,
    /// Panics where something does not hold that must.
    pub run: fn(&[u8]),
    /// What inputs are made of, beside their own parts.
    pub words: &'static [&'static str],
}

/// All targets.
pub const TARGETS: [Target; 4] = [
    Target { name: "predicate_text", run: predicate_text::run, words: predicate_text::WORDS },
    Target { name: "btf_bytes", run: btf_bytes::run, words: &[] },
    Target { name: "spec_to_instructions", run: spec_to_instructions::run, words: &[] },
    Target { name: "yaml_documents", run: yaml_documents::run, words: yaml_documents::WORDS },
];
