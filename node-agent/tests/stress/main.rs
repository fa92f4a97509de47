//! Many tasks on four CPUs of a kernel that preempts itself, with probes that come, go, change and die: what is injected
//! is held against what a program of this test counts, and against what the victims say themselves.
//! `cargo lab test --kernel 6.12 --cpus 4 --append preempt=full --package faultline-node-agent --bin none --test stress`
//!
//! `FAULTLINE_STRESS_SEED` and `FAULTLINE_STRESS_EPOCHS` in the guest make the storm another one, or a longer one.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its machine does")]

mod agent;
mod book;
mod budget;
mod dice;
mod experiments;
mod machine;
mod proof;
mod storm;
mod tracer;
mod verdict;
mod victim;
mod workers;
