//! The model of matching against call stacks: it says "complete" exactly when the frames are live, in order,
//! and after missed exits what it says is either true or disproved by the stack.

use faultline_ebpf::layout::members::SLOTS;
use faultline_ebpf::layout::{MAX_FRAMES, task};
use faultline_ebpf::model::{Chain, TaskState, shows};
use proptest::prelude::*;

const VERSION: u64 = 1;
/// Where the stack of the imagined task begins; deeper is lower.
const TOP: u64 = 1 << 20;

/// What a task does next.
#[derive(Debug, Clone)]
enum Step {
    Enter(u16),
    Leave,
    /// Leaves without its exit program running.
    LeaveUnseen,
    Reach,
}

/// A task with its true stack beside the model's idea of it. Activations take up stack of varying size, so
/// tags of later calls may equal, exceed or fall below those of earlier ones.
#[derive(Default)]
struct Task {
    state: TaskState,
    stack: Vec<(u16, u64)>,
}

impl Task {
    fn next_tag(&self, size: u64) -> u64 {
        self.stack.last().map_or(TOP, |(_, tag)| *tag) - 8 * (1 + size)
    }

    fn enter(&mut self, chains: &[Chain], function: u16, draw: bool) {
        let tag = self.next_tag(u64::from(function));
        self.state.enter(VERSION, chains, function, tag, |_| draw);
        self.stack.push((function, tag));
    }

    fn leave(&mut self, seen: bool) {
        if let Some((_, tag)) = self.stack.pop()
            && seen
        {
            self.state.exit(tag);
        }
    }

    fn reach(&mut self, chains: &[Chain]) -> Vec<usize> {
        let tag = self.next_tag(0);
        self.state.reach(VERSION, chains, tag).into_iter().map(|(slot, _)| slot).collect()
    }

    /// The stack as a walk sees it, innermost first.
    fn sites(&self) -> Vec<u16> {
        self.stack.iter().rev().map(|(function, _)| *function).collect()
    }

    fn live(&self, chains: &[Chain]) -> Vec<usize> {
        (0..chains.len()).filter(|slot| shows(&self.sites(), &chains[*slot])).collect()
    }
}

fn chains() -> impl Strategy<Value = Vec<Chain>> {
    prop::collection::vec(prop::collection::vec(1u16..5, 1..5), 1..6)
}

fn step(unseen: bool) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1u16..6).prop_map(Step::Enter),
        3 => Just(Step::Leave),
        u32::from(unseen) => Just(Step::LeaveUnseen),
        2 => Just(Step::Reach),
    ]
}

proptest! {
    #[test]
    fn complete_means_live_and_in_order(
        chains in chains(),
        steps in prop::collection::vec(step(false), 0..120),
    ) {
        let mut task = Task::default();
        for step in steps {
            match step {
                // Beyond the records kept a match may be missed; the next property covers that.
                Step::Enter(_) if task.stack.len() >= task::DEPTH_MAX => {}
                Step::Enter(function) => task.enter(&chains, function, true),
                Step::Leave | Step::LeaveUnseen => task.leave(true),
                Step::Reach => prop_assert_eq!(task.reach(&chains), task.live(&chains)),
            }
        }
    }

    #[test]
    fn after_missed_exits_nothing_passes_both_match_and_stack_that_is_not_live(
        chains in chains(),
        steps in prop::collection::vec(step(true), 0..200),
    ) {
        let mut task = Task::default();
        for step in steps {
            match step {
                Step::Enter(function) => task.enter(&chains, function, true),
                Step::Leave => task.leave(true),
                Step::LeaveUnseen => task.leave(false),
                Step::Reach => {
                    let claimed = task.reach(&chains);
                    if task.state.is_proven(&task.sites()) {
                        let live = task.live(&chains);
                        prop_assert!(claimed.iter().all(|slot| live.contains(slot)));
                    } else {
                        task.state.clear();
                    }
                }
            }
            prop_assert!(task.state.records.len() <= task::DEPTH_MAX);
        }
    }

    #[test]
    fn a_task_that_left_everything_holds_nothing(
        chains in chains(),
        calls in prop::collection::vec(1u16..6, 0..60),
    ) {
        let mut task = Task::default();
        calls.iter().for_each(|function| task.enter(&chains, *function, true));
        calls.iter().for_each(|_| task.leave(true));
        prop_assert_eq!(task.state.progress, 0);
        prop_assert!(task.state.records.is_empty());
    }

    #[test]
    fn another_member_list_forgets_every_position(
        chains in chains(),
        calls in prop::collection::vec(1u16..5, 1..20),
    ) {
        let mut task = Task::default();
        calls.iter().for_each(|function| task.enter(&chains, *function, true));
        prop_assert!(task.state.reach(VERSION + 1, &chains, 8).is_empty());
    }
}

#[test]
fn the_largest_chains_in_every_slot_fit_the_words() {
    let chains = vec![vec![1; MAX_FRAMES]; SLOTS];
    let mut task = Task::default();
    for _ in 0..MAX_FRAMES {
        assert!(task.reach(&chains).is_empty());
        task.enter(&chains, 1, true);
    }
    assert_eq!(task.reach(&chains), (0..SLOTS).collect::<Vec<_>>());
    task.enter(&chains, 1, true);
    assert_eq!(task.reach(&chains).len(), SLOTS, "a complete chain does not run over into its neighbour");
}

#[test]
fn the_outermost_activation_draws_for_all_inside_it() {
    let chains = vec![vec![1, 2]];
    let mut task = Task::default();
    task.enter(&chains, 1, false);
    for _ in 0..3 {
        task.enter(&chains, 2, true);
        let tag = task.next_tag(0);
        assert_eq!(task.state.reach(VERSION, &chains, tag), [(0, false)]);
        task.leave(true);
    }
    task.leave(true);
    task.enter(&chains, 1, true);
    task.enter(&chains, 2, false);
    let tag = task.next_tag(0);
    assert_eq!(task.state.reach(VERSION, &chains, tag), [(0, true)]);
}
