//! An assembler: symbolic instructions in, a program with its relocations out.

mod encode;
mod insn;
mod listing;
mod symbols;

pub use encode::{AsmError, Program};
pub use insn::{Alu, Cond, Insn, Operand, Reg, Width};
pub use symbols::{Attach, Helper, MapId, PerCpuVar};

/// A place in the program that jumps may name before it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Label(usize);

/// One line of the program under construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Opens a block in the listing.
    Note(String),
    Label(Label),
    Alu {
        op: Alu,
        dst: Reg,
        src: Operand,
    },
    Load {
        width: Width,
        dst: Reg,
        base: Reg,
        off: i16,
        what: &'static str,
    },
    Store {
        width: Width,
        base: Reg,
        off: i16,
        src: Operand,
        what: &'static str,
    },
    AtomicAdd {
        base: Reg,
        off: i16,
        src: Reg,
        what: &'static str,
    },
    AtomicOr {
        base: Reg,
        off: i16,
        src: Reg,
    },
    CompareExchange {
        base: Reg,
        off: i16,
        src: Reg,
    },
    Jump(Label),
    JumpIf {
        cond: Cond,
        left: Reg,
        right: Operand,
        to: Label,
    },
    Call(Helper),
    CallLocal(Label),
    Map {
        dst: Reg,
        map: MapId,
    },
    MapValue {
        dst: Reg,
        map: MapId,
        off: u32,
        what: &'static str,
    },
    PerCpu {
        dst: Reg,
        var: PerCpuVar,
    },
    Wide {
        dst: Reg,
        value: u64,
    },
    Exit,
}

/// Collects the lines of one program.
///
/// Methods append one instruction each, or none where none is needed, and are named after what it does; `what` names the accessed field in
/// the listing.
#[derive(Debug, Default)]
pub struct Asm {
    pub(crate) lines: Vec<Line>,
    pub(crate) labels: Vec<&'static str>,
}

impl Asm {
    /// An empty program.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens a block of the listing with a comment.
    pub fn note(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Note(text.into()));
    }

    /// A new label, to be bound once. Names may repeat: the listing numbers them.
    pub fn label(&mut self, name: &'static str) -> Label {
        self.labels.push(name);
        Label(self.labels.len() - 1)
    }

    /// Binds a label to the next instruction.
    pub fn bind(&mut self, label: Label) {
        self.lines.push(Line::Label(label));
    }

    /// `dst op= src` in 64 bits.
    pub fn alu(&mut self, op: Alu, dst: Reg, src: impl Into<Operand>) {
        self.lines.push(Line::Alu { op, dst, src: src.into() });
    }

    /// `dst = src`.
    pub fn mov(&mut self, dst: Reg, src: impl Into<Operand>) {
        self.alu(Alu::Mov, dst, src);
    }

    /// `dst = base + off`.
    pub fn address(&mut self, dst: Reg, base: Reg, off: i16) {
        self.mov(dst, base);
        self.alu(Alu::Add, dst, i32::from(off));
    }

    /// `dst = *(width *)(base + off)`; what the line before has stored there whole is taken from the register.
    pub fn load(&mut self, width: Width, dst: Reg, base: Reg, off: i16, what: &'static str) {
        let stored =
            match self.lines.last() {
                Some(&Line::Store {
                    width: Width::U64, base: to, off: at, src: Operand::Reg(src), ..
                }) if (width, base, off) == (Width::U64, to, at) => Some(src),
                _ => None,
            };
        match stored {
            Some(src) if src == dst => {}
            Some(src) => self.mov(dst, src),
            None => self.lines.push(Line::Load { width, dst, base, off, what }),
        }
    }

    /// `*(width *)(base + off) = src`.
    pub fn store(&mut self, width: Width, base: Reg, off: i16, src: impl Into<Operand>, what: &'static str) {
        self.lines.push(Line::Store { width, base, off, src: src.into(), what });
    }

    /// `*(u64 *)(base + off) += 1`, not atomic.
    pub fn increment(&mut self, base: Reg, off: i16, scratch: Reg, what: &'static str) {
        self.load(Width::U64, scratch, base, off, what);
        self.alu(Alu::Add, scratch, 1);
        self.store(Width::U64, base, off, scratch, what);
    }

    /// Atomically `*(u64 *)(base + off) += src`.
    pub fn atomic_add(&mut self, base: Reg, off: i16, src: Reg, what: &'static str) {
        self.lines.push(Line::AtomicAdd { base, off, src, what });
    }

    /// Atomically `*(u64 *)(base + off) |= src`.
    pub fn atomic_or(&mut self, base: Reg, off: i16, src: Reg) {
        self.lines.push(Line::AtomicOr { base, off, src });
    }

    /// Atomically stores `src` where R0 was; R0 becomes what was there.
    pub fn compare_exchange(&mut self, base: Reg, off: i16, src: Reg) {
        self.lines.push(Line::CompareExchange { base, off, src });
    }

    /// Goes to `to`.
    pub fn jump(&mut self, to: Label) {
        self.lines.push(Line::Jump(to));
    }

    /// Goes to `to` when the condition holds.
    pub fn jump_if(&mut self, cond: Cond, left: Reg, right: impl Into<Operand>, to: Label) {
        self.lines.push(Line::JumpIf { cond, left, right: right.into(), to });
    }

    /// Calls a kernel helper.
    pub fn call(&mut self, helper: Helper) {
        self.lines.push(Line::Call(helper));
    }

    /// Calls a function of this program.
    pub fn call_local(&mut self, function: Label) {
        self.lines.push(Line::CallLocal(function));
    }

    /// `dst` = the map itself, for a helper.
    pub fn map(&mut self, dst: Reg, map: MapId) {
        self.lines.push(Line::Map { dst, map });
    }

    /// `dst` = the address `off` bytes into the map's only value.
    pub fn map_value(&mut self, dst: Reg, map: MapId, off: u32, what: &'static str) {
        self.lines.push(Line::MapValue { dst, map, off, what });
    }

    /// `dst` = a per-CPU variable of the kernel, for `bpf_this_cpu_ptr`.
    pub fn per_cpu(&mut self, dst: Reg, var: PerCpuVar) {
        self.lines.push(Line::PerCpu { dst, var });
    }

    /// `dst` = a 64-bit constant.
    pub fn wide(&mut self, dst: Reg, value: u64) {
        self.lines.push(Line::Wide { dst, value });
    }

    /// Returns R0.
    pub fn exit(&mut self) {
        self.lines.push(Line::Exit);
    }
}
