//! The pure pipeline.
#![forbid(unsafe_code)]
