//! Which predicates hold at this entry. Each that some slot asks for is evaluated once, before the slots have their
//! turn: whatever the number of probes, and with no path of the verifier's through one that leads into another.

use super::context::Context;
use super::expression;
use super::frame::{CTX, HELD, NEEDED, STEP, UNREAD};
use super::scope::veil;
use crate::asm::{Alu, Asm, Cond, Label, Reg, Width};
use crate::layout::{counters::Counter, probe};
use crate::predicate::Ir;

/// A predicate of the function or target that a program sits on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Predicate {
    /// The number that steps of chains know it by: 1 to [`MAX_PREDICATES`](crate::layout::MAX_PREDICATES).
    pub number: u8,
    /// What must hold.
    pub condition: Ir,
}

/// The predicates of one program.
pub(super) struct Predicates<'p>(Vec<(Label, &'p Predicate)>);

impl<'p> Predicates<'p> {
    /// Nothing is asked for yet, and nothing holds but number 0, which asks for nothing.
    pub(super) fn begin(asm: &mut Asm, predicates: &'p [Predicate]) -> Self {
        if !predicates.is_empty() {
            asm.note("which predicates are asked for?");
            for (word, value, what) in [(NEEDED, 0, "needed"), (HELD, 1, "held"), (UNREAD, 0, "unread")] {
                asm.mov(Reg::R1, value);
                veil(asm, Reg::R1, Reg::R2);
                asm.store(Width::U64, Reg::Fp, word, Reg::R1, what);
            }
        }
        Self(predicates.iter().map(|predicate| (asm.label("predicate"), predicate)).collect())
    }

    /// Whether the program has none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Goes there where the predicate of the step that was taken holds, or, unless that is `wanted`, where it does not.
    ///
    /// A step that asks for a predicate is none of a program that has no predicates.
    pub(super) fn go(&self, asm: &mut Asm, wanted: bool, there: Label) {
        of_step(asm, Reg::R2);
        if self.is_empty() {
            asm.jump_if(if wanted { Cond::Eq } else { Cond::Ne }, Reg::R2, 0, there);
        } else {
            bit(asm, HELD, "held");
            asm.jump_if(if wanted { Cond::Ne } else { Cond::Eq }, Reg::R4, 0, there);
        }
    }

    /// Evaluates those that were asked for.
    pub(super) fn evaluate(&self, asm: &mut Asm) {
        for (label, predicate) in &self.0 {
            one(asm, *label, i32::from(predicate.number));
        }
    }

    /// Writes their functions; the program has ended before.
    pub(super) fn functions(self, asm: &mut Asm, context: Context) {
        for (label, predicate) in self.0 {
            asm.note(format!("predicate {}", predicate.number));
            expression::function(asm, label, &predicate.condition, context);
        }
    }
}

/// Asks for the predicate of the step that was taken.
pub(super) fn ask(asm: &mut Asm) {
    of_step(asm, Reg::R2);
    asm.mov(Reg::R1, 1);
    asm.alu(Alu::Shl, Reg::R1, Reg::R2);
    merge(asm, NEEDED, "needed");
}

/// The verifier follows each of the three answers; behind the veil they are one.
fn one(asm: &mut Asm, function: Label, number: i32) {
    let skip = asm.label("not_needed");
    asm.note(format!("predicate {number}, where it is needed"));
    asm.load(Width::U64, Reg::R1, Reg::Fp, NEEDED, "needed");
    asm.alu(Alu::Shr, Reg::R1, number);
    asm.alu(Alu::And, Reg::R1, 1);
    asm.jump_if(Cond::Eq, Reg::R1, 0, skip);
    asm.mov(Reg::R1, CTX);
    asm.call_local(function);
    veil(asm, Reg::R0, Reg::R1);
    asm.mov(Reg::R1, Reg::R0);
    asm.alu(Alu::And, Reg::R1, expression::YES);
    asm.alu(Alu::Shl, Reg::R1, number);
    merge(asm, HELD, "held");
    asm.mov(Reg::R1, Reg::R0);
    asm.alu(Alu::Shr, Reg::R1, 1);
    asm.alu(Alu::And, Reg::R1, 1);
    asm.alu(Alu::Shl, Reg::R1, number);
    merge(asm, UNREAD, "unread");
    asm.bind(skip);
}
const _: () = assert!(expression::NO == 0 && expression::YES == 1 && expression::UNREAD == 1 << 1);

/// Adds the bits in R1 to a word on the stack. Uses R4.
fn merge(asm: &mut Asm, word: i16, what: &'static str) {
    asm.load(Width::U64, Reg::R4, Reg::Fp, word, what);
    asm.alu(Alu::Or, Reg::R4, Reg::R1);
    asm.store(Width::U64, Reg::Fp, word, Reg::R4, what);
}

/// `dst` = the number of the predicate of the step that was taken.
pub(super) fn of_step(asm: &mut Asm, dst: Reg) {
    asm.load(Width::U64, dst, Reg::Fp, STEP, "step");
    asm.alu(Alu::Shr, dst, probe::FUNCTION_BITS);
}

/// R4 = 1 where the predicate of the step that was taken could not be evaluated, else 0.
pub(super) fn is_unread(asm: &mut Asm) {
    of_step(asm, Reg::R2);
    bit(asm, UNREAD, "unread");
}

/// Counts a refusal in the counters that R0 points to; R4 as [`is_unread`] left it.
pub(super) fn count_refusal(asm: &mut Asm) {
    asm.alu(Alu::And, Reg::R4, 1);
    asm.alu(Alu::Shl, Reg::R4, 3);
    asm.alu(Alu::Add, Reg::R0, Reg::R4);
    asm.mov(Reg::R1, 1);
    asm.atomic_add(Reg::R0, Counter::Rejected.off(), Reg::R1, "rejected, or unread");
}
const _: () = assert!(Counter::Unread.offset() == Counter::Rejected.offset() + 8);

fn bit(asm: &mut Asm, word: i16, what: &'static str) {
    asm.load(Width::U64, Reg::R4, Reg::Fp, word, what);
    asm.alu(Alu::Shr, Reg::R4, Reg::R2);
    asm.alu(Alu::And, Reg::R4, 1);
}
