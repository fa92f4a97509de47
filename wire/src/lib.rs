//! The protocol between the reconciler and its agents.
//!
//! An agent dials the reconciler ([`client`]) and holds one session; the reconciler accepts it ([`server`]) over a
//! Unix socket, loopback TCP, or mutual TLS ([`certs`] makes the certificates). What crosses the wire is decoded
//! into the types of `faultline-core` ([`message`]) strictly: what is missing or out of range is an error that
//! names the field, and never a default.
#![forbid(unsafe_code)]

pub mod address;
pub mod certs;
pub mod client;
mod convert;
pub mod error;
mod identity;
mod io;
pub mod limits;
pub mod message;
pub mod node;
pub mod server;
#[cfg(feature = "testing")]
pub mod testing;
pub mod tls;

pub use address::Address;
pub use error::WireError;
pub use message::{AgentMessage, ReconcilerMessage, Version};
pub use node::node_name;

/// What `tonic` and `prost` generate from `agent.proto`.
#[expect(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::allow_attributes_without_reason,
    reason = "generated; the .proto carries the comments"
)]
pub mod pb {
    tonic::include_proto!("faultline.agent.v1");
}
