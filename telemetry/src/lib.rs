//! What both binaries do alike where they tell of themselves: how they log, and how they serve a page of metrics.
#![forbid(unsafe_code)]

pub mod exposition;
pub mod http;
pub mod log;
pub mod testing;
