//! A program as text: one line per instruction, one comment per block.

use std::fmt::{self, Display, Formatter, Write as _};

use super::symbols::Attach;
use super::{Alu, Label, Line, Operand, Program, Reg};

impl Display for Reg {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fp => f.write_str("fp"),
            reg => write!(f, "r{}", reg.number()),
        }
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reg(reg) => reg.fmt(f),
            Self::Imm(imm) if imm.unsigned_abs() > 0xffff => write!(f, "{imm:#x}"),
            Self::Imm(imm) => imm.fmt(f),
        }
    }
}

impl Display for Attach {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ModifyReturn(function) => write!(f, "fmod_ret/{function}"),
            Self::Entry(function) => write!(f, "fentry/{function}"),
            Self::Exit(function) => write!(f, "fexit/{function}"),
            Self::Kprobe { function, .. } => write!(f, "kprobe/{function}"),
            Self::Kretprobe { function, .. } => write!(f, "kretprobe/{function}"),
            Self::Tracepoint(name) => write!(f, "tp_btf/{name}"),
        }
    }
}

impl Program {
    /// The listing. Numbers in front are the kernel's instruction numbers, as its verifier prints them.
    #[must_use]
    pub fn listing(&self) -> String {
        let mut text = format!("; {} on {}, {} instructions\n", self.name, self.attach, self.len());
        let mut at = 0;
        for line in &self.lines {
            // Writing to a string cannot fail.
            let _ = match line {
                Line::Note(note) => writeln!(text, "\n; {note}"),
                Line::Label(label) => writeln!(text, "{}:", self.label_name(*label)),
                line => writeln!(text, "{at:5}    {}", self.instruction(line)),
            };
            at += line.size();
        }
        text
    }

    fn label_name(&self, label: Label) -> String {
        let name = self.labels.get(label.0).copied().unwrap_or("?");
        let twins = self.labels.iter().filter(|other| **other == name).count();
        if twins == 1 {
            return name.to_owned();
        }
        let nth = self.labels.iter().take(label.0).filter(|other| **other == name).count() + 1;
        format!("{name}_{nth}")
    }

    fn instruction(&self, line: &Line) -> String {
        match line {
            Line::Note(_) | Line::Label(_) => String::new(),
            Line::Alu { op: Alu::Mov, dst, src } => format!("{dst} = {src}"),
            Line::Alu { op, dst, src } => format!("{dst} {} {src}", op.symbol()),
            Line::Load { width, dst, base, off, what } => {
                named(format!("{dst} = {}[{base}{off:+}]", width.name()), what)
            }
            Line::Store { width, base, off, src, what } => {
                named(format!("{}[{base}{off:+}] = {src}", width.name()), what)
            }
            Line::AtomicAdd { base, off, src, what } => {
                named(format!("atomic u64[{base}{off:+}] += {src}"), what)
            }
            Line::AtomicOr { base, off, src } => format!("atomic u64[{base}{off:+}] |= {src}"),
            Line::CompareExchange { base, off, src } => {
                format!("r0 = compare_exchange(u64[{base}{off:+}], r0, {src})")
            }
            Line::Jump(to) => format!("goto {}", self.label_name(*to)),
            Line::JumpIf { cond, left, right, to } => {
                format!("if {left} {} {right} goto {}", cond.symbol(), self.label_name(*to))
            }
            Line::Call(helper) => format!("call {}", helper.name()),
            Line::CallLocal(function) => format!("call {}", self.label_name(*function)),
            Line::Map { dst, map } => format!("{dst} = map {}", map.name()),
            Line::MapValue { dst, map, off, what } => named(format!("{dst} = &{}[{off}]", map.name()), what),
            Line::PerCpu { dst, var } => format!("{dst} = percpu {}", var.name),
            Line::Wide { dst, value } => format!("{dst} = {value:#x}"),
            Line::Exit => "exit".to_owned(),
        }
    }
}

fn named(instruction: String, what: &str) -> String {
    if what.is_empty() { instruction } else { format!("{instruction:<34}; {what}") }
}
