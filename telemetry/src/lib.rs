//! What both binaries do alike: how they log, how they serve a page of metrics, and how one takes over from another that
//! is about to be gone.
#![forbid(unsafe_code)]

pub mod exposition;
pub mod http;
pub mod log;
pub mod takeover;
pub mod testing;
