//! The gate: the program on a target function that decides whether it fails.

use super::context::Point;
use super::frame::ANSWER;
use super::matching::{Site, Writer};
use super::predicates::{Predicate, Predicates};
use super::{fastpath, probing, scope};
use crate::asm::{Asm, AsmError, Cond, Program, Reg, Width};
use crate::facts::{Facts, TargetFacts};
use crate::layout::globals::Unit;
use crate::matching::GATE;

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
    write(facts, target, predicates, generation, false)
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
    write(facts, target, predicates, generation, true)
}

fn write(
    facts: &Facts,
    target: &TargetFacts,
    predicates: &[Predicate],
    generation: u64,
    believes: bool,
) -> Result<Program, AsmError> {
    let mut asm = Asm::new();
    let slow = fastpath::emit(&mut asm);
    let (none, out) = (asm.label("none"), asm.label("out"));
    asm.bind(slow);
    asm.note("slow path: some probe may apply");
    let context = target.hook.context(facts.registers);
    scope::arguments(&mut asm);
    context.keep_tag(&mut asm, Point::Gate);
    scope::generation(&mut asm, Unit::Gate(target.target), generation, none);
    scope::interrupts(&mut asm, facts.preempt, none);
    scope::members(&mut asm, none);
    probing::answer(&mut asm, 0);
    let predicates = Predicates::begin(&mut asm, predicates);
    Writer { site: Site::Gate(facts, target, context), believes, predicates: &predicates, out }
        .program(&mut asm, GATE);
    asm.bind(out);
    asm.note("the answer: 0 lets the function decide");
    asm.load(Width::U64, Reg::R0, Reg::Fp, ANSWER, "answer");
    asm.jump_if(Cond::Eq, Reg::R0, 0, none);
    context.answer(&mut asm);
    asm.exit();
    asm.note("not for us");
    asm.bind(none);
    asm.mov(Reg::R0, 0);
    asm.exit();
    predicates.functions(&mut asm, context);
    let function = target.target.function();
    let (attach, btf_id) = target.hook.attach(Point::Gate, function);
    asm.finish(&format!("fl_{function}"), attach, btf_id)
}
