//! The node agent: holds a session with the reconciler, and keeps attached what it desires.
//!
//! [`agent`] decides, as a pure state machine; [`run`] is the thin shell around it. What may inject is bounded by the
//! [`ledger`], which is written first, by a lease that ends by itself, and by the [`kernel`]'s own programs.

pub mod agent;
mod attachments;
pub mod cgroups;
pub mod cli;
pub mod clock;
mod config;
mod inert;
pub mod kernel;
pub mod ledger;
mod shell;
pub mod telemetry;

pub use attachments::kernel_report;
pub use config::{AgentConfig, DEFAULT_BPFFS, DEFAULT_METRICS_LISTEN, DEFAULT_STATE_DIR};
pub use shell::{AgentError, Parts, run, run_with};
