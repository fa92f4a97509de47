//! The programs. Each file writes one block, in the order in which the gate passes them.
//!
//! A program is a short main function, the fast path, and a slow one that it calls only for cgroups whose bit
//! is set: a bystander pays neither its registers nor its stack.

mod budget;
mod cgroups;
mod chain;
mod context;
mod counter;
mod expression;
mod fastpath;
mod frame;
mod gate;
mod guards;
mod matching;
mod place;
mod predicates;
mod probing;
mod sampling;
mod scope;

pub use cgroups::{cgroup_made, cgroup_removed};
pub use chain::{chain_entry, chain_exit};
pub use context::Hook;
pub use counter::{counter, counter_of_process};
#[cfg(feature = "testing")]
pub use gate::credulous_gate;
pub use gate::gate;
pub use predicates::Predicate;

/// A function of a chain, in this kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainFunction {
    /// Its name.
    pub name: String,
    /// The number that probes know it by, 1 and up.
    pub number: u16,
    /// How its programs are hooked to it.
    pub hook: Hook,
    /// Where it starts: what a walk of the stack looks for.
    pub address: u64,
    /// How many bytes from there the return address of a live activation may lie: [`SITE_SPAN`] where a trampoline
    /// calls the function, the size of its body where it is called as ever.
    ///
    /// [`SITE_SPAN`]: crate::layout::task::SITE_SPAN
    pub span: u32,
}
