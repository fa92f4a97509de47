//! Is this program the live one, is this the task's own doing, and which probes apply to it.

use super::frame::{CGROUP, CTX, LIST, LISTED, SLOT, STATE};
use crate::asm::{Alu, Asm, Cond, Helper, Label, MapId, Reg, Width};
use crate::facts::Preempt;
use crate::layout::globals::{self, Unit};
use crate::layout::{members, off, task};

/// Non-zero in hard interrupts, in a softirq being served, and in NMIs. Wider than the kernel's own
/// `SOFTIRQ_MASK` it must not be: that also holds the count of `local_bh_disable`, which tasks set.
const INTERRUPTED: i32 = 0x00ff_0100;

/// Leaves for `out` unless `generation` is active for the unit.
pub(super) fn generation(asm: &mut Asm, unit: Unit, generation: u64, out: Label) {
    asm.note("only the active generation acts");
    let word = u32::try_from(unit.offset()).unwrap_or(u32::MAX);
    asm.map_value(Reg::R1, MapId::Globals, word, "active generation");
    asm.load(Width::U64, Reg::R1, Reg::R1, 0, "");
    asm.wide(Reg::R2, generation);
    asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, out);
}

/// Leaves for `out` in interrupts: what they do is not the task's.
pub(super) fn interrupts(asm: &mut Asm, preempt: Preempt, out: Label) {
    asm.note("interrupts never match");
    asm.per_cpu(Reg::R1, preempt.var);
    asm.call(Helper::ThisCpu);
    asm.load(Width::U32, Reg::R0, Reg::R0, preempt.offset, "preempt count");
    asm.jump_if(Cond::Set, Reg::R0, INTERRUPTED, out);
}

/// Finds the member list, or leaves for `out`.
pub(super) fn members(asm: &mut Asm, out: Label) {
    asm.note("the exact test: is the cgroup a member?");
    lookup_members(asm, out);
    asm.mov(LIST, Reg::R0);
    asm.load(Width::U64, Reg::R1, LIST, off(members::VERSION), "version");
    asm.store(Width::U64, Reg::Fp, LISTED, Reg::R1, "version as listed");
}

/// Leaves for `out` unless the list is still the one first read.
///
/// The kernel may hand a replaced hash entry out again at once, under the eyes of a program that reads it. So
/// before anything is injected the list is looked up once more: had the entry been another cgroup's for a
/// moment, ours would be gone or have another version now.
pub(super) fn still_member(asm: &mut Asm, out: Label) {
    asm.note("is it still the same list?");
    lookup_members(asm, out);
    asm.load(Width::U64, Reg::R1, Reg::R0, off(members::VERSION), "version");
    asm.load(Width::U64, Reg::R2, Reg::Fp, LISTED, "version as listed");
    asm.jump_if(Cond::Ne, Reg::R1, Reg::R2, out);
}

fn lookup_members(asm: &mut Asm, out: Label) {
    asm.map(Reg::R1, MapId::Members);
    asm.address(Reg::R2, Reg::Fp, CGROUP);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, out);
}

/// STATE = the task's state, or 0 where it has none. Goes to `none` then.
pub(super) fn find_state(asm: &mut Asm, none: Label) {
    asm.note("how far has this task come?");
    storage(asm, 0);
    asm.mov(STATE, Reg::R0);
    asm.jump_if(Cond::Eq, STATE, 0, none);
}

/// STATE = a fresh state, or leaves for `out`.
///
/// Making one allocates, and so may pass a gate. The thread counts itself as busy on its CPU around it, which it cannot
/// leave in the middle of a program, and gates refuse whoever allocates there meanwhile: a thread that preempts it is
/// refused too, which is seldom and errs on the right side.
pub(super) fn make_state(asm: &mut Asm, out: Label) {
    asm.note("first match of this task: make its state");
    busy_threads(asm, out);
    asm.mov(SLOT, Reg::R0);
    asm.mov(Reg::R1, 1);
    asm.atomic_add(SLOT, 0, Reg::R1, "busy threads");
    storage(asm, 1);
    asm.mov(Reg::R1, -1);
    asm.atomic_add(SLOT, 0, Reg::R1, "busy threads");
    asm.jump_if(Cond::Eq, Reg::R0, 0, out);
    asm.mov(STATE, Reg::R0);
    asm.load(Width::U64, Reg::R1, Reg::Fp, LISTED, "version as listed");
    asm.store(Width::U64, STATE, off(task::VERSION), Reg::R1, "version");
}

/// R0 = how many threads are busy on this CPU, by its address; goes to `none` where nobody counts.
pub(super) fn busy_threads(asm: &mut Asm, none: Label) {
    asm.store(Width::U64, Reg::Fp, super::frame::KEY, 0, "key");
    asm.map(Reg::R1, MapId::Busy);
    asm.address(Reg::R2, Reg::Fp, super::frame::KEY);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, none);
}

fn storage(asm: &mut Asm, flags: i32) {
    asm.call(Helper::CurrentTask);
    asm.mov(Reg::R2, Reg::R0);
    asm.map(Reg::R1, MapId::Tasks);
    asm.mov(Reg::R3, 0);
    asm.mov(Reg::R4, flags);
    asm.call(Helper::TaskStorage);
}

/// `dst` += 0, whereupon the verifier knows nothing of its value any more. See [`globals::ZERO`].
pub(super) fn veil(asm: &mut Asm, dst: Reg, scratch: Reg) {
    asm.map_value(scratch, MapId::Globals, u32::try_from(globals::ZERO).unwrap_or(0), "zero");
    asm.load(Width::U64, scratch, scratch, 0, "zero");
    asm.alu(Alu::Add, dst, scratch);
}

/// Saves the arguments of the slow function.
pub(super) fn arguments(asm: &mut Asm) {
    asm.mov(CTX, Reg::R1);
    asm.store(Width::U64, Reg::Fp, CGROUP, Reg::R2, "cgroup");
}

/// Where the turn of one slot begins and ends, and where to go after the last; the caller binds that.
pub(super) struct Turns {
    pub(super) slot: Label,
    pub(super) next: Label,
    pub(super) end: Label,
}

/// Gives every slot its turn: `turn` finds the address of the slot's probe index in R2, and may leave for `next`.
pub(super) fn each_slot(asm: &mut Asm, turns: &Turns, turn: impl FnOnce(&mut Asm)) {
    asm.mov(SLOT, 0);
    asm.bind(turns.slot);
    next_key(asm, turns.end);
    turn(asm);
    asm.bind(turns.next);
    asm.alu(Alu::Add, SLOT, 1);
    asm.jump(turns.slot);
}

/// R2 = address of the slot's probe index, also kept as the key. Goes to `end` after the last.
fn next_key(asm: &mut Asm, end: Label) {
    let slots = i32::try_from(members::SLOTS).unwrap_or(i32::MAX);
    asm.jump_if(Cond::Ge, SLOT, slots, end);
    asm.load(Width::U32, Reg::R1, LIST, off(members::COUNT), "count");
    asm.jump_if(Cond::Ge, SLOT, Reg::R1, end);
    asm.mov(Reg::R2, SLOT);
    asm.alu(Alu::Shl, Reg::R2, 2);
    asm.alu(Alu::Add, Reg::R2, LIST);
    asm.alu(Alu::Add, Reg::R2, i32::from(off(members::PROBES)));
    asm.store(Width::U64, Reg::Fp, super::frame::KEY, Reg::R2, "key");
}

/// R1 = the changeable words of the slot's probe.
pub(super) fn hot_words(asm: &mut Asm) {
    asm.load(Width::U64, Reg::R2, Reg::Fp, super::frame::KEY, "key");
    asm.load(Width::U32, Reg::R2, Reg::R2, 0, "probe");
    asm.alu(Alu::And, Reg::R2, i32::try_from(crate::layout::MAX_PROBES - 1).unwrap_or(0));
    asm.alu(Alu::Shl, Reg::R2, crate::layout::hot::STRIDE_SHIFT);
    asm.map_value(Reg::R1, MapId::Hot, 0, "");
    asm.alu(Alu::Add, Reg::R1, Reg::R2);
}
