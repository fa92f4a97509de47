//! One BPF instruction, its fields and its eight bytes.

/// A register of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reg {
    /// Return value of calls, and of the program.
    R0,
    /// First argument; lost by calls, as are R2 to R5.
    R1,
    /// Second argument.
    R2,
    /// Third argument.
    R3,
    /// Fourth argument.
    R4,
    /// Fifth argument.
    R5,
    /// Kept across calls, as are R7 to R9.
    R6,
    /// Kept across calls.
    R7,
    /// Kept across calls.
    R8,
    /// Kept across calls.
    R9,
    /// The frame pointer; read-only.
    Fp,
}

impl Reg {
    /// The number in the encoding.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

/// Width of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 1 byte.
    U8,
    /// 2 bytes.
    U16,
    /// 4 bytes.
    U32,
    /// 8 bytes.
    U64,
}

impl Width {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::U32 => 0x00,
            Self::U16 => 0x08,
            Self::U8 => 0x10,
            Self::U64 => 0x18,
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::U8 => "u8",
            Self::U16 => "u16",
            Self::U32 => "u32",
            Self::U64 => "u64",
        }
    }
}

/// A 64-bit arithmetic operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alu {
    /// `+=`
    Add,
    /// `-=`
    Sub,
    /// `*=`
    Mul,
    /// `/=`, unsigned; by 0 it is 0
    Div,
    /// `|=`
    Or,
    /// `&=`
    And,
    /// `^=`
    Xor,
    /// `<<=`, the count taken modulo 64
    Shl,
    /// `>>=`, the count taken modulo 64
    Shr,
    /// `>>=` that keeps the sign, the count taken modulo 64
    SignedShr,
    /// `%=`, unsigned; by 0 it leaves the value
    Mod,
    /// `=`
    Mov,
}

impl Alu {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Add => 0x00,
            Self::Sub => 0x10,
            Self::Mul => 0x20,
            Self::Div => 0x30,
            Self::Or => 0x40,
            Self::And => 0x50,
            Self::Shl => 0x60,
            Self::Shr => 0x70,
            Self::Mod => 0x90,
            Self::Xor => 0xa0,
            Self::Mov => 0xb0,
            Self::SignedShr => 0xc0,
        }
    }

    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+=",
            Self::Sub => "-=",
            Self::Mul => "*=",
            Self::Div => "/=",
            Self::Or => "|=",
            Self::And => "&=",
            Self::Shl => "<<=",
            Self::Shr => ">>=",
            Self::Mod => "%=",
            Self::Xor => "^=",
            Self::SignedShr => "s>>=",
            Self::Mov => "=",
        }
    }
}

/// A 64-bit comparison; unsigned unless its name says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cond {
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `>=`
    Ge,
    /// `>`
    Gt,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `&`: some bit in common
    Set,
    /// `<`, signed
    SignedLt,
    /// `<=`, signed
    SignedLe,
    /// `>`, signed
    SignedGt,
    /// `>=`, signed
    SignedGe,
}

impl Cond {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Eq => 0x10,
            Self::Gt => 0x20,
            Self::Ge => 0x30,
            Self::Set => 0x40,
            Self::Ne => 0x50,
            Self::SignedGt => 0x60,
            Self::SignedGe => 0x70,
            Self::Lt => 0xa0,
            Self::Le => 0xb0,
            Self::SignedLt => 0xc0,
            Self::SignedLe => 0xd0,
        }
    }

    pub(crate) const fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "==",
            Self::Ne => "!=",
            Self::Ge => ">=",
            Self::Gt => ">",
            Self::Set => "&",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::SignedLt => "s<",
            Self::SignedLe => "s<=",
            Self::SignedGt => "s>",
            Self::SignedGe => "s>=",
        }
    }
}

/// The right-hand side of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operand {
    /// A register.
    Reg(Reg),
    /// A constant, sign-extended to 64 bits.
    Imm(i32),
}

impl From<Reg> for Operand {
    fn from(reg: Reg) -> Self {
        Self::Reg(reg)
    }
}

impl From<i32> for Operand {
    fn from(imm: i32) -> Self {
        Self::Imm(imm)
    }
}

/// An encoded instruction. The wide load takes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Insn {
    /// Class, operation and operand kind.
    pub code: u8,
    /// Destination register.
    pub dst: u8,
    /// Source register, or the kind of a pseudo operand.
    pub src: u8,
    /// Offset of a jump in instructions, or of an access in bytes.
    pub off: i16,
    /// Constant.
    pub imm: i32,
}

impl Insn {
    /// The eight bytes the kernel takes, little-endian.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        let off = self.off.to_le_bytes();
        let imm = self.imm.to_le_bytes();
        [self.code, self.dst | self.src << 4, off[0], off[1], imm[0], imm[1], imm[2], imm[3]]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_register_sits_in_the_high_nibble() {
        let insn = Insn { code: 0xbf, dst: 1, src: 6, off: -2, imm: 7 };
        assert_eq!(insn.bytes(), [0xbf, 0x61, 0xfe, 0xff, 7, 0, 0, 0]);
    }
}
