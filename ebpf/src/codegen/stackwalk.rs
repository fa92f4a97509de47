//! Proof that a matched chain is really on the stack.
//!
//! Exits can be missed, and a record left behind by an earlier system call can look live. So before injecting
//! the stack is read, innermost first, and must show the entry call of every frame, the last first.

use super::frame::{CTX, PROBE, STATE, WALKED};
use super::scope::veil;
use crate::asm::{Alu, Asm, Cond, Helper, Label, Reg, Width};
use crate::layout::{off, probe, task};

/// Leaves for `disproved` where a frame is not there. The stack is read once per call of the gate.
pub(super) fn emit(asm: &mut Asm, disproved: Label) {
    let read = asm.label("read");
    asm.note("is every frame on the stack?");
    asm.load(Width::U64, Reg::R1, Reg::Fp, WALKED, "bytes walked");
    asm.jump_if(Cond::Ne, Reg::R1, -1, read);
    asm.mov(Reg::R1, CTX);
    asm.address(Reg::R2, STATE, off(task::STACK));
    asm.mov(Reg::R3, i32::from(BYTES));
    asm.mov(Reg::R4, 0);
    asm.call(Helper::Stack);
    veil(asm, Reg::R0, Reg::R1);
    asm.store(Width::U64, Reg::Fp, WALKED, Reg::R0, "bytes walked");
    asm.bind(read);
    scan(asm, disproved);
}

const BYTES: i16 = off(8 * task::STACK_MAX);

/// Finds the frames, the innermost first. R0: the probe; R1: frames still to be found; R2: offset of the
/// address under way; R3: end of the addresses.
///
/// Without branches on what is found: every branch here would be one more path for the verifier to walk, at
/// each of the addresses.
fn scan(asm: &mut Asm, disproved: Label) {
    let address = asm.label("address");
    asm.load(Width::U64, Reg::R3, Reg::Fp, WALKED, "bytes walked");
    asm.jump_if(Cond::SignedLt, Reg::R3, 8, disproved);
    asm.jump_if(Cond::Gt, Reg::R3, i32::from(BYTES), disproved);
    asm.load(Width::U64, Reg::R0, Reg::Fp, PROBE, "probe");
    asm.load(Width::U32, Reg::R1, Reg::R0, off(probe::FRAMES), "frames");
    asm.alu(Alu::And, Reg::R1, task::SLOT_MASK);
    asm.mov(Reg::R2, 0);
    asm.bind(address);
    asm.mov(Reg::R4, Reg::R1);
    asm.alu(Alu::Shl, Reg::R4, 3);
    asm.alu(Alu::Add, Reg::R4, Reg::R0);
    asm.load(Width::U64, Reg::R4, Reg::R4, off(probe::NO_SITE), "site");
    asm.mov(Reg::R5, STATE);
    asm.alu(Alu::Add, Reg::R5, Reg::R2);
    asm.load(Width::U64, Reg::R5, Reg::R5, off(task::STACK), "return address");
    asm.alu(Alu::Sub, Reg::R5, Reg::R4);
    is_site(asm);
    asm.alu(Alu::Sub, Reg::R1, Reg::R5);
    asm.alu(Alu::And, Reg::R1, task::SLOT_MASK);
    asm.alu(Alu::Add, Reg::R2, 8);
    // This way round, since 6.1 decides a comparison only when its right side is the known one.
    asm.jump_if(Cond::Gt, Reg::R3, Reg::R2, address);
    asm.jump_if(Cond::Ne, Reg::R1, 0, disproved);
}

/// R5 = 1 if it is below the span of a site, else 0. Uses R4.
///
/// Less the span it turns negative; but so it is where it was negative before.
fn is_site(asm: &mut Asm) {
    asm.mov(Reg::R4, Reg::R5);
    asm.alu(Alu::Shr, Reg::R4, 63);
    asm.alu(Alu::Sub, Reg::R5, probe::SITE_SPAN);
    asm.alu(Alu::Shr, Reg::R5, 63);
    asm.alu(Alu::Sub, Reg::R5, Reg::R4);
}
