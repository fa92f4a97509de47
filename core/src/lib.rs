//! The pure pipeline: from a tree of documents to a plan.
//!
//! ```text
//! source -> parse -> judge -> due -> inventory -> select -> admit -> plan -> converge -> observe
//!  (io)    (pure)   (pure)  (pure)     (io)      (pure)   (pure)   (pure)     (io)      (pure)
//! ```
//! Every stage marked pure is a function of this crate. There is no IO, no clock, no randomness, no `async` and no
//! logging here: time, trees, inventories, ledgers and reports are inputs, and what is to be done is data.
#![forbid(unsafe_code)]

pub mod admit;
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
pub mod report;
pub mod review;
pub mod select;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tree;

pub use admit::admit;
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
