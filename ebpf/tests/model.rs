//! The model of matching against call stacks: it says "complete" exactly when the frames are live, in order,
//! and after missed exits what it says is either true or disproved by the stack.

use faultline_ebpf::layout::members::SLOTS;
use faultline_ebpf::layout::probe::Step as Frame;
use faultline_ebpf::layout::{MAX_FRAMES, task};
use faultline_ebpf::model::{Chain, Entry, TaskState, shows};
use proptest::prelude::*;

const VERSION: u64 = 1;
/// Where the stack of the imagined task begins; deeper is lower.
const TOP: u64 = 1 << 20;

/// What a task does next.
#[derive(Debug, Clone)]
enum Step {
    /// Enters a function, with this value of its argument: predicate `n` holds where bit `n` is set.
    Enter(u16, u8),
    Leave,
    /// Leaves without its exit program running.
    LeaveUnseen,
    /// Reaches the target, with this value of its argument.
    Reach(u8),
}

/// A task with its true stack beside the model's idea of it. Activations take up stack of varying size, so
/// tags of later calls may equal, exceed or fall below those of earlier ones.
#[derive(Default)]
struct Task {
    state: TaskState,
    stack: Vec<Activation>,
}

#[derive(Clone, Copy)]
struct Activation {
    function: u16,
    argument: u8,
    tag: u64,
}

/// Whether a predicate holds for an argument.
fn holds(predicate: u8, argument: u8) -> bool {
    argument >> predicate & 1 == 1
}

impl Task {
    fn next_tag(&self, size: u64) -> u64 {
        self.stack.last().map_or(TOP, |activation| activation.tag) - 8 * (1 + size)
    }

    fn enter(&mut self, chains: &[Chain], function: u16, argument: u8, draw: bool) {
        let tag = self.next_tag(u64::from(function));
        self.stack.push(Activation { function, argument, tag });
        let predicates = |predicate| holds(predicate, argument);
        let has_predicates =
            chains.iter().flat_map(|chain| &chain.frames).any(|f| f.function == function && f.predicate != 0);
        let holds = has_predicates.then_some(&predicates as &dyn Fn(u8) -> bool);
        let sites = self.sites();
        self.state.enter(VERSION, chains, &Entry { function, tag, holds, sites: &sites }, |_| draw);
    }

    fn leave(&mut self, seen: bool) {
        if let Some(activation) = self.stack.pop()
            && seen
        {
            self.state.exit(activation.tag);
        }
    }

    fn reach(&mut self, chains: &[Chain], argument: u8) -> Vec<usize> {
        let tag = self.next_tag(0);
        let reached = self.state.reach(VERSION, chains, tag, |predicate| holds(predicate, argument));
        reached.into_iter().map(|(slot, _)| slot).collect()
    }

    /// The stack as a walk sees it, innermost first.
    fn sites(&self) -> Vec<u16> {
        self.stack.iter().rev().map(|activation| activation.function).collect()
    }

    /// Takes a step; the slots that are about to inject, with the target's argument, where it reaches the target.
    fn follow(&mut self, chains: &[Chain], step: &Step) -> Option<(Vec<usize>, u8)> {
        match *step {
            Step::Enter(function, argument) => self.enter(chains, function, argument, true),
            Step::Leave => self.leave(true),
            Step::LeaveUnseen => self.leave(false),
            Step::Reach(argument) => {
                let claimed = self.reach(chains, argument);
                if self.state.is_proven(&self.sites()) {
                    return Some((claimed, argument));
                }
                self.state.clear();
            }
        }
        assert!(self.state.records.len() <= task::DEPTH_MAX);
        None
    }

    /// The slots whose frames are live in order, whatever their predicates.
    fn live_by_function(&self, chains: &[Chain]) -> Vec<usize> {
        let functions = |chain: &Chain| chain.frames.iter().map(|frame| frame.function).collect::<Vec<_>>();
        (0..chains.len()).filter(|slot| shows(&self.sites(), &functions(&chains[*slot]))).collect()
    }

    /// The slots whose frames are live in order, each with its predicate, and whose own predicate holds.
    fn live(&self, chains: &[Chain], argument: u8) -> Vec<usize> {
        let is_live = |chain: &Chain| {
            let mut wanted = chain.frames.iter().peekable();
            for activation in &self.stack {
                wanted.next_if(|frame| {
                    frame.function == activation.function
                        && (frame.predicate == 0 || holds(frame.predicate, activation.argument))
                });
            }
            wanted.peek().is_none() && (chain.predicate == 0 || holds(chain.predicate, argument))
        };
        (0..chains.len()).filter(|slot| is_live(&chains[*slot])).collect()
    }
}

fn chains(predicates: std::ops::Range<u8>) -> impl Strategy<Value = Vec<Chain>> {
    let frame = (1u16..5, predicates.clone()).prop_map(|(function, predicate)| Frame { function, predicate });
    let chain = (prop::collection::vec(frame, 1..5), predicates)
        .prop_map(|(frames, predicate)| Chain { frames, predicate });
    prop::collection::vec(chain, 1..6)
}

/// A chain of plain frames.
fn plain(functions: &[u16]) -> Chain {
    let frames = functions.iter().map(|function| Frame { function: *function, predicate: 0 });
    Chain { frames: frames.collect(), predicate: 0 }
}

fn step(unseen: bool) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u16..6, 0u8..8).prop_map(|(function, argument)| Step::Enter(function, argument)),
        3 => Just(Step::Leave),
        u32::from(unseen) => Just(Step::LeaveUnseen),
        2 => (0u8..8).prop_map(Step::Reach),
    ]
}

proptest! {
    #[test]
    fn complete_means_live_and_in_order(
        chains in chains(0..3),
        steps in prop::collection::vec(step(false), 0..120),
    ) {
        let mut task = Task::default();
        for step in steps {
            match step {
                // Beyond the records kept a match may be missed; the next property covers that.
                Step::Enter(..) if task.stack.len() >= task::DEPTH_MAX => {}
                Step::Enter(function, argument) => task.enter(&chains, function, argument, true),
                Step::Leave | Step::LeaveUnseen => task.leave(true),
                Step::Reach(argument) => {
                    prop_assert_eq!(task.reach(&chains, argument), task.live(&chains, argument));
                }
            }
        }
    }

    #[test]
    fn after_missed_exits_nothing_passes_both_match_and_stack_that_is_not_live(
        chains in chains(0..1),
        steps in prop::collection::vec(step(true), 0..200),
    ) {
        let mut task = Task::default();
        for step in steps {
            if let Some((claimed, argument)) = task.follow(&chains, &step) {
                let live = task.live(&chains, argument);
                prop_assert!(claimed.iter().all(|slot| live.contains(slot)));
            }
        }
    }

    /// A stack tells functions, and not which activation of one a predicate held for: where a function with predicates
    /// calls itself and an exit was missed, what is claimed is live by its functions.
    #[test]
    fn with_predicates_too_unless_a_function_calls_itself(
        chains in chains(0..3),
        steps in prop::collection::vec(step(true), 0..200),
        recursion: bool,
    ) {
        let mut task = Task::default();
        for step in steps {
            if let Step::Enter(function, _) = step && !recursion && task.sites().contains(&function) {
                continue;
            }
            if let Some((claimed, argument)) = task.follow(&chains, &step) {
                let live = if recursion { task.live_by_function(&chains) } else { task.live(&chains, argument) };
                prop_assert!(claimed.iter().all(|slot| live.contains(slot)));
            }
        }
    }

    #[test]
    fn a_task_that_left_everything_holds_nothing(
        chains in chains(0..3),
        calls in prop::collection::vec((1u16..6, 0u8..8), 0..60),
    ) {
        let mut task = Task::default();
        calls.iter().for_each(|(function, argument)| task.enter(&chains, *function, *argument, true));
        calls.iter().for_each(|_| task.leave(true));
        prop_assert_eq!(task.state.progress, 0);
        prop_assert!(task.state.records.is_empty());
    }

    #[test]
    fn another_member_list_forgets_every_position(
        chains in chains(0..3),
        calls in prop::collection::vec((1u16..5, 0u8..8), 1..20),
    ) {
        let mut task = Task::default();
        calls.iter().for_each(|(function, argument)| task.enter(&chains, *function, *argument, true));
        prop_assert!(task.state.reach(VERSION + 1, &chains, 8, |_| true).is_empty());
    }
}

#[test]
fn the_largest_chains_in_every_slot_fit_the_words() {
    let chains = vec![plain(&[1; MAX_FRAMES]); SLOTS];
    let mut task = Task::default();
    for _ in 0..MAX_FRAMES {
        assert!(task.reach(&chains, 0).is_empty());
        task.enter(&chains, 1, 0, true);
    }
    assert_eq!(task.reach(&chains, 0), (0..SLOTS).collect::<Vec<_>>());
    task.enter(&chains, 1, 0, true);
    assert_eq!(task.reach(&chains, 0).len(), SLOTS, "a complete chain does not run over into its neighbour");
}

#[test]
fn the_outermost_activation_draws_for_all_inside_it() {
    let chains = vec![plain(&[1, 2])];
    let mut task = Task::default();
    task.enter(&chains, 1, 0, false);
    for _ in 0..3 {
        task.enter(&chains, 2, 0, true);
        let tag = task.next_tag(0);
        assert_eq!(task.state.reach(VERSION, &chains, tag, |_| true), [(0, false)]);
        task.leave(true);
    }
    task.leave(true);
    task.enter(&chains, 1, 0, true);
    task.enter(&chains, 2, 0, false);
    let tag = task.next_tag(0);
    assert_eq!(task.state.reach(VERSION, &chains, tag, |_| true), [(0, true)]);
}
