//! Worlds for tests: documents, pods, guardrails and agents that exist only as data.
//!
//! What these agents cannot do, kernels can: nothing is ever injected, only counted. What they know of the
//! protocol is what the wire's tests prove of real agents: older generations are refused, budgets outlive
//! probes.

mod agents;
mod documents;
mod evaluator;
mod inventories;
mod strategies;
mod world;

pub use agents::{Agent, Agents};
pub use documents::{Document, guardrail, source, tree};
pub use evaluator::Scripted;
pub use inventories::{node, pod, pods};
pub use strategies::{Change, changes, documents, inventory};
pub use world::{START, World, at};
