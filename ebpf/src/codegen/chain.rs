//! The programs on a chain function: at its entry they advance, at its exit they settle.

use super::context::{Context, Point};
use super::frame::{BEFORE, DRAWS, GAIN, HOT, KEY, LIST, OPENED, REFUSAL, SLOT, STATE};
use super::predicates::{self, Predicate, Predicates};
use super::scope::Turns;
use super::{ChainFunction, fastpath, matching, sampling, scope, stackwalk};
use crate::asm::{Alu, Asm, AsmError, Cond, Helper, Label, MapId, Program, Reg, Width};
use crate::facts::Facts;
use crate::layout::globals::Unit;
use crate::layout::{members, off, probe, task};

/// The program at the entry of a chain function, with the predicates that frames on it have.
///
/// # Errors
/// The predicates are too long for one program.
pub fn chain_entry(
    facts: &Facts,
    function: &ChainFunction,
    predicates: &[Predicate],
    generation: u64,
) -> Result<Program, AsmError> {
    let mut asm = Asm::new();
    let out = asm.label("out");
    let context = function.hook.context(facts.registers);
    head(&mut asm, context, Point::Entry);
    scope::generation(&mut asm, Unit::Function(function.number), generation, out);
    scope::interrupts(&mut asm, facts.preempt, out);
    scope::members(&mut asm, out);
    asm.load(Width::U32, Reg::R1, LIST, off(members::CHAINED), "chained");
    asm.jump_if(Cond::Eq, Reg::R1, 0, out);
    let predicates = Predicates::begin(&mut asm, predicates);
    progress_so_far(&mut asm, function, !predicates.is_empty());
    if !predicates.is_empty() {
        ask(&mut asm, function.number);
        predicates.evaluate(&mut asm);
    }
    every_probe(&mut asm, function.number, &predicates);
    remember(&mut asm, function, out);
    tail(&mut asm, out);
    predicates.functions(&mut asm, context);
    let (attach, btf_id) = function.hook.attach(Point::Entry, &function.name);
    asm.finish(&format!("fl_in_{}", function.number), attach, btf_id)
}

/// The program at the exit of a chain function. Whatever the generation: what it does is right for every activation
/// that ends, and doing it twice changes nothing. So it need not be replaced with the entry program.
///
/// # Errors
/// A mistake in the code generator.
pub fn chain_exit(facts: &Facts, function: &ChainFunction) -> Result<Program, AsmError> {
    let mut asm = Asm::new();
    let out = asm.label("out");
    head(&mut asm, function.hook.context(facts.registers), Point::Exit);
    scope::interrupts(&mut asm, facts.preempt, out);
    scope::find_state(&mut asm, out);
    matching::settle(&mut asm);
    tail(&mut asm, out);
    let (attach, btf_id) = function.hook.attach(Point::Exit, &function.name);
    asm.finish(&format!("fl_out_{}", function.number), attach, btf_id)
}

fn head(asm: &mut Asm, context: Context, point: Point) {
    let slow = fastpath::emit(asm);
    asm.bind(slow);
    asm.note("slow path: some probe may apply");
    scope::arguments(asm);
    context.keep_tag(asm, point);
}

fn tail(asm: &mut Asm, out: Label) {
    asm.bind(out);
    asm.mov(Reg::R0, 0);
    asm.exit();
}

fn progress_so_far(asm: &mut Asm, function: &ChainFunction, has_predicates: bool) {
    let fresh = asm.label("fresh");
    asm.mov(Reg::R1, 0);
    scope::veil(asm, Reg::R1, Reg::R2);
    asm.store(Width::U64, Reg::Fp, BEFORE, Reg::R1, "progress before");
    scope::find_state(asm, fresh);
    scope::refresh_state(asm);
    matching::settle(asm);
    if has_predicates {
        stackwalk::recheck(asm, function);
    }
    asm.load(Width::U64, Reg::R1, STATE, off(task::PROGRESS), "progress");
    asm.store(Width::U64, Reg::Fp, BEFORE, Reg::R1, "progress before");
    asm.bind(fresh);
}

/// Asks for the predicate of every step that waits for this function.
fn ask(asm: &mut Asm, number: u16) {
    let (slot, next, end) = (asm.label("ask"), asm.label("asked"), asm.label("all_asked"));
    scope::each_slot(asm, &Turns { slot, next, end }, |asm| {
        waiting_step(asm, number, true, next);
        predicates::ask(asm);
    });
    asm.bind(end);
}

/// Leaves for `next` unless the slot's chain waits for this function. R1 = its position, R2 = the number of the
/// predicate that must hold, R3 = where the slot is in the word of progress.
///
/// A step that asks for a predicate is none of a program that has no predicates: its whole word is compared.
fn waiting_step(asm: &mut Asm, number: u16, has_predicates: bool, next: Label) {
    asm.map(Reg::R1, MapId::Probes);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, next);
    asm.load(Width::U64, Reg::R1, Reg::Fp, BEFORE, "progress before");
    matching::slot_progress(asm, Reg::R1);
    asm.mov(Reg::R2, Reg::R1);
    asm.alu(Alu::Shl, Reg::R2, 1);
    asm.alu(Alu::Add, Reg::R0, Reg::R2);
    asm.load(Width::U16, Reg::R2, Reg::R0, off(probe::STEPS), "step");
    if has_predicates {
        asm.mov(Reg::R4, Reg::R2);
        asm.alu(Alu::And, Reg::R4, (1 << probe::FUNCTION_BITS) - 1);
        asm.jump_if(Cond::Ne, Reg::R4, i32::from(number), next);
        predicates::of_step(asm);
    } else {
        asm.jump_if(Cond::Ne, Reg::R2, i32::from(number), next);
    }
}

fn every_probe(asm: &mut Asm, number: u16, predicates: &Predicates<'_>) {
    let (slot, next, end) = (asm.label("slot"), asm.label("next"), asm.label("end"));
    asm.mov(Reg::R1, 0);
    scope::veil(asm, Reg::R1, Reg::R2);
    for (word, what) in [(GAIN, "gain"), (OPENED, "opened"), (DRAWS, "draws")] {
        asm.store(Width::U64, Reg::Fp, word, Reg::R1, what);
    }
    scope::each_slot(asm, &Turns { slot, next, end }, |asm| {
        asm.note("does the slot's chain wait for this function?");
        waiting_step(asm, number, !predicates.is_empty(), next);
        let refused = (!predicates.is_empty()).then(|| asm.label("refused"));
        if let Some(refused) = refused {
            predicates::unless_held(asm, refused);
        }
        asm.mov(Reg::R2, 1);
        asm.alu(Alu::Shl, Reg::R2, Reg::R3);
        merge(asm, GAIN, "gain");
        asm.jump_if(Cond::Ne, Reg::R1, 0, next);
        open_slot(asm, next);
        if let Some(refused) = refused {
            asm.jump(next);
            asm.bind(refused);
            count_refusal(asm, next);
        }
    });
    asm.bind(end);
}

/// The outermost activation of a chain: draw for all that follows inside it.
fn open_slot(asm: &mut Asm, next: Label) {
    asm.note("the outermost activation draws");
    slot_bit(asm);
    merge(asm, OPENED, "opened");
    scope::hot_words(asm);
    asm.store(Width::U64, Reg::Fp, HOT, Reg::R1, "hot");
    sampling::draw(asm, HOT, next);
    slot_bit(asm);
    merge(asm, DRAWS, "draws");
}

/// Counts that the predicate whose number is in R2 turned the slot down.
fn count_refusal(asm: &mut Asm, next: Label) {
    asm.note("a predicate turned it down");
    predicates::is_unread(asm);
    asm.store(Width::U64, Reg::Fp, REFUSAL, Reg::R4, "unread");
    asm.load(Width::U64, Reg::R2, Reg::Fp, KEY, "key");
    asm.map(Reg::R1, MapId::Counters);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, next);
    asm.load(Width::U64, Reg::R4, Reg::Fp, REFUSAL, "unread");
    predicates::count_refusal(asm);
}

fn slot_bit(asm: &mut Asm) {
    asm.mov(Reg::R2, 1);
    asm.alu(Alu::Shl, Reg::R2, SLOT);
}

/// Adds the bits in R2, which are clear there, to a word on the stack. Uses R4.
fn merge(asm: &mut Asm, word: i16, what: &'static str) {
    asm.load(Width::U64, Reg::R4, Reg::Fp, word, what);
    asm.alu(Alu::Add, Reg::R4, Reg::R2);
    asm.store(Width::U64, Reg::Fp, word, Reg::R4, what);
}

fn remember(asm: &mut Asm, function: &ChainFunction, out: Label) {
    let known = asm.label("known");
    asm.note("an activation that advances nothing leaves no trace");
    asm.load(Width::U64, Reg::R1, Reg::Fp, GAIN, "gain");
    asm.jump_if(Cond::Eq, Reg::R1, 0, out);
    asm.jump_if(Cond::Ne, STATE, 0, known);
    scope::make_state(asm, out);
    asm.bind(known);
    matching::advance(asm, function, out);
}
