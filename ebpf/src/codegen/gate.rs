//! The gate: the program on a target function that decides whether it fails.

use super::context::{Context, Point};
use super::frame::{ANSWER, COUNTERS, DISPROVED, HOT, KEY, LIST, NOW, PROBE, SLOT, STATE, VERDICT};
use super::predicates::{self, Predicate, Predicates};
use super::scope::Turns;
use super::{budget, fastpath, guards, matching, sampling, scope, stackwalk};
use crate::asm::{Alu, Asm, AsmError, Cond, Helper, Label, MapId, Program, Reg, Width};
use crate::facts::{Facts, TargetFacts};
use crate::layout::counters::{self, Counter};
use crate::layout::globals::Unit;
use crate::layout::{MAX_FRAMES, hot, members, off, probe, task};

/// The gate of a target, with the predicates that probes have on it.
///
/// # Errors
/// The predicates are too long for one program.
pub fn gate(
    facts: &Facts,
    target: &TargetFacts,
    predicates: &[Predicate],
    generation: u64,
) -> Result<Program, AsmError> {
    write(facts, target, predicates, generation, prove)
}

/// The same without its proof: it believes its records, also those whose exit was missed. For tests that show what the
/// proof is good for.
///
/// # Errors
/// As [`gate`].
#[cfg(feature = "testing")]
pub fn credulous_gate(
    facts: &Facts,
    target: &TargetFacts,
    predicates: &[Predicate],
    generation: u64,
) -> Result<Program, AsmError> {
    write(facts, target, predicates, generation, |asm, _, _| store_veiled(asm, DISPROVED, 0, "disproved"))
}

fn write(
    facts: &Facts,
    target: &TargetFacts,
    predicates: &[Predicate],
    generation: u64,
    prove: impl FnOnce(&mut Asm, &TargetFacts, &Predicates<'_>),
) -> Result<Program, AsmError> {
    let mut asm = Asm::new();
    let slow = fastpath::emit(&mut asm);
    let out = asm.label("out");
    asm.bind(slow);
    asm.note("slow path: some probe may apply");
    let context = target.hook.context(facts.registers);
    scope::arguments(&mut asm);
    context.keep_tag(&mut asm, Point::Gate);
    scope::generation(&mut asm, Unit::Gate(target.target), generation, out);
    scope::interrupts(&mut asm, facts.preempt, out);
    scope::members(&mut asm, out);
    task_state(&mut asm);
    guards::emit(&mut asm, facts, target, context);
    let predicates = Predicates::begin(&mut asm, predicates);
    if !predicates.is_empty() {
        ask(&mut asm, target);
        predicates.evaluate(&mut asm);
    }
    prove(&mut asm, target, &predicates);
    every_probe(&mut asm, target, &predicates, context, out);
    asm.note("not for us");
    asm.bind(out);
    asm.mov(Reg::R0, 0);
    asm.exit();
    predicates.functions(&mut asm, context);
    let function = target.target.function();
    let (attach, btf_id) = target.hook.attach(Point::Gate, function);
    asm.finish(&format!("fl_{function}"), attach, btf_id)
}

fn task_state(asm: &mut Asm) {
    let stateless = asm.label("stateless");
    asm.mov(STATE, 0);
    asm.load(Width::U32, Reg::R1, LIST, off(members::CHAINED), "chained");
    asm.jump_if(Cond::Eq, Reg::R1, 0, stateless);
    scope::find_state(asm, stateless);
    scope::refresh_state(asm);
    matching::settle(asm);
    asm.bind(stateless);
}

/// Where a slot's evaluation may end.
struct Exits {
    next: Label,
    refused: Label,
    rejected: Label,
    disproved: Label,
    exhausted: Label,
    contended: Label,
    expired: Label,
}

fn every_probe(
    asm: &mut Asm,
    target: &TargetFacts,
    predicates: &Predicates<'_>,
    context: Context,
    out: Label,
) {
    let (slot, end) = (asm.label("slot"), asm.label("end"));
    let exits = Exits {
        next: asm.label("next"),
        refused: asm.label("refused"),
        rejected: asm.label("rejected"),
        disproved: asm.label("disproved"),
        exhausted: asm.label("exhausted"),
        contended: asm.label("contended"),
        expired: asm.label("expired"),
    };
    store_veiled(asm, ANSWER, 0, "answer");
    scope::each_slot(asm, &Turns { slot, next: exits.next, end }, |asm| {
        one_probe(asm, target, predicates, &exits);
        rejections(asm, predicates, &exits);
    });
    asm.bind(end);
    forget_disproved(asm);
    asm.note("the answer: 0 lets the function decide");
    asm.load(Width::U64, Reg::R0, Reg::Fp, ANSWER, "answer");
    asm.jump_if(Cond::Eq, Reg::R0, 0, out);
    context.answer(asm);
    asm.exit();
}

fn one_probe(asm: &mut Asm, target: &TargetFacts, predicates: &Predicates<'_>, exits: &Exits) {
    let (free, plain, ticket) = (asm.label("free"), asm.label("plain"), asm.label("ticket"));
    find_probe(asm, target, exits.next);
    count(asm, Counter::Hits);
    asm.load(Width::U64, Reg::R2, Reg::Fp, VERDICT, "verdict");
    asm.jump_if(Cond::Eq, Reg::R2, 0, free);
    count_verdict(asm);
    asm.jump(exits.next);
    asm.bind(free);
    probe_end(asm, exits.expired);
    asm.note("is its chain live?");
    asm.load(Width::U64, Reg::R1, Reg::Fp, PROBE, "probe");
    asm.load(Width::U32, Reg::R1, Reg::R1, off(probe::FRAMES), "frames");
    asm.jump_if(Cond::Eq, Reg::R1, 0, plain);
    asm.jump_if(Cond::Eq, STATE, 0, exits.next);
    frames_live(asm, exits.next);
    own_predicate(asm, predicates, exits);
    chain_matched(asm, exits);
    asm.jump(ticket);
    asm.bind(plain);
    own_predicate(asm, predicates, exits);
    count(asm, Counter::Matches);
    sampling::draw(asm, HOT, exits.rejected);
    asm.bind(ticket);
    scope::still_member(asm, exits.contended);
    budget::take_ticket(asm, exits.exhausted, exits.contended);
    asm.note("inject, and count what else applies as shadowed");
    count(asm, Counter::Injections);
    store_veiled(asm, ANSWER, target.target.failure(), "answer");
    store_veiled(asm, VERDICT, i32::from(Counter::Shadowed.off()), "verdict");
    asm.jump(exits.next);
}

/// R0 = the slot's probe; leaves unless it is about this function.
fn probe_of_target(asm: &mut Asm, target: &TargetFacts, no: Label) {
    asm.map(Reg::R1, MapId::Probes);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, no);
    asm.load(Width::U32, Reg::R1, Reg::R0, off(probe::TARGET), "target");
    asm.jump_if(Cond::Ne, Reg::R1, i32::try_from(target.target.code()).unwrap_or(0), no);
}

fn find_probe(asm: &mut Asm, target: &TargetFacts, next: Label) {
    asm.note("the slot's probe, if it is about this function");
    probe_of_target(asm, target, next);
    asm.store(Width::U64, Reg::Fp, PROBE, Reg::R0, "probe");
    asm.load(Width::U64, Reg::R2, Reg::Fp, KEY, "key");
    asm.map(Reg::R1, MapId::Counters);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, next);
    asm.store(Width::U64, Reg::Fp, COUNTERS, Reg::R0, "counters");
}

/// Keeps the changeable words at hand; leaves when the probe is over.
fn probe_end(asm: &mut Asm, expired: Label) {
    asm.note("before the probe's end?");
    scope::hot_words(asm);
    asm.store(Width::U64, Reg::Fp, HOT, Reg::R1, "hot");
    asm.load(Width::U64, Reg::R1, Reg::R1, off(hot::ENDS), "ends");
    asm.load(Width::U64, Reg::R2, Reg::Fp, NOW, "now");
    asm.jump_if(Cond::Ge, Reg::R2, Reg::R1, expired);
}

/// The target's own predicate, of the probe that is kept on the stack.
fn own_predicate(asm: &mut Asm, predicates: &Predicates<'_>, exits: &Exits) {
    asm.load(Width::U64, Reg::R0, Reg::Fp, PROBE, "probe");
    last_step(asm);
    if predicates.is_empty() {
        // A probe that asks for a predicate is none of a program that has no predicates.
        asm.jump_if(Cond::Ne, Reg::R2, 0, exits.next);
    } else {
        predicates::unless_held(asm, exits.refused);
    }
}

/// R2 = the number of the target's own predicate, of the probe that R0 points to.
fn last_step(asm: &mut Asm) {
    asm.load(Width::U32, Reg::R1, Reg::R0, off(probe::FRAMES), "frames");
    asm.alu(Alu::And, Reg::R1, i32::try_from(MAX_FRAMES).unwrap_or(0));
    asm.alu(Alu::Shl, Reg::R1, 1);
    asm.alu(Alu::Add, Reg::R0, Reg::R1);
    asm.load(Width::U16, Reg::R2, Reg::R0, off(probe::STEPS), "last step");
    predicates::of_step(asm);
}
const _: () = assert!(MAX_FRAMES == 15, "a number of frames is masked with it");

/// Before the probes have their turn: asks for the predicate of each whose frames are live, where anything may be
/// injected at all.
fn ask(asm: &mut Asm, target: &TargetFacts) {
    let (slot, plain, next, end) =
        (asm.label("ask"), asm.label("ask_plain"), asm.label("asked"), asm.label("all_asked"));
    asm.load(Width::U64, Reg::R1, Reg::Fp, VERDICT, "verdict");
    asm.jump_if(Cond::Ne, Reg::R1, 0, end);
    scope::each_slot(asm, &Turns { slot, next, end }, |asm| {
        probe_of_target(asm, target, next);
        asm.load(Width::U32, Reg::R1, Reg::R0, off(probe::FRAMES), "frames");
        asm.jump_if(Cond::Eq, Reg::R1, 0, plain);
        asm.jump_if(Cond::Eq, STATE, 0, next);
        frames_live(asm, next);
        asm.bind(plain);
        last_step(asm);
        predicates::ask(asm);
    });
    asm.bind(end);
}

/// The frames are live.
fn chain_matched(asm: &mut Asm, exits: &Exits) {
    count(asm, Counter::Matches);
    drawn(asm, exits.rejected);
    asm.load(Width::U64, Reg::R1, Reg::Fp, DISPROVED, "disproved");
    asm.jump_if(Cond::Ne, Reg::R1, 0, exits.disproved);
}

/// Before the probes have their turn: if one of them is about to inject for a chain, holds the records against
/// the stack, once for all of them.
fn prove(asm: &mut Asm, target: &TargetFacts, predicates: &Predicates<'_>) {
    let (look, skip, trusted) = (asm.label("look"), asm.label("skip"), asm.label("trusted"));
    let walk = asm.label("walk");
    store_veiled(asm, DISPROVED, 0, "disproved");
    asm.note("is any chain live and drawn?");
    asm.jump_if(Cond::Eq, STATE, 0, trusted);
    asm.load(Width::U64, Reg::R1, Reg::Fp, VERDICT, "verdict");
    asm.jump_if(Cond::Ne, Reg::R1, 0, trusted);
    scope::each_slot(asm, &Turns { slot: look, next: skip, end: trusted }, |asm| {
        probe_of_target(asm, target, skip);
        asm.load(Width::U32, Reg::R1, Reg::R0, off(probe::FRAMES), "frames");
        asm.jump_if(Cond::Eq, Reg::R1, 0, skip);
        frames_live(asm, skip);
        drawn(asm, skip);
        if !predicates.is_empty() {
            last_step(asm);
            predicates::unless_held(asm, skip);
        }
        asm.jump(walk);
    });
    asm.bind(walk);
    stackwalk::emit(asm);
    asm.bind(trusted);
}

/// R1 holds the number of frames; leaves unless the slot has progressed so far.
fn frames_live(asm: &mut Asm, no: Label) {
    asm.load(Width::U64, Reg::R2, STATE, off(task::PROGRESS), "progress");
    matching::slot_progress(asm, Reg::R2);
    asm.jump_if(Cond::Ne, Reg::R2, Reg::R1, no);
}

/// Leaves unless the outermost activation's draw favoured the slot.
fn drawn(asm: &mut Asm, no: Label) {
    asm.load(Width::U64, Reg::R1, STATE, off(task::DRAWN), "drawn");
    asm.alu(Alu::Shr, Reg::R1, SLOT);
    asm.alu(Alu::And, Reg::R1, 1);
    asm.jump_if(Cond::Eq, Reg::R1, 0, no);
}

/// An exit was missed: what is on record cannot be told from what is live, so nothing is.
fn forget_disproved(asm: &mut Asm) {
    let borne_out = asm.label("borne_out");
    asm.note("drop records that the stack did not bear out");
    asm.load(Width::U64, Reg::R1, Reg::Fp, DISPROVED, "disproved");
    asm.jump_if(Cond::Eq, Reg::R1, 0, borne_out);
    asm.jump_if(Cond::Eq, STATE, 0, borne_out);
    scope::clear_state(asm);
    asm.bind(borne_out);
}

fn rejections(asm: &mut Asm, predicates: &Predicates<'_>, exits: &Exits) {
    asm.note("why not, counted");
    for (label, counter) in [
        (exits.expired, Counter::Expired),
        (exits.rejected, Counter::SampledOut),
        (exits.exhausted, Counter::Exhausted),
        (exits.contended, Counter::Contended),
    ] {
        asm.bind(label);
        count(asm, counter);
        asm.jump(exits.next);
    }
    if !predicates.is_empty() {
        asm.bind(exits.refused);
        predicates::is_unread(asm);
        asm.load(Width::U64, Reg::R0, Reg::Fp, COUNTERS, "counters");
        predicates::count_refusal(asm);
        asm.jump(exits.next);
    }
    asm.bind(exits.disproved);
    count(asm, Counter::MissedReturns);
}

fn store_veiled(asm: &mut Asm, word: i16, value: i32, what: &'static str) {
    asm.mov(Reg::R1, value);
    scope::veil(asm, Reg::R1, Reg::R2);
    asm.store(Width::U64, Reg::Fp, word, Reg::R1, what);
}

fn count(asm: &mut Asm, counter: Counter) {
    asm.load(Width::U64, Reg::R0, Reg::Fp, COUNTERS, "counters");
    asm.increment(Reg::R0, counter.off(), Reg::R2, counter.name());
}

/// R2 holds the verdict, the offset of its counter. R0 are the counters.
fn count_verdict(asm: &mut Asm) {
    let mask = i32::try_from(counters::SIZE - 8).unwrap_or(0);
    asm.alu(Alu::And, Reg::R2, mask);
    asm.alu(Alu::Add, Reg::R0, Reg::R2);
    asm.increment(Reg::R0, 0, Reg::R2, "the verdict's");
}
