//! The host with its guests: shipped ones and hostile ones.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod case_files;
mod cases;
mod determinism;
mod fixtures;
mod hostile;
mod wat_guest;

use std::sync::LazyLock;

/// One for all tests that do not need their own: compiling the shipped guests for each would take most of their time.
static HOST: LazyLock<faultline_policies::Host> = LazyLock::new(fixtures::host);
