//! Between the generated messages and the types of `faultline-core`.
//!
//! Encoding cannot fail. Decoding checks presence, ranges, lengths and order, and fills in nothing.

mod desired;
mod rehearsal;
mod report;
mod session;
mod values;
