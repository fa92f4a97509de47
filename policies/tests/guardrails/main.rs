//! The host with its guests: shipped ones and hostile ones.
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod cases;
mod determinism;
mod fixtures;
mod hostile;
mod wat_guest;
