//! What the tests share: the victims' own tallies. The victims are in `src/bin`.
#![forbid(unsafe_code)]

pub mod tally;
