//! What is never injected, whatever the probes say.

use super::context::Context;
use super::frame::{COUNTERS, CTX, NOW, PROBE, SLOT, VERDICT};
use super::scope::{busy_threads, veil};
use crate::asm::{Alu, Asm, Cond, Helper, Label, MapId, Reg, Width};
use crate::facts::{Facts, TargetFacts, TaskFacts};
use crate::layout::counters::Counter;
use crate::layout::{globals, off, spared};

/// Flags of `task_struct.flags`; the kernel's user-space tools rely on their values.
const PF_EXITING: i32 = 0x0000_0004;
const PF_MEMALLOC: i32 = 0x0000_0800;
const PF_KTHREAD: i32 = 0x0020_0000;

/// Room on the stack for two words, which nothing else needs before the probes have their turn.
const ROOM: i16 = COUNTERS;
const ROOM_END: i16 = PROBE;
const _: () = assert!(ROOM_END == ROOM + 8 && spared::ID == 8);

/// The low bits of a mutex's owner are flags: tasks are aligned.
const OWNER: i32 = !7;

/// The machine's init. Thread group ids in `task_struct` are those of the initial namespace.
const INIT: i32 = 1;

/// Writes the first reason against injecting into VERDICT, and the boot clock into NOW.
pub(super) fn emit(asm: &mut Asm, facts: &Facts, target: &TargetFacts, context: Context) {
    let decided = asm.label("decided");
    own_allocation(asm, decided);
    must_not_fail(asm, facts, target, context, decided);
    task(asm, facts, decided);
    oom_killer(asm, decided);
    asm.mov(SLOT, 0);
    asm.bind(decided);
    time(asm, facts.task);
    veil(asm, SLOT, Reg::R1);
    asm.store(Width::U64, Reg::Fp, VERDICT, SLOT, "verdict");
}

fn refuse(asm: &mut Asm, reason: Counter) {
    asm.mov(SLOT, i32::from(reason.off()));
}

fn own_allocation(asm: &mut Asm, decided: Label) {
    let foreign = asm.label("foreign");
    asm.note("guard: not our own allocation");
    busy_threads(asm, foreign);
    asm.load(Width::U64, Reg::R1, Reg::R0, 0, "busy threads");
    asm.jump_if(Cond::Eq, Reg::R1, 0, foreign);
    refuse(asm, Counter::Own);
    asm.jump(decided);
    asm.bind(foreign);
}

fn must_not_fail(asm: &mut Asm, facts: &Facts, target: &TargetFacts, context: Context, decided: Label) {
    let Some(param) = target.flags_param else { return };
    asm.note("guard: not an allocation that must not fail");
    context.argument(asm, Reg::R1, CTX, param, "allocation flags");
    refuse(asm, Counter::NoFail);
    asm.jump_if(Cond::Set, Reg::R1, facts.gfp_nofail, decided);
}

fn task(asm: &mut Asm, facts: &Facts, decided: Label) {
    let at = facts.task;
    asm.note("guard: not a task that must be left alone");
    asm.call(Helper::CurrentTask);
    asm.load(Width::U32, Reg::R1, Reg::R0, at.flags, "task flags");
    for (flag, reason) in
        [(PF_KTHREAD, Counter::Protected), (PF_EXITING, Counter::Exiting), (PF_MEMALLOC, Counter::Reclaim)]
    {
        refuse(asm, reason);
        asm.jump_if(Cond::Set, Reg::R1, flag, decided);
    }
    refuse(asm, Counter::Oom);
    asm.load(Width::U64, Reg::R1, Reg::R0, at.signal, "signal");
    asm.load(Width::U64, Reg::R1, Reg::R1, at.oom_mm, "oom_mm");
    asm.jump_if(Cond::Ne, Reg::R1, 0, decided);
    protected(asm, at, decided);
}

fn protected(asm: &mut Asm, at: TaskFacts, decided: Label) {
    let nameless = asm.label("nameless");
    asm.load(Width::U32, Reg::R1, Reg::R0, at.tgid, "tgid");
    refuse(asm, Counter::Protected);
    asm.jump_if(Cond::Eq, Reg::R1, INIT, decided);
    asm.note("guard: not a process that is spared, by its id or its name");
    asm.store(Width::U64, Reg::Fp, ROOM, 0, "no name");
    asm.store(Width::U64, Reg::Fp, ROOM_END, Reg::R1, "id");
    spared(asm, decided);
    asm.store(Width::U64, Reg::Fp, ROOM_END, 0, "rest of the name");
    asm.call(Helper::CurrentTask);
    asm.load(Width::U64, Reg::R3, Reg::R0, at.group_leader, "group_leader");
    asm.alu(Alu::Add, Reg::R3, i32::from(at.comm));
    asm.address(Reg::R1, Reg::Fp, ROOM);
    asm.mov(Reg::R2, i32::from(off(spared::SIZE)));
    asm.call(Helper::ReadKernelText);
    asm.jump_if(Cond::SignedLe, Reg::R0, 0, nameless);
    spared(asm, decided);
    asm.bind(nameless);
}

fn spared(asm: &mut Asm, decided: Label) {
    asm.map(Reg::R1, MapId::Spared);
    asm.address(Reg::R2, Reg::Fp, ROOM);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Ne, Reg::R0, 0, decided);
}

/// Whoever holds `oom_lock` is about to free memory for all others.
fn oom_killer(asm: &mut Asm, decided: Label) {
    let other = asm.label("other");
    asm.note("guard: not a task that runs the OOM killer");
    asm.map_value(Reg::R3, MapId::Globals, 0, "");
    asm.load(Width::U64, Reg::R3, Reg::R3, off(globals::OOM_OWNER), "address of the owner of oom_lock");
    asm.jump_if(Cond::Eq, Reg::R3, 0, other);
    asm.address(Reg::R1, Reg::Fp, ROOM);
    asm.mov(Reg::R2, 8);
    asm.call(Helper::ReadKernel);
    asm.jump_if(Cond::Ne, Reg::R0, 0, other);
    asm.call(Helper::TaskAddress);
    asm.load(Width::U64, Reg::R1, Reg::Fp, ROOM, "owner of oom_lock");
    asm.alu(Alu::And, Reg::R1, OWNER);
    refuse(asm, Counter::OomKiller);
    asm.jump_if(Cond::Eq, Reg::R0, Reg::R1, decided);
    asm.bind(other);
}

/// A refusal stands; otherwise the lease has its word, and then the grace.
fn time(asm: &mut Asm, at: TaskFacts) {
    let judged = asm.label("judged");
    asm.note("guard: within the lease");
    asm.call(Helper::BootTime);
    asm.store(Width::U64, Reg::Fp, NOW, Reg::R0, "now");
    asm.jump_if(Cond::Ne, SLOT, 0, judged);
    asm.map_value(Reg::R1, MapId::Globals, 0, "");
    asm.load(Width::U64, Reg::R1, Reg::R1, off(globals::LEASE), "lease");
    refuse(asm, Counter::Expired);
    asm.jump_if(Cond::Ge, Reg::R0, Reg::R1, judged);
    asm.mov(SLOT, 0);
    grace(asm, at, judged);
    asm.bind(judged);
}

/// A container starts when the first process of its process namespace does. One that shares the machine's has pid 1's
/// start; a namespace whose first process is yet to come, or gone, has none, and loads through a null pointer read 0.
fn grace(asm: &mut Asm, at: TaskFacts, judged: Label) {
    asm.note("guard: not a container that has only just started");
    asm.map_value(Reg::R1, MapId::Globals, 0, "");
    asm.load(Width::U64, Reg::R1, Reg::R1, off(globals::GRACE), "grace");
    asm.jump_if(Cond::Eq, Reg::R1, 0, judged);
    asm.call(Helper::CurrentTask);
    asm.load(Width::U64, Reg::R1, Reg::R0, at.nsproxy, "nsproxy");
    asm.load(Width::U64, Reg::R1, Reg::R1, at.pid_ns, "pid_ns_for_children");
    asm.load(Width::U64, Reg::R1, Reg::R1, at.child_reaper, "child_reaper");
    asm.load(Width::U64, Reg::R1, Reg::R1, at.start_boottime, "start_boottime");
    asm.map_value(Reg::R2, MapId::Globals, 0, "");
    asm.load(Width::U64, Reg::R2, Reg::R2, off(globals::GRACE), "grace");
    asm.alu(Alu::Add, Reg::R1, Reg::R2);
    asm.load(Width::U64, Reg::R2, Reg::Fp, NOW, "now");
    asm.jump_if(Cond::Ge, Reg::R2, Reg::R1, judged);
    refuse(asm, Counter::Starting);
}
