//! The pure pipeline: from a tree of documents to a plan.
//!
//! ```text
//! source -> parse -> judge -> due -> inventory -> select -> admit -> plan -> converge -> observe
//!  (io)    (pure)   (pure)  (pure)     (io)      (pure)   (pure)   (pure)     (io)      (pure)
//! ```
//! Every stage marked pure is a function of this crate. There is no IO, no clock, no randomness, no `async` and
//! no logging here: time, trees, inventories, ledgers and reports are inputs, and what is to be done is data.
//!
//! | stage | from | to |
//! |---|---|---|
//! | [`parse()`] | files, ledger | experiments, guardrails, and what is wrong with them |
//! | [`Parsed::bound_to`](parse::Parsed::bound_to) | modules from registries | guardrails with them, or why without |
//! | [`rebuild()`] | ledger, reports | the same ledger, unless it was lost |
//! | [`judge()`] | documents | a verdict of each guardrail on each |
//! | [`due()`] | verdicts, ledger, now | which runs begin, go on, are held, end |
//! | [`select()`] | runs, inventory | targets in slots |
//! | [`admit()`] | selections | what the guardrails leave of them, one run after the other |
//! | [`plan()`] | admitted runs | probes per node, and everything that will not happen |
//! | [`commit()`], [`desired_sets`] | plan | the ledger to store, then what each node is told |
//! | [`observe()`] | reports | the ledger to store, and what changed |
//!
//! A run comes into being when it is admitted with at least one target; before that, an experiment only has a
//! reason why not.
#![forbid(unsafe_code)]

pub mod activity;
pub mod admit;
pub mod cache;
pub mod commit;
pub mod defaults;
pub mod desired;
pub mod digest;
pub mod due;
pub mod effective;
pub mod invariants;
pub mod inventory;
pub mod judge;
pub mod ledger;
pub mod observe;
pub mod parse;
pub mod plan;
pub mod rebuild;
pub mod refusal;
pub mod rehearsal;
pub mod report;
pub mod review;
pub mod select;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tree;

pub use admit::admit;
pub use cache::Cache;
pub use commit::{commit, desired_set, desired_sets};
pub use defaults::Defaults;
pub use due::due;
pub use judge::judge;
pub use observe::{observe, transitions};
pub use parse::parse;
pub use plan::plan;
pub use rebuild::rebuild;
pub use select::select;

#[cfg(test)]
mod tests;
