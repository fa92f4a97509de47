//! The programs on a chain function: at its entry they advance, at its exit they settle.

use super::context::{Context, Point};
use super::frame::LIST;
use super::matching::{Site, Writer};
use super::predicates::{Predicate, Predicates};
use super::{ChainFunction, fastpath, scope};
use crate::asm::{Asm, AsmError, Cond, Label, Program, Reg, Width};
use crate::facts::Facts;
use crate::layout::globals::Unit;
use crate::layout::{members, off};
use crate::matching::{ENTRY, EXIT};

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
    Writer { site: Site::Chain(facts, function), believes: false, predicates: &predicates, out }
        .program(&mut asm, ENTRY);
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
    let context = function.hook.context(facts.registers);
    head(&mut asm, context, Point::Exit);
    scope::interrupts(&mut asm, facts.preempt, out);
    let predicates = Predicates::begin(&mut asm, &[]);
    Writer { site: Site::Chain(facts, function), believes: false, predicates: &predicates, out }
        .program(&mut asm, EXIT);
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
