//! What is asked of the slot's probe, and counted for it.

use super::frame::{ANSWER, COUNTERS, HOT, KEY, LIST, NOW, PROBE, SCRATCH, STEP, VERDICT};
use super::predicates;
use super::{budget, scope};
use crate::asm::{Alu, Asm, Cond, Helper, Label, MapId, Reg, Width};
use crate::layout::counters::{self, Counter};
use crate::layout::{MAX_FRAMES, hot, members, off, probe};

/// Leaves for `none` where no probe of the list has frames.
pub(super) fn unless_chained(asm: &mut Asm, none: Label) {
    asm.mov(super::frame::STATE, 0);
    asm.load(Width::U32, Reg::R1, LIST, off(members::CHAINED), "chained");
    asm.jump_if(Cond::Eq, Reg::R1, 0, none);
}

/// PROBE = the slot's.
pub(super) fn find(asm: &mut Asm, next: Label) {
    look_up(asm, MapId::Probes, next);
    asm.store(Width::U64, Reg::Fp, PROBE, Reg::R0, "probe");
}

/// COUNTERS = the slot's, on this CPU.
pub(super) fn find_counters(asm: &mut Asm, next: Label) {
    look_up(asm, MapId::Counters, next);
    asm.store(Width::U64, Reg::Fp, COUNTERS, Reg::R0, "counters");
}

/// R0 = the slot's counters, on this CPU.
pub(super) fn counters(asm: &mut Asm, none: Label) {
    look_up(asm, MapId::Counters, none);
}

fn look_up(asm: &mut Asm, map: MapId, next: Label) {
    asm.load(Width::U64, Reg::R2, Reg::Fp, KEY, "key");
    asm.map(Reg::R1, map);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, next);
}

/// `dst` = the code of the probe's target.
pub(super) fn target(asm: &mut Asm, dst: Reg) {
    asm.load(Width::U64, dst, Reg::Fp, PROBE, "probe");
    asm.load(Width::U32, dst, dst, off(probe::TARGET), "target");
}

/// `dst` = how many frames the probe's chain has.
pub(super) fn frames(asm: &mut Asm, dst: Reg) {
    asm.load(Width::U64, dst, Reg::Fp, PROBE, "probe");
    asm.load(Width::U32, dst, dst, off(probe::FRAMES), "frames");
}

/// STEP = the probe's step at R1.
pub(super) fn take_step(asm: &mut Asm) {
    asm.alu(Alu::And, Reg::R1, i32::try_from(MAX_FRAMES).unwrap_or(0));
    asm.alu(Alu::Shl, Reg::R1, 1);
    asm.load(Width::U64, Reg::R2, Reg::Fp, PROBE, "probe");
    asm.alu(Alu::Add, Reg::R2, Reg::R1);
    asm.load(Width::U16, Reg::R1, Reg::R2, off(probe::STEPS), "step");
    asm.store(Width::U64, Reg::Fp, STEP, Reg::R1, "step");
}
const _: () = assert!(MAX_FRAMES == 15, "the number of a step is masked with it");

/// `dst` = the function that the step waits for.
pub(super) fn step_function(asm: &mut Asm, dst: Reg) {
    asm.load(Width::U64, dst, Reg::Fp, STEP, "step");
    asm.alu(Alu::And, dst, (1 << probe::FUNCTION_BITS) - 1);
}

/// Keeps the changeable words at hand; leaves when the probe is over.
pub(super) fn in_time(asm: &mut Asm, over: Label) {
    asm.note("before the probe's end?");
    scope::hot_words(asm);
    asm.store(Width::U64, Reg::Fp, HOT, Reg::R1, "hot");
    asm.load(Width::U64, Reg::R1, Reg::R1, off(hot::ENDS), "ends");
    asm.load(Width::U64, Reg::R2, Reg::Fp, NOW, "now");
    asm.jump_if(Cond::Ge, Reg::R2, Reg::R1, over);
}

/// `dst` = 0 where every draw favours the probe, else 1.
pub(super) fn sampled(asm: &mut Asm, dst: Reg) {
    asm.load(Width::U64, dst, Reg::Fp, PROBE, "probe");
    asm.load(Width::U32, dst, dst, off(probe::CERTAIN), "certain");
    asm.alu(Alu::Xor, dst, 1);
}

/// Leaves where the probe's budget is used up: nothing is taken of it.
pub(super) fn affordable(asm: &mut Asm, not: Label) {
    let unlimited = asm.label("unlimited");
    scope::hot_words(asm);
    asm.load(Width::U64, Reg::R1, Reg::R1, off(hot::TIMES), "times");
    asm.jump_if(Cond::Eq, Reg::R1, -1, unlimited);
    asm.store(Width::U64, Reg::Fp, SCRATCH, Reg::R1, "times");
    budget::find(asm, not);
    asm.load(Width::U64, Reg::R1, Reg::R0, 0, "spent");
    asm.load(Width::U64, Reg::R2, Reg::Fp, SCRATCH, "times");
    asm.jump_if(Cond::Ge, Reg::R1, Reg::R2, not);
    asm.bind(unlimited);
}

/// Takes a ticket, or counts why there is none.
pub(super) fn ticket(asm: &mut Asm, next: Label) {
    let (granted, exhausted, contended) =
        (asm.label("ticket"), asm.label("exhausted"), asm.label("contended"));
    scope::still_member(asm, contended);
    budget::take_ticket(asm, exhausted, contended);
    asm.jump(granted);
    for (label, counter) in [(exhausted, Counter::Exhausted), (contended, Counter::Contended)] {
        asm.bind(label);
        count(asm, counter, next);
        asm.jump(next);
    }
    asm.bind(granted);
}

/// The gate will answer this.
pub(super) fn answer(asm: &mut Asm, answer: i32) {
    asm.mov(Reg::R1, answer);
    scope::veil(asm, Reg::R1, Reg::R2);
    asm.store(Width::U64, Reg::Fp, ANSWER, Reg::R1, "answer");
}

/// Counts in the counters at hand, or, where programs count that keep none at hand, in those of the slot.
pub(super) fn count(asm: &mut Asm, counter: Counter, next: Label) {
    if counter.is_shared() {
        look_up(asm, MapId::Counters, next);
    } else {
        asm.load(Width::U64, Reg::R0, Reg::Fp, COUNTERS, "counters");
    }
    asm.mov(Reg::R1, 1);
    asm.atomic_add(Reg::R0, counter.off(), Reg::R1, counter.name());
}

/// Counts the verdict, the offset of its counter.
pub(super) fn count_verdict(asm: &mut Asm) {
    asm.load(Width::U64, Reg::R1, Reg::Fp, COUNTERS, "counters");
    asm.load(Width::U64, Reg::R2, Reg::Fp, VERDICT, "verdict");
    asm.alu(Alu::And, Reg::R2, i32::try_from(counters::SIZE - 8).unwrap_or(0));
    asm.alu(Alu::Add, Reg::R1, Reg::R2);
    asm.mov(Reg::R2, 1);
    asm.atomic_add(Reg::R1, 0, Reg::R2, "the verdict's");
}

/// Counts that the step's predicate turned the slot down, or could not be evaluated.
pub(super) fn refuse(asm: &mut Asm, next: Label) {
    asm.note("a predicate turned it down");
    predicates::is_unread(asm);
    asm.store(Width::U64, Reg::Fp, SCRATCH, Reg::R4, "unread");
    look_up(asm, MapId::Counters, next);
    asm.load(Width::U64, Reg::R4, Reg::Fp, SCRATCH, "unread");
    predicates::count_refusal(asm);
}
