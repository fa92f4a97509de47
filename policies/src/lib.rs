//! Guardrails: the WebAssembly host.
#![forbid(unsafe_code)]
