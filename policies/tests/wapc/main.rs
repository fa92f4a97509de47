//! Kubewarden's policies on our host: policies in Rust and in C, and hostile ones.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod fixtures;
mod host_calls;
mod imports;
mod pointers;
mod protocol;
mod shipped;
mod wasi;
mod wat_guest;

use std::sync::LazyLock;

/// One for all tests that do not need their own.
static HOST: LazyLock<faultline_policies::Host> =
    LazyLock::new(|| fixtures::host(faultline_policies::limits::FUEL));
