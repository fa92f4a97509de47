//! What a predicate comes to, in Rust: what the instructions are held against.

use super::ir::{Ir, Space, narrowed};

/// What a predicate sees of the machine at a function's entry.
pub trait Memory {
    /// The nth argument, as its register holds it.
    fn argument(&self, nth: u16) -> u64;
    /// Address of the running task's `task_struct`.
    fn current(&self) -> u64;
    /// One byte; `None` where it cannot be read.
    fn byte(&self, space: Space, address: u64) -> Option<u8>;
}

/// Something that the predicate asks for cannot be read: it does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread;

impl Ir {
    /// The value; for a condition, whether it is 0.
    ///
    /// # Errors
    /// A read failed.
    pub fn evaluate(&self, memory: &impl Memory) -> Result<i64, Unread> {
        Ok(match self {
            Self::Const(value) => *value,
            Self::Argument(nth) => memory.argument(*nth).cast_signed(),
            Self::Current => memory.current().cast_signed(),
            Self::Load { address, offset, bytes, signed, space } => {
                let start = address.evaluate(memory)?.wrapping_add(*offset).cast_unsigned();
                let mut word = [0; 8];
                for (byte, at) in word.iter_mut().zip(0..u64::from(*bytes)) {
                    *byte = memory.byte(*space, start.wrapping_add(at)).ok_or(Unread)?;
                }
                narrowed(i64::from_le_bytes(word), 8 * *bytes, *signed)
            }
            Self::Narrow { of, bits, signed } => narrowed(of.evaluate(memory)?, *bits, *signed),
            Self::Binary(op, left, right) => op.of(left.evaluate(memory)?, right.evaluate(memory)?),
            Self::And(left, right) => (left.evaluate(memory)? != 0 && right.evaluate(memory)? != 0).into(),
            Self::Or(left, right) => (left.evaluate(memory)? != 0 || right.evaluate(memory)? != 0).into(),
            Self::Choose(condition, then, otherwise) => {
                if condition.evaluate(memory)? == 0 { otherwise } else { then }.evaluate(memory)?
            }
            Self::SameBytes { address, bytes, space } => {
                let start = address.evaluate(memory)?.cast_unsigned();
                (text(memory, *space, start, bytes.len())? == *bytes).into()
            }
        })
    }
}

/// A text to its end, which is a 0, or so many bytes of it.
fn text(memory: &impl Memory, space: Space, start: u64, limit: usize) -> Result<Vec<u8>, Unread> {
    let mut text = Vec::new();
    while text.len() < limit && text.last() != Some(&0) {
        let at = u64::try_from(text.len()).map_err(|_| Unread)?;
        text.push(memory.byte(space, start.wrapping_add(at)).ok_or(Unread)?);
    }
    Ok(text)
}
