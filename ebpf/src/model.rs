//! What matching means, in Rust: the programs of [`crate::codegen`] do exactly this, on the same words.
//!
//! The tests hold it against call stacks; the kernel tests hold the programs against real ones.

use crate::layout::{
    probe::Step,
    task::{DEPTH_MAX, SLOT_MASK, SLOT_SHIFT},
};

/// A chain in a slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chain {
    /// Its frames, outermost first.
    pub frames: Vec<Step>,
    /// Number of the target's own predicate; 0 for none.
    pub predicate: u8,
}

/// An activation on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Address of its context.
    pub tag: u64,
    /// Progress of all slots before it.
    pub before: u64,
    /// Its function.
    pub function: u16,
}

/// How far a task has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskState {
    /// Version of the member list that the rest is about.
    pub version: u64,
    /// Positions matched, four bits per slot.
    pub progress: u64,
    /// Sampling decisions, one bit per slot.
    pub drawn: u64,
    /// Live activations that advanced something, oldest first.
    pub records: Vec<Record>,
}

/// The entry of a function.
#[derive(Clone, Copy)]
pub struct Entry<'a> {
    /// Its number.
    pub function: u16,
    /// Address of the activation's context.
    pub tag: u64,
    /// Which of the function's predicates hold; `None` where it has none.
    pub holds: Option<&'a dyn Fn(u8) -> bool>,
    /// The functions on the stack, innermost first: this one is the first.
    pub sites: &'a [u16],
}

impl TaskState {
    /// The task enters a function; `draw` decides for slots whose outermost activation this is.
    pub fn enter(
        &mut self,
        version: u64,
        chains: &[Chain],
        entry: &Entry<'_>,
        mut draw: impl FnMut(usize) -> bool,
    ) {
        let Entry { function, tag, holds, sites } = *entry;
        self.refresh(version);
        self.settle(tag);
        if holds.is_some() {
            self.recheck(function, sites);
        }
        let (mut gain, mut opened, mut draws) = (0, 0, 0);
        for (slot, chain) in chains.iter().enumerate() {
            let position = self.position(slot);
            let waits = chain.frames.get(position).is_some_and(|step| {
                step.function == function
                    && (step.predicate == 0 || holds.is_some_and(|holds| holds(step.predicate)))
            });
            if !waits {
                continue;
            }
            gain |= 1 << shift(slot);
            if position == 0 {
                opened |= 1 << slot;
                draws |= u64::from(draw(slot)) << slot;
            }
        }
        if gain == 0 || self.records.len() >= DEPTH_MAX {
            return;
        }
        self.records.push(Record { tag, before: self.progress, function });
        self.progress += gain;
        self.drawn = self.drawn & !opened | draws;
    }

    /// The task leaves the function whose activation has this tag.
    pub fn exit(&mut self, tag: u64) {
        self.settle(tag);
    }

    /// The task reaches the target, with those of its predicates that hold at this entry: the slots whose chain is
    /// complete, and whether the draw favours each.
    pub fn reach(
        &mut self,
        version: u64,
        chains: &[Chain],
        tag: u64,
        holds: impl Fn(u8) -> bool,
    ) -> Vec<(usize, bool)> {
        self.refresh(version);
        self.settle(tag);
        let complete = |slot: &usize| {
            chains.get(*slot).is_some_and(|chain| {
                chain.frames.len() == self.position(*slot) && (chain.predicate == 0 || holds(chain.predicate))
            })
        };
        (0..chains.len()).filter(complete).map(|slot| (slot, self.drawn >> slot & 1 == 1)).collect()
    }

    /// Whether a stack bears the records out; `sites` are the functions on it, innermost first.
    #[must_use]
    pub fn is_proven(&self, sites: &[u16]) -> bool {
        let recorded: Vec<u16> = self.records.iter().map(|record| record.function).collect();
        shows(sites, &recorded)
    }

    /// The stack did not bear the records out: an exit was missed, so nothing is known.
    pub fn clear(&mut self) {
        self.progress = 0;
        self.records.clear();
    }

    /// A record of a function that is entered again, and has predicates, must be borne out beside the activation that
    /// begins: else it is one whose exit was missed, and the stack would bear it out for the sake of this one.
    fn recheck(&mut self, function: u16, sites: &[u16]) {
        let mut recorded: Vec<u16> = self.records.iter().map(|record| record.function).collect();
        if recorded.contains(&function) {
            recorded.push(function);
            if recorded.len() > DEPTH_MAX || !shows(sites, &recorded) {
                self.clear();
            }
        }
    }

    fn refresh(&mut self, version: u64) {
        if self.version != version {
            self.version = version;
            self.clear();
        }
    }

    fn settle(&mut self, tag: u64) {
        while let Some(last) = self.records.pop_if(|last| last.tag <= tag) {
            self.progress = last.before;
        }
    }

    fn position(&self, slot: usize) -> usize {
        let mask = u64::from(SLOT_MASK.unsigned_abs());
        usize::try_from(self.progress >> shift(slot) & mask).unwrap_or(usize::MAX)
    }
}

fn shift(slot: usize) -> usize {
    slot << SLOT_SHIFT
}

/// Whether a stack, innermost first, holds every function of a chain in order.
#[must_use]
pub fn shows(sites: &[u16], chain: &[u16]) -> bool {
    let mut wanted = chain.iter().rev().peekable();
    for site in sites {
        if wanted.peek() == Some(&site) {
            wanted.next();
        }
    }
    wanted.peek().is_none()
}
