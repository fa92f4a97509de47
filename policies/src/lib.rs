//! Guardrails: the WebAssembly host.
//!
//! [`Host`] answers [`faultline_core::review::Evaluator`]: one module, its settings, one review, one evaluation. What
//! follows from the answers of several guardrails is folded elsewhere. A module is a component of the world in
//! `wit/guardrail.wit`, or a Kubewarden policy that speaks waPC. It keeps nothing, reaches nothing outside itself, and
//! meets a fresh instance with each call, so that the same question has the same answer everywhere. Whatever goes wrong
//! is an [`faultline_core::review::Undecided`], and nothing attaches on the strength of one.
#![forbid(unsafe_code)]

mod abi;
mod answer;
mod call;
pub mod cases;
mod component;
mod engine;
mod guest;
mod host;
mod module;
mod question;
mod recent;
pub mod template;
mod ticker;
mod wapc;

/// The WIT world, as generated.
mod bindings {
    wasmtime::component::bindgen!({ path: "wit", world: "guardrail" });
    pub(crate) use exports::faultline::guardrail::policy;
}

pub use abi::Abi;
pub use engine::limits;
pub use host::{Host, HostConfig, HostError, Ticks};
pub use module::Module;
