//! From lines to instructions: labels become distances, maps become relocations.

use thiserror::Error;

use super::symbols::{Attach, MapId};
use super::{Alu, Asm, Cond, Insn, Label, Line, Operand, Reg, Width};

const CLASS_LDX: u8 = 0x01;
const CLASS_ST: u8 = 0x02;
const CLASS_STX: u8 = 0x03;
const CLASS_JMP: u8 = 0x05;
const CLASS_ALU64: u8 = 0x07;
const MODE_MEM: u8 = 0x60;
const MODE_ATOMIC: u8 = 0xc0;
const SOURCE_REG: u8 = 0x08;
const OP_JUMP: u8 = 0x00;
const OP_CALL: u8 = 0x80;
const OP_EXIT: u8 = 0x90;
const LOAD_WIDE: u8 = 0x18;
const ATOMIC_ADD: i32 = 0x00;
const ATOMIC_OR: i32 = 0x40;
const ATOMIC_COMPARE_EXCHANGE: i32 = 0xf1;
/// `src` of a wide load: a map, the address of a map's value, a kernel variable.
const PSEUDO_MAP: u8 = 1;
const PSEUDO_MAP_VALUE: u8 = 2;
const PSEUDO_BTF_ID: u8 = 3;
/// `src` of a call: a function of the same program.
const PSEUDO_CALL: u8 = 1;

/// Why lines are no program. Only long predicates can provoke it: nothing else of a probe is part of a program.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AsmError {
    /// A jump names a label that no line binds.
    #[error("label `{0}` is not bound")]
    Unbound(&'static str),
    /// A jump spans more than 32,767 instructions.
    #[error("label `{0}` is too far away")]
    TooFar(&'static str),
}

/// A finished program: instructions that lack the descriptors of their maps, and the text of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// At most 15 bytes: the kernel keeps no more.
    pub name: String,
    /// Where it goes.
    pub attach: Attach,
    /// The BTF id of that place.
    pub attach_btf_id: u32,
    pub(super) insns: Vec<Insn>,
    pub(super) relocations: Vec<(usize, MapId)>,
    pub(super) lines: Vec<Line>,
    pub(super) labels: Vec<&'static str>,
}

impl Program {
    /// The instructions as the kernel takes them, maps replaced by descriptors.
    #[must_use]
    pub fn link(&self, descriptor: impl Fn(MapId) -> i32) -> Vec<u8> {
        let mut insns = self.insns.clone();
        for (at, map) in &self.relocations {
            if let Some(insn) = insns.get_mut(*at) {
                insn.imm = descriptor(*map);
            }
        }
        insns.into_iter().flat_map(Insn::bytes).collect()
    }

    /// Instructions, a wide load counted as two.
    #[must_use]
    pub fn len(&self) -> usize {
        self.insns.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.insns.is_empty()
    }
}

impl Asm {
    /// Encodes the lines.
    ///
    /// # Errors
    /// A label that is unbound or out of reach.
    pub fn finish(self, name: &str, attach: Attach, attach_btf_id: u32) -> Result<Program, AsmError> {
        let places = self.places();
        let mut insns = Vec::new();
        let mut relocations = Vec::new();
        for line in &self.lines {
            if let Line::Map { map, .. } | Line::MapValue { map, .. } = line {
                relocations.push((insns.len(), *map));
            }
            self.encode(line, &places, &mut insns)?;
        }
        let name = name.chars().take(15).collect();
        Ok(Program {
            name,
            attach,
            attach_btf_id,
            insns,
            relocations,
            lines: self.lines,
            labels: self.labels,
        })
    }

    fn places(&self) -> Vec<Option<usize>> {
        let mut places = vec![None; self.labels.len()];
        let mut at = 0;
        for line in &self.lines {
            match line {
                Line::Label(label) => {
                    if let Some(place) = places.get_mut(label.0) {
                        *place = Some(at);
                    }
                }
                other => at += other.size(),
            }
        }
        places
    }

    fn distance(&self, to: Label, from: usize, places: &[Option<usize>]) -> Result<i16, AsmError> {
        let name = self.labels.get(to.0).copied().unwrap_or("?");
        let place = places.get(to.0).copied().flatten().ok_or(AsmError::Unbound(name))?;
        let distance = i64::try_from(place).unwrap_or(i64::MAX) - i64::try_from(from).unwrap_or(i64::MAX) - 1;
        i16::try_from(distance).map_err(|_| AsmError::TooFar(name))
    }

    fn encode(&self, line: &Line, places: &[Option<usize>], out: &mut Vec<Insn>) -> Result<(), AsmError> {
        let here = out.len();
        match *line {
            Line::Note(_) | Line::Label(_) => {}
            Line::Alu { op, dst, src } => out.push(alu(op, dst, src)),
            Line::Load { width, dst, base, off, .. } => out.push(Insn {
                code: CLASS_LDX | MODE_MEM | width.code(),
                dst: dst.number(),
                src: base.number(),
                off,
                imm: 0,
            }),
            Line::Store { width, base, off, src, .. } => out.push(store(width, base, off, src)),
            Line::AtomicAdd { base, off, src, .. } => out.push(atomic(base, off, src, ATOMIC_ADD)),
            Line::AtomicOr { base, off, src } => out.push(atomic(base, off, src, ATOMIC_OR)),
            Line::CompareExchange { base, off, src } => {
                out.push(atomic(base, off, src, ATOMIC_COMPARE_EXCHANGE));
            }
            Line::Jump(to) => {
                let off = self.distance(to, here, places)?;
                out.push(Insn { code: CLASS_JMP | OP_JUMP, off, ..Insn::default() });
            }
            Line::JumpIf { cond, left, right, to } => {
                out.push(Insn { off: self.distance(to, here, places)?, ..jump_if(cond, left, right) });
            }
            Line::Call(helper) => {
                out.push(Insn { code: CLASS_JMP | OP_CALL, imm: helper.number(), ..Insn::default() });
            }
            Line::CallLocal(to) => {
                let imm = i32::from(self.distance(to, here, places)?);
                out.push(Insn { code: CLASS_JMP | OP_CALL, src: PSEUDO_CALL, imm, ..Insn::default() });
            }
            Line::Map { dst, .. } => wide(dst, PSEUDO_MAP, 0, out),
            Line::MapValue { dst, off, .. } => wide(dst, PSEUDO_MAP_VALUE, u64::from(off) << 32, out),
            Line::PerCpu { dst, var } => wide(dst, PSEUDO_BTF_ID, u64::from(var.btf_id), out),
            Line::Wide { dst, value } => wide(dst, 0, value, out),
            Line::Exit => out.push(Insn { code: CLASS_JMP | OP_EXIT, ..Insn::default() }),
        }
        Ok(())
    }
}

impl Line {
    /// Encoded instructions.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Note(_) | Self::Label(_) => 0,
            Self::Map { .. } | Self::MapValue { .. } | Self::PerCpu { .. } | Self::Wide { .. } => 2,
            _ => 1,
        }
    }
}

fn operand(code: u8, src: Operand) -> Insn {
    match src {
        Operand::Reg(reg) => Insn { code: code | SOURCE_REG, src: reg.number(), ..Insn::default() },
        Operand::Imm(imm) => Insn { code, imm, ..Insn::default() },
    }
}

fn alu(op: Alu, dst: Reg, src: Operand) -> Insn {
    Insn { dst: dst.number(), ..operand(CLASS_ALU64 | op.code(), src) }
}

fn jump_if(cond: Cond, left: Reg, right: Operand) -> Insn {
    Insn { dst: left.number(), ..operand(CLASS_JMP | cond.code(), right) }
}

fn store(width: Width, base: Reg, off: i16, src: Operand) -> Insn {
    let (class, src, imm) = match src {
        Operand::Reg(reg) => (CLASS_STX, reg.number(), 0),
        Operand::Imm(imm) => (CLASS_ST, 0, imm),
    };
    Insn { code: class | MODE_MEM | width.code(), dst: base.number(), src, off, imm }
}

fn atomic(base: Reg, off: i16, src: Reg, imm: i32) -> Insn {
    let code = CLASS_STX | MODE_ATOMIC | Width::U64.code();
    Insn { code, dst: base.number(), src: src.number(), off, imm }
}

/// A wide load spreads its constant over the `imm` fields of two instructions.
fn wide(dst: Reg, src: u8, value: u64, out: &mut Vec<Insn>) {
    let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
    let (low, high) = (i32::from_le_bytes([a, b, c, d]), i32::from_le_bytes([e, f, g, h]));
    out.push(Insn { code: LOAD_WIDE, dst: dst.number(), src, off: 0, imm: low });
    out.push(Insn { imm: high, ..Insn::default() });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::asm::Helper;

    fn finish(asm: Asm) -> Result<Program, AsmError> {
        asm.finish("a_name_longer_than_fifteen", Attach::Entry("f".into()), 1)
    }

    #[test]
    fn jumps_count_from_the_next_instruction_and_wide_loads_as_two() {
        let mut asm = Asm::new();
        let end = asm.label("end");
        asm.jump_if(Cond::Eq, Reg::R1, 0, end);
        asm.wide(Reg::R2, 1 << 32 | 5);
        asm.bind(end);
        asm.exit();
        let program = finish(asm).unwrap();
        assert_eq!(program.len(), 4);
        assert_eq!(program.insns[0].off, 2);
        assert_eq!((program.insns[1].imm, program.insns[2].imm), (5, 1));
    }

    #[test]
    fn an_unbound_label_is_an_error() {
        let mut asm = Asm::new();
        let lost = asm.label("lost");
        asm.jump(lost);
        assert_eq!(finish(asm), Err(AsmError::Unbound("lost")));
    }

    #[test]
    fn maps_are_linked_by_descriptor_and_names_are_cut_to_fit() {
        let mut asm = Asm::new();
        asm.map(Reg::R1, MapId::Probes);
        asm.call(Helper::MapLookup);
        asm.map_value(Reg::R2, MapId::Globals, 64, "bitmap");
        asm.exit();
        let program = finish(asm).unwrap();
        let bytes = program.link(|map| if map == MapId::Probes { 40 } else { 41 });
        assert_eq!(bytes[..8], [0x18, 0x11, 0, 0, 40, 0, 0, 0]);
        assert_eq!(bytes[24..40], [0x18, 0x22, 0, 0, 41, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0]);
        assert_eq!(program.name.len(), 15);
    }
}
