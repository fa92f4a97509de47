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

use faultline_ebpf::Target;
use faultline_ebpf::asm::{MapId, Program};
use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::{ChainFunction, Hook, Predicate, chain_entry, chain_exit, gate};
use faultline_ebpf::facts::{Facts, TargetFacts};
use faultline_ebpf::layout::counters::{self, Counter};
use faultline_ebpf::layout::globals::{self, Unit};
use faultline_ebpf::layout::maps::shape;
use faultline_ebpf::layout::members::Members;
use faultline_ebpf::layout::probe::Probe;
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
    let mut kernel = Kernel { maps: BTreeMap::new(), sizes, known: false };
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
    for (index, Chain { target, frames, predicate }) in chains.iter().enumerate() {
        let probe = Probe { target: *target, budget: [0; 16], frames: frames.clone(), predicate: *predicate };
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
    model: TaskState,
    kernel: Kernel,
}

impl Both<'_> {
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
    fn known<'a>(&self, addresses: &'a [u64]) -> &'a [u64] {
        if self.is_preempted { &[] } else { addresses }
    }

    fn run(&mut self, program: &Program, entry: Entry, context: u64, stack: &[u64]) -> u64 {
        let chained = self.chains.iter().filter(|chain| !chain.frames.is_empty()).count();
        let probes = (0..self.chains.len() as u32).collect();
        // Versions begin at 1: 0 is that of a fresh state.
        let list = Members { version: self.version, probes, chained: chained as u32 }.encode();
        let members = self.kernel.maps.get_mut(&MapId::Members).unwrap();
        members[..list.len()].copy_from_slice(&list);
        let favours = |slot| favours(entry, slot);
        let arguments = [entry.argument.into(), 0];
        let scene = Scene { context, arguments, stack, is_preempted: self.is_preempted, favours: &favours };
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
        static PROGRAMS: std::sync::LazyLock<Programs> = std::sync::LazyLock::new(Programs::new);
        let mut both = Both {
            programs: &PROGRAMS,
            kernel: kernel(&chains),
            chains,
            version: 1,
            stack: Stack::default(),
            is_preempted: false,
            model: TaskState::default(),
        };
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
