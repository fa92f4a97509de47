//! What a predicate decides whatever it reads, so that people are told.

use super::ir::{Ir, Op, narrowed};

impl Ir {
    /// Whether it holds whenever it can be evaluated (`Some(true)`), never (`Some(false)`), or depends on what it reads.
    #[must_use]
    pub fn verdict(&self) -> Option<bool> {
        match self {
            Self::And(left, right) => match (left.verdict(), right.verdict()) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(left, right) => match (left.verdict(), right.verdict()) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
            Self::Choose(condition, then, otherwise) => match condition.verdict() {
                Some(true) => then.verdict(),
                Some(false) => otherwise.verdict(),
                None => then.verdict().filter(|verdict| otherwise.verdict() == Some(*verdict)),
            },
            Self::Binary(op, left, right) => compared(*op, &left.range()?, &right.range()?),
            value => {
                let range = value.range()?;
                compared(Op::Ne, &range, &Range { least: 0, most: 0 })
            }
        }
    }

    /// Between what its value is, as a number with a sign; absent where that says nothing.
    fn range(&self) -> Option<Range> {
        let of_width = |bits: u8, signed: bool| match (bits, signed) {
            (64.., _) => Some(Range { least: i64::MIN, most: i64::MAX }),
            (0, _) => None,
            (bits, true) => {
                Some(Range { least: narrowed(1 << (bits - 1), bits, true), most: (1 << (bits - 1)) - 1 })
            }
            (bits, false) => Some(Range { least: 0, most: narrowed(-1, bits, false) }),
        };
        match self {
            Self::Const(value) => Some(Range { least: *value, most: *value }),
            Self::Argument(_) | Self::Current => of_width(64, true),
            Self::Load { bytes, signed, .. } => of_width(8 * bytes, *signed),
            Self::Narrow { bits, signed, .. } => of_width(*bits, *signed),
            Self::And(..) | Self::Or(..) | Self::SameBytes { .. } => Some(Range { least: 0, most: 1 }),
            Self::Binary(op, ..) if op.is_comparison() => Some(Range { least: 0, most: 1 }),
            Self::Binary(..) => of_width(64, true),
            Self::Choose(_, then, otherwise) => {
                let (then, otherwise) = (then.range()?, otherwise.range()?);
                Some(Range { least: then.least.min(otherwise.least), most: then.most.max(otherwise.most) })
            }
        }
    }
}

/// Both ends belong to it.
struct Range {
    least: i64,
    most: i64,
}

fn compared(op: Op, left: &Range, right: &Range) -> Option<bool> {
    let always = |holds: bool, never: bool| match (holds, never) {
        (true, _) => Some(true),
        (_, true) => Some(false),
        _ => None,
    };
    let apart = left.most < right.least || right.most < left.least;
    let one = left.least == left.most && right.least == right.most && left.least == right.least;
    // Without a sign, numbers of either sign are in another order.
    let alike = |range: &Range| range.least >= 0 || range.most < 0;
    match op {
        Op::Eq => always(one, apart),
        Op::Ne => always(apart, one),
        Op::SignedLt => always(left.most < right.least, left.least >= right.most),
        Op::SignedLe => always(left.most <= right.least, left.least > right.most),
        // Nothing is less than 0, and 0 is at most anything.
        Op::Lt if right.least == 0 && right.most == 0 => Some(false),
        Op::Le if left.least == 0 && left.most == 0 => Some(true),
        Op::Lt | Op::Le if alike(left) && alike(right) => {
            let unsigned = |range: &Range| (range.least.cast_unsigned(), range.most.cast_unsigned());
            let ((a, b), (c, d)) = (unsigned(left), unsigned(right));
            if op == Op::Lt { always(b < c, a >= d) } else { always(b <= c, a > d) }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predicate::Space;

    fn word(bytes: u8, signed: bool) -> Ir {
        Ir::Load { address: Box::new(Ir::Argument(0)), offset: 0, bytes, signed, space: Space::Kernel }
    }

    #[test]
    fn a_comparison_beyond_what_a_type_holds_is_decided() {
        for (condition, verdict) in [
            (Ir::Const(1), Some(true)),
            (Ir::Const(0), Some(false)),
            (Ir::binary(Op::Lt, word(4, false), Ir::Const(0)), Some(false)),
            (Ir::binary(Op::Le, Ir::Const(0), word(8, false)), Some(true)),
            (Ir::binary(Op::SignedLt, word(1, false), Ir::Const(256)), Some(true)),
            (Ir::binary(Op::SignedLt, word(1, true), Ir::Const(127)), None),
            (Ir::binary(Op::Eq, word(1, false), Ir::Const(-1)), Some(false)),
            (Ir::binary(Op::Ne, word(2, true), Ir::Const(40_000)), Some(true)),
            (Ir::binary(Op::Lt, word(4, false), Ir::Const(7)), None),
            (Ir::binary(Op::Lt, word(4, true), Ir::Const(7)), None),
            (Ir::and(word(4, true), Ir::Const(0)), Some(false)),
            (Ir::or(word(4, true), Ir::Const(5)), Some(true)),
            (Ir::or(word(4, true), word(4, true)), None),
            (Ir::choose(word(4, true), Ir::Const(3), Ir::Const(4)), Some(true)),
            (word(4, false), None),
        ] {
            assert_eq!(condition.verdict(), verdict, "{condition:?}");
        }
    }
}
