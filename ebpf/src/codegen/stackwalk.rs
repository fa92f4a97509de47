//! Proof that a matched chain is really on the stack.
//!
//! Exits can be missed, and a record left behind by an earlier system call can look live. So before injecting
//! the stack is read, innermost first, and must show the entry call of every frame, the last first.

use super::frame::{CTX, PROBE, STATE, WALKED};
use crate::asm::{Alu, Asm, Cond, Helper, Label, Reg, Width};
use crate::layout::{off, probe, task};

/// Leaves for `disproved` where a frame is not there. The stack is read once per call of the gate.
pub(super) fn emit(asm: &mut Asm, disproved: Label) {
    let (read, proven) = (asm.label("read"), asm.label("proven"));
    asm.note("is every frame on the stack?");
    asm.load(Width::U64, Reg::R1, Reg::Fp, WALKED, "bytes walked");
    asm.jump_if(Cond::Ne, Reg::R1, -1, read);
    asm.mov(Reg::R1, CTX);
    asm.address(Reg::R2, STATE, off(task::STACK));
    asm.mov(Reg::R3, i32::from(BYTES));
    asm.mov(Reg::R4, 0);
    asm.call(Helper::Stack);
    asm.store(Width::U64, Reg::Fp, WALKED, Reg::R0, "bytes walked");
    asm.bind(read);
    scan(asm, proven, disproved);
    asm.bind(proven);
}

const BYTES: i16 = off(8 * task::STACK_MAX);

/// R1: frame wanted; R2: byte offset of the address; R3: end of the addresses; R0: the probe.
fn scan(asm: &mut Asm, proven: Label, disproved: Label) {
    let (address, next) = (asm.label("address"), asm.label("next_address"));
    asm.load(Width::U64, Reg::R3, Reg::Fp, WALKED, "bytes walked");
    asm.jump_if(Cond::SignedLt, Reg::R3, 8, disproved);
    asm.load(Width::U64, Reg::R0, Reg::Fp, PROBE, "probe");
    asm.load(Width::U32, Reg::R1, Reg::R0, off(probe::FRAMES), "frames");
    asm.alu(Alu::Sub, Reg::R1, 1);
    asm.mov(Reg::R2, 0);
    asm.bind(address);
    asm.alu(Alu::And, Reg::R1, task::SLOT_MASK);
    asm.mov(Reg::R4, Reg::R1);
    asm.alu(Alu::Shl, Reg::R4, 3);
    asm.alu(Alu::Add, Reg::R4, Reg::R0);
    asm.load(Width::U64, Reg::R4, Reg::R4, off(probe::SITES), "site");
    asm.mov(Reg::R5, STATE);
    asm.alu(Alu::Add, Reg::R5, Reg::R2);
    asm.load(Width::U64, Reg::R5, Reg::R5, off(task::STACK), "return address");
    asm.alu(Alu::Sub, Reg::R5, Reg::R4);
    asm.jump_if(Cond::Ge, Reg::R5, probe::SITE_SPAN, next);
    asm.jump_if(Cond::Eq, Reg::R1, 0, proven);
    asm.alu(Alu::Sub, Reg::R1, 1);
    asm.bind(next);
    asm.alu(Alu::Add, Reg::R2, 8);
    asm.jump_if(Cond::Ge, Reg::R2, Reg::R3, disproved);
    asm.jump_if(Cond::Ne, Reg::R2, i32::from(BYTES), address);
    asm.jump(disproved);
}
