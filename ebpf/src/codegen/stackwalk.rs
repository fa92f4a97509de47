//! Proof that what is on record is really on the stack.
//!
//! Exits can be missed, and a record left behind by an earlier system call can look live. So before anything is
//! injected the stack is read, innermost first, and must show the entry call of every record, the last first.

use super::ChainFunction;
use super::frame::{CTX, DISPROVED, STATE};
use super::scope::veil;
use crate::asm::{Alu, Asm, Cond, Helper, Label, Reg, Width};
use crate::layout::{off, task};

/// Sets DISPROVED where a record is not borne out.
pub(super) fn emit(asm: &mut Asm) {
    let (disproved, proven) = (asm.label("disproved"), asm.label("proven"));
    asm.note("is every record on the stack?");
    read_stack(asm);
    asm.load(Width::U64, Reg::R1, STATE, off(task::DEPTH), "depth");
    scan(asm, disproved);
    asm.jump_if(Cond::Eq, Reg::R1, 0, proven);
    asm.bind(disproved);
    asm.mov(Reg::R1, 1);
    veil(asm, Reg::R1, Reg::R2);
    asm.store(Width::U64, Reg::Fp, DISPROVED, Reg::R1, "disproved");
    asm.bind(proven);
}

/// At the entry of a function that has predicates: drops everything where a record of the same function is not borne
/// out beside the activation that begins here.
///
/// Such a record may be one whose exit was missed. The gate could not tell: it would find the function on the stack,
/// for the sake of this activation, whose predicate may not hold.
pub(super) fn recheck(asm: &mut Asm, function: &ChainFunction) {
    let (record, doubtful, disproved, sound) =
        (asm.label("record"), asm.label("doubtful"), asm.label("stale"), asm.label("sound"));
    asm.note("has this function a record already?");
    asm.load(Width::U64, Reg::R5, STATE, off(task::DEPTH), "depth");
    asm.wide(Reg::R2, function.address);
    asm.mov(Reg::R1, 0);
    asm.bind(record);
    asm.jump_if(Cond::Ge, Reg::R1, i32::try_from(task::DEPTH_MAX).unwrap_or(0), sound);
    asm.jump_if(Cond::Ge, Reg::R1, Reg::R5, sound);
    asm.mov(Reg::R3, Reg::R1);
    asm.alu(Alu::Shl, Reg::R3, 3);
    asm.alu(Alu::Add, Reg::R3, STATE);
    asm.load(Width::U64, Reg::R4, Reg::R3, off(task::SITES), "site");
    asm.jump_if(Cond::Eq, Reg::R4, Reg::R2, doubtful);
    asm.alu(Alu::Add, Reg::R1, 1);
    asm.jump(record);
    asm.bind(doubtful);
    asm.note("then both must be on the stack");
    asm.jump_if(Cond::Ge, Reg::R5, i32::try_from(task::DEPTH_MAX).unwrap_or(0), disproved);
    asm.alu(Alu::Shl, Reg::R5, 3);
    asm.alu(Alu::Add, Reg::R5, STATE);
    asm.store(Width::U64, Reg::R5, off(task::SITES), Reg::R2, "site");
    asm.wide(Reg::R2, u64::from(function.span));
    asm.store(Width::U64, Reg::R5, off(task::SPANS), Reg::R2, "span");
    read_stack(asm);
    asm.load(Width::U64, Reg::R1, STATE, off(task::DEPTH), "depth");
    asm.alu(Alu::Add, Reg::R1, 1);
    scan(asm, disproved);
    asm.jump_if(Cond::Eq, Reg::R1, 0, sound);
    asm.bind(disproved);
    super::scope::clear_state(asm);
    asm.bind(sound);
}

/// R0 = bytes of return addresses, innermost first, in the task's state; negative where they cannot be had.
fn read_stack(asm: &mut Asm) {
    asm.mov(Reg::R1, CTX);
    asm.address(Reg::R2, STATE, off(task::STACK));
    asm.mov(Reg::R3, i32::from(BYTES));
    asm.mov(Reg::R4, 0);
    asm.call(Helper::Stack);
}

const BYTES: i16 = off(8 * task::STACK_MAX);

/// Finds the records, the innermost first. R0: bytes of return addresses; R1: how many records, and then those still
/// to be found; R2: offset of the address under way.
///
/// Without branches on what is found: every branch here would be one more path for the verifier to walk, at
/// each of the addresses.
fn scan(asm: &mut Asm, disproved: Label) {
    let address = asm.label("address");
    asm.jump_if(Cond::SignedLt, Reg::R0, 8, disproved);
    asm.jump_if(Cond::Gt, Reg::R0, i32::from(BYTES), disproved);
    asm.alu(Alu::And, Reg::R1, DEPTHS);
    asm.mov(Reg::R2, 0);
    asm.bind(address);
    asm.mov(Reg::R4, Reg::R1);
    asm.alu(Alu::Shl, Reg::R4, 3);
    asm.alu(Alu::Add, Reg::R4, STATE);
    asm.load(Width::U64, Reg::R3, Reg::R4, off(task::NO_SPAN), "span");
    asm.load(Width::U64, Reg::R4, Reg::R4, off(task::NO_SITE), "site");
    asm.mov(Reg::R5, STATE);
    asm.alu(Alu::Add, Reg::R5, Reg::R2);
    asm.load(Width::U64, Reg::R5, Reg::R5, off(task::STACK), "return address");
    asm.alu(Alu::Sub, Reg::R5, Reg::R4);
    is_site(asm);
    asm.alu(Alu::Sub, Reg::R1, Reg::R5);
    asm.alu(Alu::And, Reg::R1, DEPTHS);
    asm.alu(Alu::Add, Reg::R2, 8);
    // This way round, since 6.1 decides a comparison only when its right side is the known one.
    asm.jump_if(Cond::Gt, Reg::R0, Reg::R2, address);
}

/// Holds every depth, 0 to [`task::DEPTH_MAX`].
const DEPTHS: i32 = 63;

/// R5 = 1 if it is below the span in R3, else 0. Uses R4.
///
/// Less the span it turns negative; but so it is where it was negative before.
fn is_site(asm: &mut Asm) {
    asm.mov(Reg::R4, Reg::R5);
    asm.alu(Alu::Shr, Reg::R4, 63);
    asm.alu(Alu::Sub, Reg::R5, Reg::R3);
    asm.alu(Alu::Shr, Reg::R5, 63);
    asm.alu(Alu::Sub, Reg::R5, Reg::R4);
}
