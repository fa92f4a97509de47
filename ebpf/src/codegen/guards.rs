//! What is never injected, whatever the probes say.

use super::context::Context;
use super::frame::{CTX, NOW, SLOT, VERDICT};
use super::scope::{busy_note, veil};
use crate::asm::{Asm, Cond, Helper, Label, MapId, Reg, Width};
use crate::facts::{Facts, TargetFacts};
use crate::layout::counters::Counter;
use crate::layout::{globals, off};

/// Flags of `task_struct.flags`; the kernel's user-space tools rely on their values.
const PF_EXITING: i32 = 0x0000_0004;
const PF_MEMALLOC: i32 = 0x0000_0800;
const PF_KTHREAD: i32 = 0x0020_0000;

/// The machine's init. Thread group ids in `task_struct` are those of the initial namespace.
const INIT: i32 = 1;

/// Writes the first reason against injecting into VERDICT, and the boot clock into NOW.
pub(super) fn emit(asm: &mut Asm, facts: &Facts, target: &TargetFacts, context: Context) {
    let decided = asm.label("decided");
    own_allocation(asm, decided);
    must_not_fail(asm, facts, target, context, decided);
    task(asm, facts, decided);
    asm.mov(SLOT, 0);
    asm.bind(decided);
    lease(asm);
    veil(asm, SLOT, Reg::R1);
    asm.store(Width::U64, Reg::Fp, VERDICT, SLOT, "verdict");
}

fn refuse(asm: &mut Asm, reason: Counter) {
    asm.mov(SLOT, i32::from(reason.off()));
}

fn own_allocation(asm: &mut Asm, decided: Label) {
    let foreign = asm.label("foreign");
    asm.note("guard: not our own allocation");
    busy_note(asm, foreign);
    asm.load(Width::U64, SLOT, Reg::R0, 0, "busy");
    asm.jump_if(Cond::Eq, SLOT, 0, foreign);
    asm.call(Helper::CurrentPidTgid);
    asm.jump_if(Cond::Ne, Reg::R0, SLOT, foreign);
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
    protected(asm, at.tgid, decided);
}

fn protected(asm: &mut Asm, tgid: i16, decided: Label) {
    asm.load(Width::U32, Reg::R1, Reg::R0, tgid, "tgid");
    refuse(asm, Counter::Protected);
    asm.jump_if(Cond::Eq, Reg::R1, INIT, decided);
    asm.map_value(Reg::R2, MapId::Globals, 0, "");
    for place in 0..globals::PROTECTED_PLACES {
        asm.load(Width::U32, Reg::R3, Reg::R2, off(globals::PROTECTED + 4 * place), "protected");
        asm.jump_if(Cond::Eq, Reg::R1, Reg::R3, decided);
    }
}

/// A refusal stands; otherwise the lease has the last word.
fn lease(asm: &mut Asm) {
    let within = asm.label("within");
    asm.note("guard: within the lease");
    asm.call(Helper::BootTime);
    asm.store(Width::U64, Reg::Fp, NOW, Reg::R0, "now");
    asm.jump_if(Cond::Ne, SLOT, 0, within);
    asm.map_value(Reg::R1, MapId::Globals, 0, "");
    asm.load(Width::U64, Reg::R1, Reg::R1, off(globals::LEASE), "lease");
    asm.jump_if(Cond::Gt, Reg::R1, Reg::R0, within);
    refuse(asm, Counter::Expired);
    asm.bind(within);
}
