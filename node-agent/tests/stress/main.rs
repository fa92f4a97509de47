//! Many tasks on four CPUs of a kernel that preempts itself, with probes that come, go, change and die: what is injected
//! is held against what a program of this test counts, and against what the victims say themselves.
//! `cargo lab test --kernel 6.12 --cpus 4 --append preempt=full --disk sample --package faultline-node-agent --bin none \
//! --test stress`
//!
//! On the kernel's command line, `stress.seed` makes the storm another one, and `stress.epochs` a longer one:
//! `--append "preempt=full stress.seed=7 stress.epochs=100" --timeout 7200`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its machine does")]

mod agent;
mod book;
mod budget;
mod dice;
mod epoch;
mod experiments;
mod machine;
mod proof;
mod storm;
mod tracer;
mod verdict;
mod victim;
mod workers;
