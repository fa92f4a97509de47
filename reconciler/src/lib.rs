//! The reconciler: sources, stores, inventory, agents and commands around the pure pipeline of `faultline-core`.
//!
//! Begin with [`reconcile::reconcile`]: one pass, the whole way. [`run`] calls it again and again.
#![forbid(unsafe_code)]

pub mod admin;
pub mod agents;
mod bounded;
pub mod cli;
pub mod clock;
pub mod converge;
mod hex;
pub mod inventory;
pub mod metrics;
pub mod modules;
pub mod probes;
pub mod publish;
pub mod reconcile;
pub mod record;
pub mod run;
pub mod serve;
pub mod source;
pub mod store;
