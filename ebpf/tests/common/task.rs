//! A task that exists only here: what is live on its stack, and what tracing programs would find there.

use faultline_ebpf::Target;
use faultline_ebpf::layout::probe::Step as Frame;
use faultline_ebpf::model::{Call, Chain, Function};
use proptest::prelude::*;

/// Functions that tasks enter; chains name all but the last.
const FUNCTIONS: u16 = 5;

/// Where the stack of a task begins; deeper is lower.
const TOP: u64 = 1 << 20;

/// How far a return address may lie behind the start of a function.
pub(crate) const SPAN: u64 = 10;

/// A return address into no function of a chain.
const ELSEWHERE: u64 = 0x9000_0000;

/// What a program puts on the stack itself before its function shows.
const PROGRAM: usize = 3;

/// What a task does next.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Enter(Entry),
    Leave,
    /// Leaves without its exit program running.
    LeaveUnseen,
    /// Reaches a target.
    Reach(Target, Entry),
    /// Finds itself under another list of the same probes.
    Relist,
}

/// The beginning of an activation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    /// Not for targets.
    pub(crate) function: u16,
    /// Predicate `n` holds where bit `n` is set.
    pub(crate) argument: u8,
    /// The slots that a draw favours, one bit each.
    pub(crate) draws: u8,
    /// How much of the stack lies between it and its caller, in words.
    pub(crate) size: u64,
    /// How many other functions' return addresses do.
    pub(crate) others: usize,
}

/// A live activation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Activation {
    pub(crate) entry: Entry,
    pub(crate) tag: u64,
}

/// The live activations of a task, outermost first. They take up stack of varying size, so tags of later calls may equal,
/// exceed or fall below those of earlier ones, and so may positions.
#[derive(Debug, Default)]
pub(crate) struct Stack(pub(crate) Vec<Activation>);

impl Stack {
    pub(crate) fn next_tag(&self, entry: Entry) -> u64 {
        self.0.last().map_or(TOP, |activation| activation.tag) - 8 * (1 + entry.size)
    }

    /// The return addresses that a program finds: of what is live, innermost first, behind its own.
    pub(crate) fn addresses(&self) -> Vec<u64> {
        let mut addresses = vec![ELSEWHERE; PROGRAM];
        for Activation { entry, .. } in self.0.iter().rev() {
            addresses.push(function(entry.function).site + 5);
            addresses.extend(std::iter::repeat_n(ELSEWHERE, entry.others));
        }
        addresses
    }
}

/// Whether a predicate holds for an argument; number 0 is none.
pub(crate) fn holds(predicate: u8, argument: u8) -> bool {
    predicate == 0 || argument >> predicate & 1 == 1
}

/// Whether the draw favours the chain in a slot.
pub(crate) fn favours(entry: Entry, slot: usize, chain: &Chain) -> bool {
    chain.certain || u32::from(entry.draws) >> slot & 1 == 1
}

/// A function as programs know it.
pub(crate) fn function(number: u16) -> Function {
    Function { number, site: 0x1000 * u64::from(number), span: SPAN }
}

/// Calls `work` with what a program at this entry finds.
pub(crate) fn call<T>(
    version: u64,
    chains: &[Chain],
    entry: Entry,
    tag: u64,
    stack: &[u64],
    work: impl FnOnce(&Call<'_>) -> T,
) -> T {
    let holds = |predicate| holds(predicate, entry.argument);
    let favours = |slot: usize| favours(entry, slot, &chains[slot]);
    work(&Call { version, chains, tag, stack, holds: &holds, favours: &favours })
}

fn entry() -> impl Strategy<Value = Entry> {
    let others = prop_oneof![30 => 0usize..3, 1 => 40usize..120];
    (1..=FUNCTIONS, any::<u8>(), any::<u8>(), 0u64..6, others).prop_map(
        |(function, argument, draws, size, others)| Entry { function, argument, draws, size, others },
    )
}

pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => entry().prop_map(Step::Enter),
        6 => Just(Step::Leave),
        2 => Just(Step::LeaveUnseen),
        4 => (target(), entry()).prop_map(|(target, entry)| Step::Reach(target, entry)),
        1 => prop::bool::weighted(0.1).prop_map(|other| if other { Step::Relist } else { Step::Leave }),
    ];
    prop::collection::vec(step, 0..200)
}

pub(crate) fn chains() -> impl Strategy<Value = Vec<Chain>> {
    let frame = (1..FUNCTIONS, 0u8..3).prop_map(|(function, predicate)| Frame { function, predicate });
    let chain = (target(), prop::collection::vec(frame, 0..4), 0u8..3, any::<bool>())
        .prop_map(|(target, frames, predicate, certain)| Chain { target, frames, predicate, certain });
    prop::collection::vec(chain, 1..6)
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![4 => Just(Target::Slab), 1 => Just(Target::Bio)]
}
