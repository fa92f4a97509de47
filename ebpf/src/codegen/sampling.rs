//! The probability: an integer percent.

use super::scope;
use crate::asm::{Alu, Asm, Cond, Helper, Label, Reg, Width};
use crate::layout::{hot, off};

const PERCENT: i32 = 100;

/// Leaves for `rejected` unless a draw favours the slot's probe.
///
/// The remainder of 32 random bits favours small percentages by less than one in forty million.
pub(super) fn draw(asm: &mut Asm, rejected: Label) {
    asm.call(Helper::Random);
    asm.alu(Alu::Mod, Reg::R0, PERCENT);
    scope::hot_words(asm);
    asm.load(Width::U64, Reg::R1, Reg::R1, off(hot::PROBABILITY), "probability");
    asm.jump_if(Cond::Ge, Reg::R0, Reg::R1, rejected);
}
