//! The independent count: programs of this test behind the functions that fail, which see what those answered.
//!
//! They share nothing with the engine but the assembler. Whoever made a function fail, one program counts, and another
//! keeps who was hit, when, and the stack. The kernel drops runs of a program where another task was interrupted inside it
//! on the same CPU, and says how many, so that comparisons can allow for them. It seldom happens to the first: it is short.

use std::collections::BTreeMap;
use std::fs;

use faultline_ebpf::asm::{Alu, Asm, Attach, Cond, Helper, MapId, Program, Reg, Width};
use faultline_ebpf::btf::Btf;
use faultline_ebpf::facts::{Facts, Preempt};
use faultline_ebpf::layout::maps::{MapKind, MapShape};
use faultline_node_agent::kernel::{FaultKind, Observer};

/// Its maps go by names that the assembler knows.
const COUNTS: MapId = MapId::Members;
const CURSOR: MapId = MapId::Globals;
const RECORDS: MapId = MapId::Probes;

/// Records that are kept: a power of two.
const KEPT: u32 = 1 << 16;
/// Return addresses in a record.
const DEPTH: usize = 24;
/// A record: cgroup, process and thread, time, bytes of stack, stack.
const RECORD: usize = 32 + 8 * DEPTH;

/// Hard interrupts, softirqs being served, and NMIs, in the preemption count.
const INTERRUPTED: i32 = 0x00ff_0100;

/// How often a lost race for a place in the records is tried again.
const ATTEMPTS: usize = 32;

/// One call that failed.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) fault: FaultKind,
    pub(crate) cgroup: u64,
    pub(crate) tid: u64,
    pub(crate) time: u64,
    /// Innermost first.
    pub(crate) stack: Vec<u64>,
}

/// On all functions that fail.
pub(crate) struct Tracer([Behind; 3]);

/// On one of them.
struct Behind {
    fault: FaultKind,
    counter: Observer,
    keeper: Observer,
    read: u64,
    last: BTreeMap<u64, [u64; 2]>,
    /// Runs of counter and keeper that were dropped.
    dropped: [u64; 2],
}

/// Since the last look.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Failed calls by container.
    pub(crate) counts: Vec<u64>,
    /// Calls that were not counted, if they failed.
    pub(crate) uncounted: u64,
    /// Failed calls of the containers in interrupts.
    pub(crate) interrupted: u64,
    /// Failed calls anywhere that were kept.
    pub(crate) records: Vec<Record>,
    /// Calls that were not kept, if they failed.
    pub(crate) unkept: u64,
}

impl Tracer {
    pub(crate) fn attach() -> Self {
        let btf = Btf::parse(fs::read("/sys/kernel/btf/vmlinux").unwrap()).unwrap();
        Self([FaultKind::Slab, FaultKind::Page, FaultKind::Bio].map(|fault| Behind::attach(&btf, fault)))
    }

    /// What came since the last look, for the containers whose cgroups have these ids. Nothing may be injected meanwhile.
    pub(crate) fn look(&mut self, containers: &[u64]) -> Seen {
        let mut seen = Seen { counts: vec![0; containers.len()], ..Seen::default() };
        self.0.iter_mut().for_each(|behind| behind.look(containers, &mut seen));
        seen
    }
}

impl Behind {
    fn attach(btf: &Btf, fault: FaultKind) -> Self {
        let array = |size: usize, entries| MapShape {
            kind: MapKind::Array,
            key: 4,
            value: u32::try_from(size).unwrap(),
            entries,
        };
        let counts = MapShape { kind: MapKind::Hash, key: 8, value: 16, entries: 4096 };
        let keeps = [(CURSOR, array(8, 1)), (RECORDS, array(RECORD, KEPT))];
        let keeper = Observer::attach(&program(btf, fault, "stress_keeper", keep), &keeps).unwrap();
        let preempt = Facts::from_btf(btf).unwrap().preempt;
        let count = program(btf, fault, "stress_counter", |asm| count(asm, preempt));
        let counter = Observer::attach(&count, &[(COUNTS, counts)]).unwrap();
        Self { fault, counter, keeper, read: 0, last: BTreeMap::new(), dropped: [0; 2] }
    }

    fn look(&mut self, containers: &[u64], seen: &mut Seen) {
        let [end] = words(&self.keeper.value(CURSOR, &[0; 4]).unwrap().unwrap());
        let first = self.read.max(end.saturating_sub(u64::from(KEPT)));
        seen.records.extend((first..end).map(|at| self.record(at)));
        let dropped = [&self.counter, &self.keeper].map(|program| program.status().missed);
        let before = std::mem::replace(&mut self.dropped, dropped);
        seen.uncounted += dropped[0] - before[0];
        seen.unkept += dropped[1] - before[1] + first - self.read;
        self.read = end;
        for (count, cgroup) in seen.counts.iter_mut().zip(containers) {
            let value = self.counter.value(COUNTS, &cgroup.to_le_bytes()).unwrap();
            let now: [u64; 2] = value.map_or([0; 2], |value| words(&value));
            let before = self.last.insert(*cgroup, now).unwrap_or_default();
            *count += now[0] - before[0];
            seen.interrupted += now[1] - before[1];
        }
    }

    fn record(&self, at: u64) -> Record {
        let place = u32::try_from(at % u64::from(KEPT)).unwrap();
        let bytes = self.keeper.value(RECORDS, &place.to_le_bytes()).unwrap().unwrap();
        let [cgroup, pid_tgid, time, length] = words(&bytes);
        let known = usize::try_from(length).unwrap_or(0).min(8 * DEPTH);
        let stack = bytes[32..32 + known].chunks_exact(8).map(|word| words::<1>(word)[0]).collect();
        Record { fault: self.fault, cgroup, tid: pid_tgid & 0xffff_ffff, time, stack }
    }
}

fn words<const COUNT: usize>(bytes: &[u8]) -> [u64; COUNT] {
    std::array::from_fn(|at| u64::from_le_bytes(bytes[8 * at..8 * at + 8].try_into().unwrap()))
}

/// On the stack: the cgroup's id, a fresh count, and the key of an array.
const CGROUP: i16 = -8;
const FRESH: i16 = -24;
const KEY: i16 = -32;

/// A program behind the function that does something where the answer is not 0: R6 holds its context.
fn program(btf: &Btf, fault: FaultKind, name: &str, body: impl FnOnce(&mut Asm)) -> Program {
    let function = fault.function();
    let id = btf.functions(function).next().unwrap();
    let answer = i16::try_from(8 * btf.params(id).unwrap().len()).unwrap();
    let mut asm = Asm::new();
    let out = asm.label("out");
    asm.mov(Reg::R6, Reg::R1);
    asm.load(Width::U64, Reg::R1, Reg::R6, answer, "answer");
    // The function answers with an int, or a bool: what is above it says nothing.
    asm.alu(Alu::Shl, Reg::R1, if fault == FaultKind::Page { 56 } else { 32 });
    asm.jump_if(Cond::Eq, Reg::R1, 0, out);
    asm.call(Helper::CurrentCgroup);
    asm.store(Width::U64, Reg::Fp, CGROUP, Reg::R0, "cgroup");
    body(&mut asm);
    asm.bind(out);
    asm.mov(Reg::R0, 0);
    asm.exit();
    asm.finish(name, Attach::Exit(function.to_owned()), id).unwrap()
}

/// One more of the cgroup's failed calls.
fn count(asm: &mut Asm, preempt: Preempt) {
    let (task, known) = (asm.label("task"), asm.label("known"));
    lookup(asm, COUNTS, CGROUP);
    asm.jump_if(Cond::Ne, Reg::R0, 0, known);
    asm.store(Width::U64, Reg::Fp, FRESH, 0, "");
    asm.store(Width::U64, Reg::Fp, FRESH + 8, 0, "");
    asm.map(Reg::R1, COUNTS);
    asm.address(Reg::R2, Reg::Fp, CGROUP);
    asm.address(Reg::R3, Reg::Fp, FRESH);
    asm.mov(Reg::R4, 1);
    asm.call(Helper::MapUpdate);
    lookup(asm, COUNTS, CGROUP);
    asm.jump_if(Cond::Eq, Reg::R0, 0, task);
    asm.bind(known);
    asm.mov(Reg::R7, Reg::R0);
    asm.mov(Reg::R1, 1);
    asm.atomic_add(Reg::R7, 0, Reg::R1, "calls");
    asm.per_cpu(Reg::R1, preempt.var);
    asm.call(Helper::ThisCpu);
    asm.load(Width::U32, Reg::R0, Reg::R0, preempt.offset, "preempt count");
    asm.alu(Alu::And, Reg::R0, INTERRUPTED);
    asm.jump_if(Cond::Eq, Reg::R0, 0, task);
    asm.mov(Reg::R1, 1);
    asm.atomic_add(Reg::R7, 8, Reg::R1, "calls in interrupts");
    asm.bind(task);
}

fn lookup(asm: &mut Asm, map: MapId, key: i16) {
    asm.map(Reg::R1, map);
    asm.address(Reg::R2, Reg::Fp, key);
    asm.call(Helper::MapLookup);
}

/// Takes the next place in the records and fills it.
fn keep(asm: &mut Asm) {
    let (placed, lost) = (asm.label("placed"), asm.label("lost"));
    asm.store(Width::U64, Reg::Fp, KEY, 0, "key");
    lookup(asm, CURSOR, KEY);
    asm.jump_if(Cond::Eq, Reg::R0, 0, lost);
    asm.mov(Reg::R8, Reg::R0);
    asm.load(Width::U64, Reg::R0, Reg::R8, 0, "cursor");
    for _ in 0..ATTEMPTS {
        asm.mov(Reg::R9, Reg::R0);
        asm.mov(Reg::R1, Reg::R0);
        asm.alu(Alu::Add, Reg::R1, 1);
        asm.compare_exchange(Reg::R8, 0, Reg::R1);
        asm.jump_if(Cond::Eq, Reg::R0, Reg::R9, placed);
    }
    asm.jump(lost);
    asm.bind(placed);
    asm.alu(Alu::And, Reg::R9, i32::try_from(KEPT - 1).unwrap());
    asm.store(Width::U64, Reg::Fp, KEY, Reg::R9, "key");
    lookup(asm, RECORDS, KEY);
    asm.jump_if(Cond::Eq, Reg::R0, 0, lost);
    asm.mov(Reg::R7, Reg::R0);
    asm.load(Width::U64, Reg::R1, Reg::Fp, CGROUP, "cgroup");
    asm.store(Width::U64, Reg::R7, 0, Reg::R1, "cgroup");
    asm.call(Helper::CurrentPidTgid);
    asm.store(Width::U64, Reg::R7, 8, Reg::R0, "thread");
    asm.call(Helper::BootTime);
    asm.store(Width::U64, Reg::R7, 16, Reg::R0, "time");
    asm.mov(Reg::R1, Reg::R6);
    asm.address(Reg::R2, Reg::R7, 32);
    asm.mov(Reg::R3, i32::try_from(8 * DEPTH).unwrap());
    asm.mov(Reg::R4, 0);
    asm.call(Helper::Stack);
    asm.store(Width::U64, Reg::R7, 24, Reg::R0, "bytes of stack");
    asm.bind(lost);
}
