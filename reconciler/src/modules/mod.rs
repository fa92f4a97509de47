//! Modules of guardrails from OCI registries: fetched by digest, verified, and kept for the times when the registry is
//! away.
//!
//! A reference names a manifest by its digest, and the manifest names the one layer with the module by another. Both
//! are verified whenever they are fetched or read, so it does not matter who served or kept them.

mod at_once;
mod background;
mod blobs;
mod credentials;
mod error;
mod manifest;
mod registry;
mod store;

use std::collections::BTreeSet;

use faultline_api::OciReference;
use faultline_core::parse::Obtained;

pub use at_once::AtOnce;
pub use background::Background;
pub use blobs::Blobs;
pub use credentials::{Credentials, CredentialsError};
pub use error::FetchError;
pub use manifest::ManifestError;
pub use registry::Registries;
pub use store::Store;

/// Where modules come from that are not in a tree.
pub trait Modules: Send {
    /// What there is of `wanted`, and why the rest is not there. What is not wanted may be forgotten.
    fn obtain(&mut self, wanted: &BTreeSet<OciReference>) -> Obtained;
}
