//! The records of live activations. [`crate::model`] says the same in Rust.

use super::ChainFunction;
use super::frame::{self, BEFORE, DRAWS, GAIN, OPENED, SLOT, STATE};
use crate::asm::{Alu, Asm, Cond, Label, Reg, Width};
use crate::layout::{off, task};

const TAG: i16 = off(task::TAGS);
const RESTORED: i16 = off(task::BEFORE);

/// Drops every record whose tag is at or below this activation's: those activations are over.
///
/// Tags fall with depth and are addresses on the task's own stack, so what is not above us is not live. The
/// oldest record dropped holds the progress to go back to.
pub(super) fn settle(asm: &mut Asm) {
    let (more, settled) = (asm.label("more"), asm.label("settled"));
    let most = i32::try_from(task::DEPTH_MAX).unwrap_or(0);
    asm.note("drop the records of activations that are over");
    asm.mov(SLOT, 0);
    asm.bind(more);
    asm.load(Width::U64, Reg::R1, STATE, off(task::DEPTH), "depth");
    asm.jump_if(Cond::Eq, Reg::R1, 0, settled);
    asm.alu(Alu::Sub, Reg::R1, 1);
    asm.alu(Alu::And, Reg::R1, most - 1);
    record(asm);
    asm.load(Width::U64, Reg::R3, Reg::R2, TAG, "tag");
    asm.load(Width::U64, Reg::R4, Reg::Fp, frame::TAG, "own tag");
    asm.jump_if(Cond::Gt, Reg::R3, Reg::R4, settled);
    asm.load(Width::U64, Reg::R3, Reg::R2, RESTORED, "progress before");
    asm.store(Width::U64, STATE, off(task::PROGRESS), Reg::R3, "progress");
    asm.store(Width::U64, STATE, off(task::DEPTH), Reg::R1, "depth");
    asm.alu(Alu::Add, SLOT, 1);
    asm.jump_if(Cond::Ne, SLOT, most, more);
    asm.bind(settled);
}

/// Records the activation and what it advances; leaves for `out` where there is no room.
pub(super) fn advance(asm: &mut Asm, function: &ChainFunction, out: Label) {
    let most = i32::try_from(task::DEPTH_MAX).unwrap_or(0);
    asm.note("record the activation and advance");
    asm.load(Width::U64, Reg::R1, STATE, off(task::DEPTH), "depth");
    asm.jump_if(Cond::Ge, Reg::R1, most, out);
    record(asm);
    asm.load(Width::U64, Reg::R3, Reg::Fp, BEFORE, "progress before");
    asm.load(Width::U64, Reg::R4, Reg::Fp, frame::TAG, "own tag");
    asm.store(Width::U64, Reg::R2, TAG, Reg::R4, "tag");
    asm.store(Width::U64, Reg::R2, RESTORED, Reg::R3, "progress before");
    asm.wide(Reg::R4, function.address);
    asm.store(Width::U64, Reg::R2, off(task::SITES), Reg::R4, "site");
    asm.wide(Reg::R4, u64::from(function.span));
    asm.store(Width::U64, Reg::R2, off(task::SPANS), Reg::R4, "span");
    asm.alu(Alu::Add, Reg::R1, 1);
    asm.store(Width::U64, STATE, off(task::DEPTH), Reg::R1, "depth");
    asm.load(Width::U64, Reg::R4, Reg::Fp, GAIN, "gain");
    asm.alu(Alu::Add, Reg::R3, Reg::R4);
    asm.store(Width::U64, STATE, off(task::PROGRESS), Reg::R3, "progress");
    asm.note("keep the draws of slots that opened");
    asm.load(Width::U64, Reg::R1, STATE, off(task::DRAWN), "drawn");
    asm.load(Width::U64, Reg::R2, Reg::Fp, OPENED, "opened");
    asm.load(Width::U64, Reg::R3, Reg::Fp, DRAWS, "draws");
    asm.alu(Alu::Or, Reg::R1, Reg::R2);
    asm.alu(Alu::Sub, Reg::R1, Reg::R2);
    asm.alu(Alu::Or, Reg::R1, Reg::R3);
    asm.store(Width::U64, STATE, off(task::DRAWN), Reg::R1, "drawn");
}

/// R2 = the state, moved on by R1 words: the record R1, at the offsets of the first.
fn record(asm: &mut Asm) {
    asm.mov(Reg::R2, Reg::R1);
    asm.alu(Alu::Shl, Reg::R2, 3);
    asm.alu(Alu::Add, Reg::R2, STATE);
}

/// `word` = progress of the slot under way, taken from the progress of all. Uses R3.
pub(super) fn slot_progress(asm: &mut Asm, word: Reg) {
    asm.mov(Reg::R3, SLOT);
    asm.alu(Alu::Shl, Reg::R3, task::SLOT_SHIFT);
    asm.alu(Alu::Shr, word, Reg::R3);
    asm.alu(Alu::And, word, task::SLOT_MASK);
}
