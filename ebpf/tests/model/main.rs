//! The model of matching against the definition: an injection is due exactly when the frames are live on the stack, in
//! order, each with its predicate; and after exits that went unseen, only then.

use faultline_ebpf::Target;
use faultline_ebpf::layout::MAX_FRAMES;
use faultline_ebpf::layout::counters::Counter;
use faultline_ebpf::layout::members::SLOTS;
use faultline_ebpf::layout::probe::Step as Frame;
use faultline_ebpf::layout::task::{DEPTH_MAX, STACK_MAX};
use faultline_ebpf::model::{Chain, Count, TaskState};
use proptest::prelude::*;
use task::{Activation, Entry, Stack, Step, call, favours, function, holds};

#[path = "../common/task.rs"]
mod task;

/// A task with its true stack beside the model's idea of it.
#[derive(Default)]
struct Task {
    state: TaskState,
    stack: Stack,
    version: u64,
}

impl Task {
    fn enter(&mut self, chains: &[Chain], entry: Entry) -> Vec<Count> {
        let tag = self.stack.next_tag(entry);
        self.stack.0.push(Activation { entry, tag });
        let addresses = self.stack.addresses();
        let function = function(entry.function);
        call(self.version, chains, entry, tag, &addresses, |call| self.state.enter(function, call))
    }

    fn leave(&mut self, seen: bool) {
        if let Some(activation) = self.stack.0.pop()
            && seen
        {
            self.state.exit(activation.tag);
        }
    }

    fn reach(&mut self, chains: &[Chain], target: Target, entry: Entry) -> Vec<Count> {
        let (tag, addresses) = (self.stack.next_tag(entry), self.stack.addresses());
        call(self.version, chains, entry, tag, &addresses, |call| self.state.reach(target, call))
    }

    /// What a gate is to count, by the definition.
    fn due(&self, chains: &[Chain], target: Target, entry: Entry) -> Vec<Count> {
        let mut counts = Vec::new();
        let mut injected = false;
        for (slot, chain) in chains.iter().enumerate().filter(|(_, chain)| chain.target == target) {
            counts.push((slot, Counter::Hits));
            if injected {
                counts.push((slot, Counter::Shadowed));
                continue;
            }
            if !live(&self.stack.0, &chain.frames, &|_| true) {
                continue;
            }
            if !holds(chain.predicate, entry.argument) {
                counts.push((slot, Counter::Rejected));
                continue;
            }
            counts.push((slot, Counter::Matches));
            let drawer = chain.frames.first().map_or(Some(entry), |first| outermost(&self.stack, *first));
            injected = drawer.is_some_and(|drawer| favours(drawer, slot, chain));
            counts.push((slot, if injected { Counter::Injections } else { Counter::SampledOut }));
        }
        counts
    }

    /// Whether the stack has more return addresses than are taken: that proves nothing.
    fn is_full(&self) -> bool {
        self.stack.addresses().len() >= STACK_MAX
    }

    /// Whether there is room for one activation more, in records and in the stack.
    fn has_room(&self, entry: Entry) -> bool {
        self.stack.0.len() < DEPTH_MAX && self.stack.addresses().len() + 1 + entry.others < STACK_MAX
    }
}

/// Whether activations of the frames are live, in that order, each with its predicate, of which the first was favoured.
/// What lies between them does not matter.
fn live(stack: &[Activation], frames: &[Frame], favoured: &dyn Fn(Entry) -> bool) -> bool {
    let Some((first, rest)) = frames.split_first() else { return true };
    stack.iter().enumerate().any(|(at, activation)| {
        is(activation.entry, *first) && favoured(activation.entry) && live(&stack[at + 1..], rest, &|_| true)
    })
}

/// The outermost live activation that a chain could begin with.
fn outermost(stack: &Stack, frame: Frame) -> Option<Entry> {
    stack.0.iter().map(|activation| activation.entry).find(|entry| is(*entry, frame))
}

fn is(entry: Entry, frame: Frame) -> bool {
    frame.function == entry.function && holds(frame.predicate, entry.argument)
}

fn missed(counts: &[Count]) -> usize {
    counts.iter().filter(|(_, counter)| *counter == Counter::MissedReturns).count()
}

proptest! {
    #[test]
    fn where_every_exit_is_seen_the_gate_counts_what_the_definition_says(
        chains in task::chains(),
        steps in task::steps(),
    ) {
        let mut task = Task::default();
        for step in steps {
            match step {
                Step::Enter(entry) if task.has_room(entry) => {
                    prop_assert_eq!(missed(&task.enter(&chains, entry)), 0);
                }
                // Beyond that a match may be missed; the next property covers it.
                Step::Enter(_) => {}
                Step::Leave | Step::LeaveUnseen => task.leave(true),
                Step::Reach(target, entry) => {
                    let due = task.due(&chains, target, entry);
                    prop_assert_eq!(task.reach(&chains, target, entry), due);
                }
                // What was matched under another list is forgotten: so begin anew.
                Step::Relist => task = Task::default(),
            }
        }
    }

    #[test]
    fn where_exits_go_unseen_nothing_is_injected_that_is_not_due(
        chains in task::chains(),
        steps in task::steps(),
    ) {
        let mut task = Task::default();
        let mut unseen = false;
        for step in steps {
            match step {
                Step::Enter(entry) => {
                    let missed = missed(&task.enter(&chains, entry));
                    prop_assert!(unseen || missed == 0 || task.is_full());
                }
                Step::Leave => task.leave(true),
                Step::LeaveUnseen => {
                    unseen = true;
                    task.leave(false);
                }
                Step::Reach(target, entry) => {
                    let counts = task.reach(&chains, target, entry);
                    for (slot, _) in counts.iter().filter(|(_, counter)| *counter == Counter::Injections) {
                        let chain = &chains[*slot];
                        prop_assert!(live(&task.stack.0, &chain.frames, &|entry| favours(entry, *slot, chain)));
                        prop_assert!(holds(chain.predicate, entry.argument));
                    }
                    prop_assert!(unseen || missed(&counts) == 0 || task.is_full());
                }
                Step::Relist => task.version += 1,
            }
            prop_assert!(task.state.depth() <= DEPTH_MAX as u64);
        }
    }

    #[test]
    fn a_task_that_left_everything_holds_nothing(chains in task::chains(), steps in task::steps()) {
        let mut task = Task::default();
        for step in steps {
            match step {
                Step::Enter(entry) => drop(task.enter(&chains, entry)),
                Step::Reach(target, entry) => drop(task.reach(&chains, target, entry)),
                Step::Leave => task.leave(true),
                Step::LeaveUnseen => task.leave(task.stack.0.len() > 1),
                Step::Relist => {}
            }
        }
        while !task.stack.0.is_empty() {
            task.leave(true);
        }
        let entry = Entry { function: 5, argument: 0, draws: 0, size: 0, others: 0 };
        task.enter(&chains, entry);
        task.leave(true);
        prop_assert_eq!((task.state.depth(), task.state.progress()), (0, 0));
    }

    #[test]
    fn another_member_list_forgets_every_position(chains in task::chains(), steps in task::steps()) {
        let mut task = Task::default();
        let framed: Vec<Chain> = chains.into_iter().filter(|chain| !chain.frames.is_empty()).collect();
        for step in steps {
            if let Step::Enter(entry) = step {
                task.enter(&framed, entry);
            }
        }
        task.version += 1;
        let entry = Entry { function: 1, argument: 0xff, draws: 0xff, size: 0, others: 0 };
        let counts = task.reach(&framed, Target::Slab, entry);
        prop_assert!(counts.iter().all(|(_, counter)| *counter == Counter::Hits), "{counts:?}");
    }
}

fn plain(functions: &[u16]) -> Chain {
    let frames = functions.iter().map(|function| Frame { function: *function, predicate: 0 });
    Chain { target: Target::Slab, frames: frames.collect(), predicate: 0, certain: false }
}

fn entering(function: u16, argument: u8) -> Entry {
    Entry { function, argument, draws: 0xff, size: 1, others: 0 }
}

#[test]
fn the_largest_chains_in_every_slot_fit_the_words() {
    let chains = vec![plain(&[1; MAX_FRAMES]); SLOTS];
    let mut task = Task::default();
    let matched = |task: &mut Task| {
        let counts = task.reach(&chains, Target::Slab, Entry { draws: 0, ..entering(1, 0) });
        counts.iter().filter(|(_, counter)| *counter == Counter::Matches).count()
    };
    for _ in 0..MAX_FRAMES {
        assert_eq!(matched(&mut task), 0);
        task.enter(&chains, Entry { draws: 0, ..entering(1, 0) });
    }
    assert_eq!(matched(&mut task), SLOTS);
    task.enter(&chains, Entry { draws: 0, ..entering(1, 0) });
    assert_eq!(matched(&mut task), SLOTS, "a complete chain does not run over into its neighbour");
}

/// The inner of two activations held its predicate, and its exit went unseen: the outer one must not stand for it.
#[test]
fn an_outer_activation_that_did_not_hold_does_not_stand_for_an_inner_one() {
    let frame = Frame { function: 1, predicate: 1 };
    let chains = [Chain { target: Target::Slab, frames: vec![frame], predicate: 0, certain: true }];
    let mut task = Task::default();
    task.enter(&chains, entering(1, 0));
    task.enter(&chains, Entry { size: 5, ..entering(1, 2) });
    task.leave(false);
    // Another function's frames lie where those of the inner activation were, and reach further.
    let gate = Entry { size: 9, ..entering(1, 0) };
    let counts = task.reach(&chains, Target::Slab, gate);
    assert_eq!(counts, [(0, Counter::MissedReturns), (0, Counter::Hits)]);
    assert_eq!(task.reach(&chains, Target::Slab, gate), [(0, Counter::Hits)], "it is told once");
}

#[test]
fn a_stack_that_may_go_on_beyond_what_was_taken_proves_nothing() {
    let chains = [plain(&[1])];
    let mut task = Task::default();
    task.enter(&chains, entering(1, 0));
    task.enter(&chains, Entry { others: STACK_MAX, ..entering(5, 0) });
    let dropped = [(0, Counter::MissedReturns), (0, Counter::Hits)];
    assert_eq!(task.reach(&chains, Target::Slab, entering(1, 0)), dropped);
    task.leave(true);
    task.leave(true);
    task.enter(&chains, Entry { others: STACK_MAX - 4, ..entering(1, 0) });
    assert_eq!(task.reach(&chains, Target::Slab, entering(1, 0)), [(0, Counter::Hits)]);
}
