//! Out, for every task that nothing applies to.

use crate::asm::{Alu, Asm, Cond, Helper, Label, MapId, Reg, Width};
use crate::layout::globals;

/// Writes the main function. The returned label is the slow function's, to be bound next; it finds the
/// context in R1 and the cgroup's id in R2.
pub(super) fn emit(asm: &mut Asm) -> Label {
    let slow = asm.label("slow");
    let inside = asm.label("inside");
    asm.note("fast path: a clear bit for the cgroup means that nothing applies");
    asm.mov(Reg::R6, Reg::R1);
    asm.call(Helper::CurrentCgroup);
    asm.map_value(Reg::R2, MapId::Globals, BITMAP, "bitmap");
    load_word(asm);
    asm.alu(Alu::Shr, Reg::R2, Reg::R0);
    asm.jump_if(Cond::Set, Reg::R2, 1, inside);
    asm.mov(Reg::R0, 0);
    asm.exit();
    asm.bind(inside);
    asm.mov(Reg::R1, Reg::R6);
    asm.mov(Reg::R2, Reg::R0);
    asm.call_local(slow);
    asm.exit();
    slow
}

/// Start of the bitmap within the value.
pub(super) const BITMAP: u32 = 64;
const _: () = assert!(BITMAP as usize == globals::BITMAP);

/// Byte offset of the word of a bit, from the id: bits 6 to 11, times eight.
pub(super) const WORD_MASK: i32 = 0x1f8;

fn load_word(asm: &mut Asm) {
    asm.mov(Reg::R1, Reg::R0);
    asm.alu(Alu::Shr, Reg::R1, 3);
    asm.alu(Alu::And, Reg::R1, WORD_MASK);
    asm.alu(Alu::Add, Reg::R2, Reg::R1);
    asm.load(Width::U64, Reg::R2, Reg::R2, 0, "");
}
