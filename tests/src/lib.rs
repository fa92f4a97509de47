//! What the tests share: the victims and their tallies, processes, pages of metrics. The victim is in `src/bin`.
#![forbid(unsafe_code)]

pub mod http;
pub mod metrics;
pub mod process;
pub mod stage;
pub mod tally;
