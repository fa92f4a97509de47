//! Counts calls of a function.

use crate::asm::{Alu, Asm, AsmError, Attach, Cond, Helper, Label, MapId, Program, Reg, Width};

/// Where the key is on the stack.
const KEY: i16 = -8;

/// Counts entries of a function, whoever makes them, in [`MapId::Calls`], a word per CPU.
///
/// It adds without atomics: no other program has this map, and the kernel runs a program once at a time on a CPU, and
/// drops what would be a second run.
///
/// # Errors
/// A mistake in the code generator.
pub fn counter(function: &str, btf_id: u32) -> Result<Program, AsmError> {
    let mut asm = Asm::new();
    let out = asm.label("out");
    count(&mut asm, out);
    asm.finish("fl_calls", Attach::Entry(function.to_owned()), btf_id)
}

/// The same for one process, all its threads: what others do at that moment is not counted.
///
/// # Errors
/// A mistake in the code generator.
pub fn counter_of_process(function: &str, btf_id: u32, process: i32) -> Result<Program, AsmError> {
    let mut asm = Asm::new();
    let out = asm.label("out");
    asm.note("a thread of that process?");
    asm.call(Helper::CurrentPidTgid);
    asm.alu(Alu::Shr, Reg::R0, 32);
    asm.jump_if(Cond::Ne, Reg::R0, process, out);
    count(&mut asm, out);
    asm.finish("fl_own_calls", Attach::Entry(function.to_owned()), btf_id)
}

fn count(asm: &mut Asm, out: Label) {
    asm.note("one more call on this CPU");
    asm.store(Width::U64, Reg::Fp, KEY, 0, "key");
    asm.map(Reg::R1, MapId::Calls);
    asm.address(Reg::R2, Reg::Fp, KEY);
    asm.call(Helper::MapLookup);
    asm.jump_if(Cond::Eq, Reg::R0, 0, out);
    asm.increment(Reg::R0, 0, Reg::R1, "calls");
    asm.bind(out);
    asm.mov(Reg::R0, 0);
    asm.exit();
}
