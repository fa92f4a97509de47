//! The admin interface: what is in force, as JSON over HTTP, with `/metrics`, `/healthz` and `/readyz` beside it.
//!
//! It reads and changes nothing: an experiment is changed by a commit. It listens on a Unix socket, or on loopback, where
//! it answers only those who ask for a local host; metrics and health can be served elsewhere too, by [`metrics_router`].

mod address;
pub mod client;
mod host;
mod routes;
pub mod views;

pub use address::{AdminAddress, AdminAddressError};
pub use routes::{Shown, metrics_router, router, serve, serve_tcp};

/// Where a reconciler listens, and where `faultline get` and its like look, unless told otherwise.
pub const DEFAULT_ADDRESS: &str = "127.0.0.1:9464";
