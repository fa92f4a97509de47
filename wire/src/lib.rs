//! The protocol between reconciler and agents.
#![forbid(unsafe_code)]
