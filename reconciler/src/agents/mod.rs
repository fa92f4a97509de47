//! The agents: who is connected, what each is told, and what each last reported.
//!
//! A session is told nothing before a pass has seen the report it began with: a plan made without it could start
//! what that node has already finished. From then on it is told every change at once, and its lease is renewed three
//! times within each lease for as long as passes go through. A reconciler that stops says nothing more: leases run
//! out, and the nodes recover by themselves.

mod fleet;
mod injections;
mod rehearsals;
mod session;
mod takeovers;

pub use fleet::{Fleet, NodeStatus, Seen};
pub use rehearsals::Rehearsals;
