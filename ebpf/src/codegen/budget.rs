//! The ticket: one injection's worth of the budget, taken before injecting.

use super::frame::{HOT, PROBE};
use crate::asm::{Alu, Asm, Cond, Helper, Label, MapId, Reg, Width};
use crate::layout::{hot, off, probe};

/// How often a lost race for a ticket is tried again. Each loss means that another CPU took one, and that
/// many in a row are not seen in practice; the hit then goes uninjected and is counted.
const ATTEMPTS: usize = 8;

/// Takes a ticket, or leaves for `exhausted` or `contended`.
///
/// The count is exchanged for one more only when it is still what was compared with `times`: it is never
/// above, not even for a moment.
pub(super) fn take_ticket(asm: &mut Asm, exhausted: Label, contended: Label) {
    let granted = asm.label("granted");
    asm.note("take a ticket");
    find(asm, exhausted);
    asm.mov(Reg::R3, Reg::R0);
    asm.load(Width::U64, Reg::R2, Reg::Fp, HOT, "hot");
    asm.load(Width::U64, Reg::R2, Reg::R2, off(hot::TIMES), "times");
    asm.load(Width::U64, Reg::R0, Reg::R3, 0, "spent");
    for _ in 0..ATTEMPTS {
        asm.jump_if(Cond::Ge, Reg::R0, Reg::R2, exhausted);
        asm.mov(Reg::R4, Reg::R0);
        asm.mov(Reg::R5, Reg::R0);
        asm.alu(Alu::Add, Reg::R5, 1);
        asm.compare_exchange(Reg::R3, 0, Reg::R5);
        asm.jump_if(Cond::Eq, Reg::R0, Reg::R4, granted);
    }
    asm.jump(contended);
    asm.bind(granted);
}

/// R0 = the address of what is spent of the probe's budget; goes to `none` where it has none.
pub(super) fn find(asm: &mut Asm, none: Label) {
    asm.load(Width::U64, Reg::R2, Reg::Fp, PROBE, "probe");
    asm.alu(Alu::Add, Reg::R2, i32::from(off(probe::BUDGET)));
    asm.map(Reg::R1, MapId::Budgets);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, none);
}
