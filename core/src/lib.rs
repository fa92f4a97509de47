//! The pure pipeline: from a tree of documents to a plan.
//!
//! ```text
//! source -> parse -> judge -> due -> inventory -> select -> admit -> plan -> converge -> observe
//!  (io)    (pure)   (pure)  (pure)     (io)      (pure)   (pure)   (pure)     (io)      (pure)
//! ```
//! Every stage marked pure is a function of this crate. There is no IO, no clock, no randomness, no `async` and no
//! logging here: time, trees, inventories, ledgers and reports are inputs, and what is to be done is data.
#![forbid(unsafe_code)]

pub mod desired;
pub mod inventory;
pub mod ledger;
pub mod report;
pub mod review;
pub mod tree;
