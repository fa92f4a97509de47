//! Matching carried out in Rust: the programs of [`crate::matching`] on the words of a task, an arm for every operation
//! and nothing of what they are for.
//!
//! What the tests hold against call stacks, against the generated instructions, and against what kernels count.

mod machine;

use crate::Target;
use crate::layout::counters::Counter;
use crate::layout::probe::Step;
use crate::layout::task::DEPTH_MAX;
use crate::matching::{ENTRY, EXIT, GATE};

use machine::Machine;

/// The probe in a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// What it makes fail.
    pub target: Target,
    /// Its frames, outermost first.
    pub frames: Vec<Step>,
    /// Number of the target's own predicate; 0 for none.
    pub predicate: u8,
    /// Every draw favours it.
    pub certain: bool,
}

/// A chain function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Function {
    /// Its number.
    pub number: u16,
    /// Where the return address lies, at the least, that shows an activation on the stack.
    pub site: u64,
    /// And less than how many bytes further.
    pub span: u64,
}

/// What a program finds around it.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// Version of the member list.
    pub version: u64,
    /// The probe of each slot.
    pub chains: &'a [Chain],
    /// Address of the activation's context.
    pub tag: u64,
    /// The return addresses on the stack, innermost first.
    pub stack: &'a [u64],
    /// Which of the function's predicates hold.
    pub holds: &'a dyn Fn(u8) -> bool,
    /// Which slots a draw favours.
    pub favours: &'a dyn Fn(usize) -> bool,
}

/// A counter of a slot's probe that goes up by one.
pub type Count = (usize, Counter);

/// How far a task has come; nothing at first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskState {
    /// Whether it was made.
    known: bool,
    version: u64,
    progress: u64,
    drawn: u64,
    depth: u64,
    lost: u64,
    records: [Record; DEPTH_MAX],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Record {
    tag: u64,
    before: u64,
    position: u64,
    site: u64,
    span: u64,
}

impl TaskState {
    /// The task enters a chain function.
    pub fn enter(&mut self, function: Function, call: &Call<'_>) -> Vec<Count> {
        Machine::new(self, Some(function), None, call).run(ENTRY)
    }

    /// The task leaves the activation of a chain function whose context is at `tag`.
    pub fn exit(&mut self, tag: u64) {
        let call = Call { version: 0, chains: &[], tag, stack: &[], holds: &|_| false, favours: &|_| false };
        Machine::new(self, None, None, &call).run(EXIT);
    }

    /// The task reaches a target, where nothing forbids to inject and budgets are without limit.
    pub fn reach(&mut self, target: Target, call: &Call<'_>) -> Vec<Count> {
        Machine::new(self, None, Some(target), call).run(GATE)
    }

    /// Positions matched, four bits per slot.
    #[must_use]
    pub fn progress(&self) -> u64 {
        self.progress
    }

    /// How many activations are on record.
    #[must_use]
    pub fn depth(&self) -> u64 {
        self.depth
    }
}
