//! The reconciler.
#![forbid(unsafe_code)]
