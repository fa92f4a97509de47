//! The reconciler: sources, stores, inventory, agents and commands around the pure pipeline of `faultline-core`.
#![forbid(unsafe_code)]

pub mod clock;
mod hex;
pub mod inventory;
pub mod source;
pub mod store;
