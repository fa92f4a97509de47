//! The generated programs against the model: run by a machine, they leave the same words and count the same.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap,
    clippy::indexing_slicing,
    reason = "the machine's words are what they are"
)]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use faultline_ebpf::Target;
use faultline_ebpf::asm::{MapId, Program};
use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::{ChainFunction, Hook, Predicate, chain_entry, chain_exit, gate};
use faultline_ebpf::facts::{Facts, TargetFacts};
use faultline_ebpf::layout::counters::{self, Counter};
use faultline_ebpf::layout::globals::{self, Unit};
use faultline_ebpf::layout::maps::shape;
use faultline_ebpf::layout::members::Members;
use faultline_ebpf::layout::probe::{Probe, Step as Frame};
use faultline_ebpf::layout::{hot, task as words};
use faultline_ebpf::model::{Chain, Count, TaskState};
use faultline_ebpf::predicate::{Ir, Op};
use machine::{Kernel, Scene, run};
use proptest::prelude::*;
use task::{Activation, Entry, SPAN, Stack, Step, call, favours, function};

#[path = "../common/mod.rs"]
mod common;
mod machine;
#[path = "../common/semantics.rs"]
mod semantics;
#[path = "../common/task.rs"]
mod task;

const GENERATION: u64 = 9;

static PROGRAMS: LazyLock<Programs> = LazyLock::new(Programs::new);

/// The programs of all functions and of two targets.
struct Programs {
    entries: Vec<Program>,
    exits: Vec<Program>,
    gates: BTreeMap<Target, Program>,
}

impl Programs {
    fn new() -> Self {
        let (mut builder, [_, flags, pointer]) = common::kernel();
        builder.function("should_failslab", &[("s", pointer), ("gfpflags", flags)]);
        builder.function("should_fail_bio", &[("bio", pointer)]);
        let btf = Btf::parse(builder.build()).unwrap();
        let facts = Facts::from_btf(&btf).unwrap();
        let bit = |number: u8| Predicate {
            number,
            condition: Ir::binary(
                Op::And,
                Ir::binary(Op::Shr, Ir::Argument(0), Ir::Const(number.into())),
                Ir::Const(1),
            ),
        };
        let predicates = [bit(1), bit(2)];
        let functions = (1..=5).map(|number| ChainFunction {
            name: "f".into(),
            number,
            hook: Hook::Trampoline { btf_id: 7 },
            address: function(number).site,
            span: SPAN as u32,
        });
        let gates = [Target::Slab, Target::Bio].map(|target| {
            let there = TargetFacts::from_btf(&btf, target).unwrap();
            (target, gate(&facts, &there, &predicates, GENERATION).unwrap())
        });
        let (entries, exits) = functions
            .map(|function| {
                let entry = chain_entry(&facts, &function, &predicates, GENERATION).unwrap();
                (entry, chain_exit(&facts, &function).unwrap())
            })
            .unzip();
        Self { entries, exits, gates: gates.into() }
    }
}

/// A kernel whose only container has these probes.
fn kernel(chains: &[Chain]) -> Kernel {
    let sizes: BTreeMap<MapId, usize> =
        MapId::ALL.into_iter().map(|id| (id, shape(id).value as usize)).collect();
    let mut kernel = Kernel { maps: BTreeMap::new(), sizes, known: false, walks: 0 };
    for (id, size) in &kernel.sizes {
        kernel.maps.insert(*id, vec![0; size * 16]);
    }
    let store = |kernel: &mut Kernel, map, at: usize, bytes: &[u8]| {
        kernel.maps.get_mut(&map).unwrap()[at..at + bytes.len()].copy_from_slice(bytes);
    };
    let (word, bit) = globals::bitmap_place(1);
    store(&mut kernel, MapId::Globals, word, &bit.to_le_bytes());
    store(&mut kernel, MapId::Globals, globals::LEASE, &u64::MAX.to_le_bytes());
    let units = [Unit::Gate(Target::Slab), Unit::Gate(Target::Bio)].into_iter();
    for unit in units.chain((1..=5).map(Unit::Function)) {
        store(&mut kernel, MapId::Globals, unit.offset(), &GENERATION.to_le_bytes());
    }
    for (index, Chain { target, frames, predicate, certain }) in chains.iter().enumerate() {
        let (target, frames, predicate, certain) = (*target, frames.clone(), *predicate, *certain);
        let probe = Probe { target, budget: [0; 16], frames, predicate, certain };
        let entry = probe.encode();
        store(&mut kernel, MapId::Probes, index * entry.len(), &entry);
        for (at, value) in [(hot::PROBABILITY, 50), (hot::TIMES, u64::MAX), (hot::ENDS, u64::MAX)] {
            store(&mut kernel, MapId::Hot, hot::offset(index as u32, at), &value.to_le_bytes());
        }
    }
    kernel
}

/// A task of the model, and the same on the machine.
struct Both<'a> {
    programs: &'a Programs,
    chains: Vec<Chain>,
    version: u64,
    stack: Stack,
    /// Whether the task loses its CPU in the next step, while its stack is taken.
    is_preempted: bool,
    preempt_count: u32,
    model: TaskState,
    kernel: Kernel,
}

impl<'a> Both<'a> {
    fn new(programs: &'a Programs, chains: Vec<Chain>) -> Self {
        Self {
            programs,
            kernel: kernel(&chains),
            chains,
            version: 1,
            stack: Stack::default(),
            is_preempted: false,
            preempt_count: 0,
            model: TaskState::default(),
        }
    }

    fn enter(&mut self, entry: Entry) {
        let tag = self.stack.next_tag(entry);
        self.stack.0.push(Activation { entry, tag });
        let function = function(entry.function);
        let program = &self.programs.entries[usize::from(entry.function) - 1];
        let addresses = self.stack.addresses();
        let known = self.known(&addresses);
        let counted =
            call(self.version, &self.chains, entry, tag, known, |call| self.model.enter(function, call));
        self.run(program, entry, tag, &addresses);
        self.compare(&counted);
    }

    fn leave(&mut self, seen: bool) {
        let Some(Activation { entry, tag }) = self.stack.0.pop() else { return };
        if seen {
            self.model.exit(tag);
            self.run(&self.programs.exits[usize::from(entry.function) - 1], entry, tag, &[]);
            self.compare(&[]);
        }
    }

    fn reach(&mut self, target: Target, entry: Entry) {
        let (tag, addresses) = (self.stack.next_tag(entry), self.stack.addresses());
        let known = self.known(&addresses);
        let counted =
            call(self.version, &self.chains, entry, tag, known, |call| self.model.reach(target, call));
        let answer = self.run(&self.programs.gates[&target], entry, tag, &addresses);
        let injects = counted.iter().any(|(_, counter)| *counter == Counter::Injections);
        assert_eq!(answer, if injects { i64::from(target.failure()) as u64 } else { 0 });
        self.compare(&counted);
    }

    /// What of its stack the model gets to know: nothing, where it might be another's.
    fn known<'s>(&self, addresses: &'s [u64]) -> &'s [u64] {
        if self.is_preempted { &[] } else { addresses }
    }

    fn run(&mut self, program: &Program, entry: Entry, context: u64, stack: &[u64]) -> u64 {
        let chains = &self.chains;
        let chained = chains.iter().filter(|chain| !chain.frames.is_empty()).count();
        let probes = (0..chains.len() as u32).collect();
        // Versions begin at 1: 0 is that of a fresh state.
        let list = Members { version: self.version, probes, chained: chained as u32 }.encode();
        let members = self.kernel.maps.get_mut(&MapId::Members).unwrap();
        members[..list.len()].copy_from_slice(&list);
        let favours = |slot: usize| favours(entry, slot, &chains[slot]);
        let arguments = [entry.argument.into(), 0];
        let Self { is_preempted, preempt_count, .. } = *self;
        let scene = Scene { context, arguments, stack, is_preempted, preempt_count, favours: &favours };
        run(program, &mut self.kernel, &scene)
    }

    /// The machine counted what the model did since the last time, and knows what it knows.
    fn compare(&mut self, counted: &[Count]) {
        let words = &self.kernel.maps[&MapId::Tasks];
        let word = |at: usize| u64::from_le_bytes(words[at..at + 8].try_into().unwrap());
        assert_eq!(word(words::PROGRESS), self.model.progress());
        assert_eq!(word(words::DEPTH), self.model.depth());
        let mut expected = vec![0_u64; self.chains.len() * counters::WORDS];
        for (slot, counter) in counted {
            expected[slot * counters::WORDS + counter.offset() / 8] += 1;
        }
        let counts = self.kernel.maps.get_mut(&MapId::Counters).unwrap();
        let counts = &mut counts[..8 * expected.len()];
        let found: Vec<u64> =
            counts.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        assert_eq!(found, expected, "{counted:?}");
        counts.fill(0);
    }
}

proptest! {
    #[test]
    fn programs_do_what_the_model_does(
        chains in task::chains(),
        steps in task::steps(),
        preempted in prop::collection::vec(prop::bool::weighted(0.05), 200),
    ) {
        let mut both = Both::new(&PROGRAMS, chains);
        for (step, is_preempted) in steps.into_iter().zip(preempted) {
            both.is_preempted = is_preempted;
            match step {
                Step::Enter(entry) => both.enter(entry),
                Step::Leave => both.leave(true),
                Step::LeaveUnseen => both.leave(false),
                Step::Reach(target, entry) => both.reach(target, entry),
                Step::Relist => both.version += 1,
            }
        }
    }
}

/// How often the stack is taken at the entry of the only frame, and at the target in it.
fn walks(certain: bool, predicate: u8, entry: Entry, times: u64) -> [usize; 2] {
    let frames = vec![Frame { function: 1, predicate }];
    let chain = Chain { target: Target::Slab, frames, predicate: 0, certain };
    let mut both = Both::new(&PROGRAMS, vec![chain]);
    let place = hot::offset(0, hot::TIMES);
    both.kernel.maps.get_mut(&MapId::Hot).unwrap()[place..place + 8].copy_from_slice(&times.to_le_bytes());
    both.enter(entry);
    let at_entry = std::mem::take(&mut both.kernel.walks);
    let (tag, addresses) = (both.stack.next_tag(entry), both.stack.addresses());
    let answer = both.run(&PROGRAMS.gates[&Target::Slab], entry, tag, &addresses);
    let counter = match (answer, times) {
        (0, 0) => Counter::Exhausted,
        (0, _) => Counter::SampledOut,
        _ => Counter::Injections,
    };
    both.compare(&[(0, Counter::Hits), (0, Counter::Matches), (0, counter)]);
    [at_entry, both.kernel.walks]
}

#[test]
fn a_stack_is_taken_only_for_what_would_be_injected_and_at_entries_that_must_be_told_from_their_like() {
    let drawn = Entry { function: 1, argument: 2, draws: 1, size: 1, others: 0 };
    let not_drawn = Entry { draws: 0, ..drawn };
    assert_eq!(walks(true, 0, drawn, u64::MAX), [0, 1], "any activation will do");
    assert_eq!(walks(true, 0, drawn, 5), [0, 1]);
    assert_eq!(walks(true, 0, drawn, 0), [0, 0], "used up");
    assert_eq!(walks(true, 1, drawn, u64::MAX), [1, 1], "its predicate held");
    assert_eq!(walks(false, 0, drawn, u64::MAX), [1, 1], "its draw was favourable");
    assert_eq!(walks(false, 0, not_drawn, u64::MAX), [0, 0]);
}

/// Bits of the kernel's preempt.h: 0 to 7 preemption, 8 to 15 softirqs, 16 to 19 hard interrupts, 20 to 23 NMIs.
#[test]
fn what_an_interrupt_of_any_kind_does_inside_a_chain_is_not_the_tasks() {
    let frames = vec![Frame { function: 1, predicate: 0 }];
    let chain = Chain { target: Target::Slab, frames, predicate: 0, certain: true };
    let entry = Entry { function: 1, argument: 0, draws: 0, size: 1, others: 0 };
    let due = [(0, Counter::Hits), (0, Counter::Matches), (0, Counter::Injections)];
    let cases = [(0x10_0000, false), (0x1_0000, false), (0x100, false), (0x200, true), (1, true)];
    for (preempt_count, is_the_tasks) in cases {
        let mut both = Both::new(&PROGRAMS, vec![chain.clone()]);
        both.enter(entry);
        both.preempt_count = preempt_count;
        let (tag, addresses) = (both.stack.next_tag(entry), both.stack.addresses());
        let answer = both.run(&PROGRAMS.gates[&Target::Slab], entry, tag, &addresses);
        assert_eq!(answer != 0, is_the_tasks, "{preempt_count:#x}");
        both.compare(if is_the_tasks { &due } else { &[] });
    }
}
