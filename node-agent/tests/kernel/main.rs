//! The engine on a real kernel. Run these with the lab, inside a virtual machine:
//! `cargo lab test --package faultline-node-agent --test kernel --bin none --disk sample`
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where its world does")]

mod activations;
mod budgets;
mod calls;
mod chains;
mod containment;
mod corpus;
mod faults;
mod hybrid;
mod lifecycle;
mod limits;
mod lockdown;
mod mechanisms;
mod modules;
mod oracle;
mod others;
mod predicates;
mod preflight;
mod pressure;
mod recorded;
mod spared;
mod stacks;
mod trace;
#[path = "../common/victim.rs"]
mod victim;
mod world;
