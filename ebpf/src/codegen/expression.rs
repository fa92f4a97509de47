//! A predicate as instructions: a function of the program that answers whether it holds.
//!
//! Values pass through R0; what must outlive another computation waits in R7 to R9 or on the stack. Every read goes
//! through a helper that says when it failed: a plain load of a bad address would answer 0, and nobody would know.

use super::context::Context;
use super::scope::veil;
use crate::asm::{Alu, Asm, Cond, Helper, Label, Operand, Reg, Width};
use crate::layout::off;
use crate::predicate::{Ir, MAX_TEXT, Op, Space};

/// It does not hold.
pub(super) const NO: i32 = 0;
/// It holds.
pub(super) const YES: i32 = 1;
/// Something that it asks for could not be read.
pub(super) const UNREAD: i32 = 2;

/// Where a value that was read arrives.
const READ: i16 = -8;
/// Where a text arrives.
const TEXT: i16 = READ - off(MAX_TEXT);
const _: () = assert!(MAX_TEXT.is_multiple_of(8), "words on the stack are aligned");

/// Registers that calls keep, for values that wait.
const KEPT: [Reg; 3] = [Reg::R7, Reg::R8, Reg::R9];

/// Writes the function: the context in R1, the answer in R0.
pub(super) fn function(asm: &mut Asm, entry: Label, condition: &Ir, context: Context) {
    let (no, unread) = (asm.label("no"), asm.label("unread"));
    asm.bind(entry);
    let arguments = i16::try_from(condition.arguments()).unwrap_or(i16::MAX / 8);
    let mut expression =
        Expression { asm, unread, has_read: false, arguments: TEXT.saturating_sub(8 * arguments) };
    expression.read_arguments(condition.arguments().into(), context);
    expression.jump_when(condition, false, no, 0);
    let has_read = expression.has_read;
    answer(asm, YES);
    asm.bind(no);
    answer(asm, NO);
    if has_read {
        asm.bind(unread);
        answer(asm, UNREAD);
    }
}

fn answer(asm: &mut Asm, answer: i32) {
    asm.mov(Reg::R0, answer);
    asm.exit();
}

struct Expression<'a> {
    asm: &'a mut Asm,
    unread: Label,
    has_read: bool,
    /// Start of the copied arguments on the stack; values that wait lie below.
    arguments: i16,
}

/// `waiting` is, throughout, how many values wait: what is computed must leave those alone.
impl Expression<'_> {
    /// Copies the arguments. As the context holds them, pointers among them would be pointers to the verifier too, which
    /// it follows and restricts.
    fn read_arguments(&mut self, count: usize, context: Context) {
        match context {
            _ if count == 0 => {}
            Context::Words => {
                self.asm.mov(Reg::R3, Reg::R1);
                self.asm.address(Reg::R1, Reg::Fp, self.arguments);
                self.read(Helper::ReadKernel, i32::try_from(8 * count).unwrap_or(i32::MAX));
            }
            // Registers are only numbers to the verifier.
            Context::Registers(_) => {
                for nth in 0..count {
                    context.argument(self.asm, Reg::R0, Reg::R1, nth, "argument");
                    let place = self.arguments.saturating_add(off(8 * nth));
                    self.asm.store(Width::U64, Reg::Fp, place, Reg::R0, "argument");
                }
            }
        }
    }

    /// Calls a reading helper with R1 and R3 set.
    fn read(&mut self, helper: Helper, bytes: i32) {
        self.asm.mov(Reg::R2, bytes);
        self.asm.call(helper);
        let failed = if helper.is_text() { Cond::SignedLt } else { Cond::Ne };
        self.asm.jump_if(failed, Reg::R0, 0, self.unread);
        self.has_read = true;
    }

    /// Goes to `to` when the truth of `condition` is `when`.
    fn jump_when(&mut self, condition: &Ir, when: bool, to: Label, waiting: usize) {
        match condition {
            Ir::And(left, right) | Ir::Or(left, right) => {
                let decides = matches!(condition, Ir::Or(..));
                if when == decides {
                    self.jump_when(left, when, to, waiting);
                    self.jump_when(right, when, to, waiting);
                } else {
                    let over = self.asm.label("over");
                    self.jump_when(left, decides, over, waiting);
                    self.jump_when(right, when, to, waiting);
                    self.asm.bind(over);
                }
            }
            Ir::Binary(op, left, right) if let Some((holds, fails)) = comparison(*op) => {
                let right = self.operands(left, right, waiting);
                self.asm.jump_if(if when { holds } else { fails }, Reg::R0, right, to);
            }
            Ir::SameBytes { address, bytes, space } => {
                self.same_bytes(address, bytes, *space, when, to, waiting);
            }
            value => {
                self.value(value, waiting);
                self.asm.jump_if(if when { Cond::Ne } else { Cond::Eq }, Reg::R0, 0, to);
            }
        }
    }

    /// R0 = the value.
    fn value(&mut self, value: &Ir, waiting: usize) {
        match value {
            Ir::Const(value) => self.constant(Reg::R0, *value),
            Ir::Argument(nth) => self.argument(Reg::R0, *nth),
            Ir::Current => self.asm.call(Helper::TaskAddress),
            Ir::Load { address, offset, bytes, signed, space } => {
                self.value(address, waiting);
                self.load(*offset, *bytes, *signed, *space);
            }
            Ir::Narrow { of, bits, signed } => {
                self.value(of, waiting);
                self.narrow(*bits, *signed);
            }
            Ir::Binary(op, left, right) if comparison(*op).is_none() => {
                let right = self.operands(left, right, waiting);
                self.compute(*op, right);
            }
            Ir::Choose(condition, then, otherwise) => self.choose(condition, then, otherwise, waiting),
            condition => self.choose(condition, &Ir::Const(1), &Ir::Const(0), waiting),
        }
    }

    /// R0 = one of two values. Where both are known, the verifier would follow each to the end: the veil makes them one.
    fn choose(&mut self, condition: &Ir, then: &Ir, otherwise: &Ir, waiting: usize) {
        let (no, chosen) = (self.asm.label("otherwise"), self.asm.label("chosen"));
        self.jump_when(condition, false, no, waiting);
        self.value(then, waiting);
        self.asm.jump(chosen);
        self.asm.bind(no);
        self.value(otherwise, waiting);
        self.asm.bind(chosen);
        veil(self.asm, Reg::R0, Reg::R1);
    }

    /// R0 = the left value; the right one is in what is returned. The one that takes more room is computed first.
    fn operands(&mut self, left: &Ir, right: &Ir, waiting: usize) -> Operand {
        match right {
            Ir::Const(value) if let Ok(value) = i32::try_from(*value) => {
                self.value(left, waiting);
                return value.into();
            }
            Ir::Const(value) => {
                self.value(left, waiting);
                self.constant(Reg::R1, *value);
            }
            Ir::Argument(nth) => {
                self.value(left, waiting);
                self.argument(Reg::R1, *nth);
            }
            right if room(right) > room(left) => {
                self.value(right, waiting);
                self.put(waiting, Reg::R0);
                self.value(left, waiting + 1);
                self.take(waiting, Reg::R1);
            }
            right => {
                self.value(left, waiting);
                self.put(waiting, Reg::R0);
                self.value(right, waiting + 1);
                self.asm.mov(Reg::R1, Reg::R0);
                self.take(waiting, Reg::R0);
            }
        }
        Reg::R1.into()
    }

    fn put(&mut self, place: usize, from: Reg) {
        match KEPT.get(place) {
            Some(kept) => self.asm.mov(*kept, from),
            None => self.asm.store(Width::U64, Reg::Fp, self.below(place), from, "waits"),
        }
    }

    fn take(&mut self, place: usize, to: Reg) {
        match KEPT.get(place) {
            Some(kept) => self.asm.mov(to, *kept),
            None => self.asm.load(Width::U64, to, Reg::Fp, self.below(place), "waited"),
        }
    }

    fn below(&self, place: usize) -> i16 {
        let nth = i16::try_from(place + 1 - KEPT.len()).unwrap_or(i16::MAX / 8);
        self.arguments.saturating_sub(8 * nth)
    }

    fn constant(&mut self, to: Reg, value: i64) {
        match i32::try_from(value) {
            Ok(value) => self.asm.mov(to, value),
            Err(_) => self.asm.wide(to, value.cast_unsigned()),
        }
    }

    fn argument(&mut self, to: Reg, nth: u16) {
        let offset = i16::try_from(nth).map_or(i16::MAX, |nth| self.arguments.saturating_add(8 * nth));
        self.asm.load(Width::U64, to, Reg::Fp, offset, "argument");
    }

    /// R0 = what stands `offset` behind the address in R0.
    fn load(&mut self, offset: i64, bytes: u8, signed: bool, space: Space) {
        match i32::try_from(offset) {
            Ok(0) => {}
            Ok(offset) => self.asm.alu(Alu::Add, Reg::R0, offset),
            Err(_) => {
                self.constant(Reg::R1, offset);
                self.asm.alu(Alu::Add, Reg::R0, Reg::R1);
            }
        }
        self.asm.mov(Reg::R3, Reg::R0);
        self.asm.address(Reg::R1, Reg::Fp, READ);
        self.read(if space == Space::User { Helper::ReadUser } else { Helper::ReadKernel }, i32::from(bytes));
        self.asm.load(width(usize::from(bytes)), Reg::R0, Reg::Fp, READ, "read");
        if signed && bytes < 8 {
            self.narrow(8 * bytes, true);
        }
    }

    /// R0 = its low bits, extended.
    fn narrow(&mut self, bits: u8, signed: bool) {
        if !signed && bits < 31 {
            self.asm.alu(Alu::And, Reg::R0, (1 << bits) - 1);
            return;
        }
        let rest = 64_i32.saturating_sub(i32::from(bits)) & 63;
        self.asm.alu(Alu::Shl, Reg::R0, rest);
        self.asm.alu(if signed { Alu::SignedShr } else { Alu::Shr }, Reg::R0, rest);
    }

    /// R0 = R0 and the right side together.
    fn compute(&mut self, op: Op, right: Operand) {
        let plain = match op {
            Op::Add => Alu::Add,
            Op::Sub => Alu::Sub,
            Op::Mul => Alu::Mul,
            Op::Div => Alu::Div,
            Op::Rem => Alu::Mod,
            Op::And => Alu::And,
            Op::Or => Alu::Or,
            Op::Xor => Alu::Xor,
            Op::Shl => Alu::Shl,
            Op::Shr => Alu::Shr,
            Op::SignedShr => Alu::SignedShr,
            Op::SignedDiv | Op::SignedRem => return self.signed_division(op, right),
            // Comparisons are jumps.
            Op::Eq | Op::Ne | Op::Lt | Op::SignedLt | Op::Le | Op::SignedLe => return,
        };
        let right = match right {
            Operand::Imm(count) if matches!(op, Op::Shl | Op::Shr | Op::SignedShr) => {
                Operand::Imm(count & 63)
            }
            // The verifier takes no division by a 0 that it can see.
            Operand::Imm(0) if matches!(op, Op::Div | Op::Rem) => {
                self.asm.mov(Reg::R1, 0);
                Reg::R1.into()
            }
            right => right,
        };
        self.asm.alu(plain, Reg::R0, right);
    }

    /// Kernels before 6.6 divide without signs only: by magnitude, and the sign afterwards.
    fn signed_division(&mut self, op: Op, right: Operand) {
        if let Operand::Imm(_) = right {
            self.asm.mov(Reg::R1, right);
        }
        self.asm.mov(Reg::R2, Reg::R0);
        if op == Op::SignedDiv {
            self.asm.alu(Alu::Xor, Reg::R2, Reg::R1);
        }
        self.negate_if(Reg::R0, Reg::R0);
        self.negate_if(Reg::R1, Reg::R1);
        self.asm.alu(if op == Op::SignedDiv { Alu::Div } else { Alu::Mod }, Reg::R0, Reg::R1);
        self.negate_if(Reg::R0, Reg::R2);
    }

    /// Negates `value` where `sign` is negative: all bits turned, and one more. Uses R3.
    fn negate_if(&mut self, value: Reg, sign: Reg) {
        self.asm.mov(Reg::R3, sign);
        self.asm.alu(Alu::SignedShr, Reg::R3, 63);
        self.asm.alu(Alu::Xor, value, Reg::R3);
        self.asm.alu(Alu::Sub, value, Reg::R3);
    }

    /// Compares a text in memory, of which no byte behind its end or behind those that are compared is read: what is
    /// there may be on a page that is not. The helper ends what it copies with a 0 of its own, whatever stands there, so
    /// the last byte is read once more, when all before it are the same.
    fn same_bytes(
        &mut self,
        address: &Ir,
        bytes: &[u8],
        space: Space,
        when: bool,
        to: Label,
        waiting: usize,
    ) {
        let Some((last, before)) = bytes.split_last() else { return };
        self.value(address, waiting);
        let differs = if when { self.asm.label("differs") } else { to };
        if !before.is_empty() {
            self.put(waiting, Reg::R0);
            self.asm.mov(Reg::R3, Reg::R0);
            self.asm.address(Reg::R1, Reg::Fp, TEXT);
            let helper = if space == Space::User { Helper::ReadUserText } else { Helper::ReadKernelText };
            self.read(helper, i32::try_from(bytes.len()).unwrap_or(i32::MAX));
            self.compare(before, differs);
            self.take(waiting, Reg::R0);
        }
        self.load(i64::try_from(before.len()).unwrap_or(i64::MAX), 1, false, space);
        let (holds, fails) = (Cond::Eq, Cond::Ne);
        self.asm.jump_if(if when { holds } else { fails }, Reg::R0, i32::from(*last), to);
        if when {
            self.asm.bind(differs);
        }
    }

    /// Goes to `differs` unless these bytes are what was copied.
    fn compare(&mut self, bytes: &[u8], differs: Label) {
        let mut at = TEXT;
        for chunk in chunks(bytes) {
            let mut word = [0; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.constant(Reg::R1, i64::from_le_bytes(word));
            self.asm.load(width(chunk.len()), Reg::R0, Reg::Fp, at, "text");
            self.asm.jump_if(Cond::Ne, Reg::R0, Reg::R1, differs);
            at = at.saturating_add(off(chunk.len()));
        }
    }
}

/// The largest pieces that one load can compare, from the front: 8, then 4, 2 and 1 bytes.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = [8, 4, 2, 1].into_iter().find(|length| *length <= rest.len())?;
        let (chunk, more) = rest.split_at(length);
        rest = more;
        Some(chunk)
    })
}

const fn width(bytes: usize) -> Width {
    match bytes {
        1 => Width::U8,
        2 => Width::U16,
        4 => Width::U32,
        _ => Width::U64,
    }
}

/// How a comparison jumps where it holds, and where it does not.
const fn comparison(op: Op) -> Option<(Cond, Cond)> {
    Some(match op {
        Op::Eq => (Cond::Eq, Cond::Ne),
        Op::Ne => (Cond::Ne, Cond::Eq),
        Op::Lt => (Cond::Lt, Cond::Ge),
        Op::Le => (Cond::Le, Cond::Gt),
        Op::SignedLt => (Cond::SignedLt, Cond::SignedGe),
        Op::SignedLe => (Cond::SignedLe, Cond::SignedGt),
        _ => return None,
    })
}

/// How many values wait at a time while this one is computed.
fn room(value: &Ir) -> usize {
    match value {
        Ir::Const(_) | Ir::Argument(_) | Ir::Current => 0,
        Ir::Load { address: of, .. } | Ir::Narrow { of, .. } => room(of),
        Ir::SameBytes { address, .. } => room(address).max(1),
        Ir::And(left, right) | Ir::Or(left, right) => room(left).max(room(right)),
        Ir::Choose(condition, then, otherwise) => room(condition).max(room(then)).max(room(otherwise)),
        Ir::Binary(_, left, right) if matches!(**right, Ir::Const(_) | Ir::Argument(_)) => room(left),
        Ir::Binary(_, left, right) => {
            let (left, right) = (room(left), room(right));
            left.max(right).max(left.min(right) + 1)
        }
    }
}
