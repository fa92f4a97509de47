//! What Prometheus and the dashboard say is what happened: a guest of the lab with everything in it, scraped by a real
//! Prometheus on this machine.
//!
//! `cargo test --package faultline-tests --test metrics`
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod dashboard;
mod guest;
mod server;
mod story;
mod types;

/// Says loudly that nothing was tested. In CI, where everything is to be had, that is a failure.
#[track_caller]
fn skip(reason: &str) {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    eprintln!("SKIPPED, nothing was tested: {reason}");
}
