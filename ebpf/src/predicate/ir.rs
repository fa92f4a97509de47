//! A predicate once its types are known: every value has 64 bits, and what is narrower was extended by its sign.

/// Longest text to compare with, in bytes: it is read onto a program's small stack.
pub const MAX_TEXT: usize = 64;

/// How memory is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// The kernel's.
    Kernel,
    /// The calling process's.
    User,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ir {
    /// A constant.
    Const(i64),
    /// The nth argument of the function, as its register holds it: above its own width there may be anything.
    Argument(u16),
    /// The running task's `task_struct`.
    Current,
    /// What stands in memory. A read that fails makes the whole predicate false.
    Load {
        /// Where.
        address: Box<Ir>,
        /// Added to it.
        offset: i64,
        /// 1, 2, 4 or 8.
        bytes: u8,
        /// Whether the value has a sign.
        signed: bool,
        /// Whose memory.
        space: Space,
    },
    /// The low bits of a value, extended.
    Narrow {
        /// The value.
        of: Box<Ir>,
        /// 1 to 63.
        bits: u8,
        /// Whether by the sign.
        signed: bool,
    },
    /// Two values together, in 64 bits.
    Binary(Op, Box<Ir>, Box<Ir>),
    /// 1 when both are not 0; the second is not looked at when the first is.
    And(Box<Ir>, Box<Ir>),
    /// 1 when one is not 0; the second is not looked at when the first is not.
    Or(Box<Ir>, Box<Ir>),
    /// The second where the first is not 0, else the third.
    Choose(Box<Ir>, Box<Ir>, Box<Ir>),
    /// 1 when these bytes stand at an address.
    SameBytes {
        /// Where.
        address: Box<Ir>,
        /// With the closing 0 where the whole text is compared.
        bytes: Vec<u8>,
        /// Whose memory.
        space: Space,
    },
}

/// What is done with two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`, unsigned; by 0 it is 0.
    Div,
    /// `/`, signed; by 0 it is 0.
    SignedDiv,
    /// `%`, unsigned; by 0 it is the value itself.
    Rem,
    /// `%`, signed; by 0 it is the value itself.
    SignedRem,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `<<`, by the count modulo 64
    Shl,
    /// `>>`, by the count modulo 64
    Shr,
    /// `>>` that keeps the sign
    SignedShr,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`, unsigned
    Lt,
    /// `<`, signed
    SignedLt,
    /// `<=`, unsigned
    Le,
    /// `<=`, signed
    SignedLe,
}

impl Op {
    /// Whether its result is 0 or 1.
    #[must_use]
    pub const fn is_comparison(self) -> bool {
        matches!(self, Self::Eq | Self::Ne | Self::Lt | Self::SignedLt | Self::Le | Self::SignedLe)
    }

    /// Its result, as the instructions compute it.
    #[must_use]
    pub const fn of(self, left: i64, right: i64) -> i64 {
        let (a, b) = (left.cast_unsigned(), right.cast_unsigned());
        match self {
            Self::Add => left.wrapping_add(right),
            Self::Sub => left.wrapping_sub(right),
            Self::Mul => left.wrapping_mul(right),
            Self::Div => match a.checked_div(b) {
                Some(quotient) => quotient.cast_signed(),
                None => 0,
            },
            Self::SignedDiv => {
                if right == 0 {
                    0
                } else {
                    left.wrapping_div(right)
                }
            }
            Self::Rem => match a.checked_rem(b) {
                Some(rest) => rest.cast_signed(),
                None => left,
            },
            Self::SignedRem => {
                if right == 0 {
                    left
                } else {
                    left.wrapping_rem(right)
                }
            }
            Self::And => left & right,
            Self::Or => left | right,
            Self::Xor => left ^ right,
            Self::Shl => left.wrapping_shl((b & 63) as u32),
            Self::Shr => (a >> (b & 63)).cast_signed(),
            Self::SignedShr => left >> (b & 63),
            Self::Eq => (left == right) as i64,
            Self::Ne => (left != right) as i64,
            Self::Lt => (a < b) as i64,
            Self::SignedLt => (left < right) as i64,
            Self::Le => (a <= b) as i64,
            Self::SignedLe => (left <= right) as i64,
        }
    }
}

/// The low `bits` of a value, extended.
#[must_use]
pub(super) const fn narrowed(value: i64, bits: u8, signed: bool) -> i64 {
    let rest = 64 - bits as u32;
    let high = value.wrapping_shl(rest);
    if signed { high.wrapping_shr(rest) } else { high.cast_unsigned().wrapping_shr(rest).cast_signed() }
}

impl Ir {
    /// The value of a constant.
    #[must_use]
    pub const fn constant(&self) -> Option<i64> {
        match self {
            Self::Const(value) => Some(*value),
            _ => None,
        }
    }

    /// How many of the function's arguments must be at hand: one more than the last that is used.
    #[must_use]
    pub fn arguments(&self) -> u16 {
        match self {
            Self::Const(_) | Self::Current => 0,
            Self::Argument(nth) => nth.saturating_add(1),
            Self::Load { address: of, .. }
            | Self::Narrow { of, .. }
            | Self::SameBytes { address: of, .. } => of.arguments(),
            Self::Binary(_, left, right) | Self::And(left, right) | Self::Or(left, right) => {
                left.arguments().max(right.arguments())
            }
            Self::Choose(condition, then, otherwise) => {
                condition.arguments().max(then.arguments()).max(otherwise.arguments())
            }
        }
    }

    /// Two values together; at once, where both are known.
    #[must_use]
    pub fn binary(op: Op, left: Self, right: Self) -> Self {
        match (left.constant(), right.constant()) {
            (Some(a), Some(b)) => Self::Const(op.of(a, b)),
            (None, Some(0))
                if matches!(op, Op::Add | Op::Sub | Op::Or | Op::Xor | Op::Shl | Op::Shr | Op::SignedShr) =>
            {
                left
            }
            _ => Self::Binary(op, Box::new(left), Box::new(right)),
        }
    }

    /// The low bits of a value.
    #[must_use]
    pub fn narrow(self, bits: u8, signed: bool) -> Self {
        match self {
            value if bits >= 64 => value,
            Self::Const(value) => Self::Const(narrowed(value, bits, signed)),
            Self::Load { bytes, signed: as_read, .. } if fits(8 * bytes, as_read, bits, signed) => self,
            Self::Narrow { bits: of, signed: as_was, .. } if fits(of, as_was, bits, signed) => self,
            of => Self::Narrow { of: Box::new(of), bits, signed },
        }
    }

    /// 1 where it is not 0.
    #[must_use]
    pub fn truth(self) -> Self {
        match self {
            Self::And(..) | Self::Or(..) | Self::SameBytes { .. } => self,
            Self::Binary(op, ..) if op.is_comparison() => self,
            value => Self::binary(Op::Ne, value, Self::Const(0)),
        }
    }

    /// `&&`
    #[must_use]
    pub fn and(left: Self, right: Self) -> Self {
        match (left.constant(), right.constant()) {
            (Some(0), _) => Self::Const(0),
            (Some(_), _) => right.truth(),
            (_, Some(value)) if value != 0 => left.truth(),
            _ => Self::And(Box::new(left), Box::new(right)),
        }
    }

    /// `||`
    #[must_use]
    pub fn or(left: Self, right: Self) -> Self {
        match (left.constant(), right.constant()) {
            (Some(0), _) => right.truth(),
            (Some(_), _) => Self::Const(1),
            (_, Some(0)) => left.truth(),
            _ => Self::Or(Box::new(left), Box::new(right)),
        }
    }

    /// `condition ? then : otherwise`
    #[must_use]
    pub fn choose(condition: Self, then: Self, otherwise: Self) -> Self {
        match condition.constant() {
            Some(0) => otherwise,
            Some(_) => then,
            None => Self::Choose(Box::new(condition), Box::new(then), Box::new(otherwise)),
        }
    }
}

/// Whether a value that was extended from so many bits is the same when narrowed to those.
const fn fits(from: u8, from_signed: bool, bits: u8, signed: bool) -> bool {
    (from == bits && from_signed == signed) || (from < bits && (signed || !from_signed))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_cannot_fail_to_be_known_is_computed_at_once() {
        let argument = || Ir::Argument(0);
        assert_eq!(Ir::binary(Op::Add, Ir::Const(2), Ir::Const(3)), Ir::Const(5));
        assert_eq!(Ir::binary(Op::Shl, argument(), Ir::Const(0)), argument());
        assert_eq!(Ir::and(Ir::Const(0), argument()), Ir::Const(0));
        assert_eq!(Ir::or(Ir::Const(7), argument()), Ir::Const(1));
        assert_eq!(Ir::and(Ir::Const(7), argument()), Ir::binary(Op::Ne, argument(), Ir::Const(0)));
        // What is before it may fail to be read, and that makes all of it false.
        assert!(matches!(Ir::and(argument(), Ir::Const(0)), Ir::And(..)));
        assert_eq!(Ir::choose(Ir::Const(1), argument(), Ir::Const(0)), argument());
    }

    #[test]
    fn a_value_is_not_narrowed_twice() {
        let once = Ir::Argument(0).narrow(8, false);
        assert_eq!(once.clone().narrow(32, true), once);
        assert_ne!(once.clone().narrow(8, true), once);
        let signed = Ir::Argument(0).narrow(8, true);
        assert_ne!(signed.clone().narrow(32, false), signed);
        assert_eq!(Ir::Const(-1).narrow(16, false), Ir::Const(0xffff));
    }

    proptest! {
        #[test]
        fn narrowing_is_what_a_cast_of_that_width_does(value: i64) {
            prop_assert_eq!(narrowed(value, 8, true), i64::from(value as i8));
            prop_assert_eq!(narrowed(value, 16, false), i64::from(value as u16));
            prop_assert_eq!(narrowed(value, 32, true), i64::from(value as i32));
            prop_assert_eq!(narrowed(value, 32, false), i64::from(value as u32));
        }

        #[test]
        fn narrowing_again_changes_nothing_where_it_is_left_out(value: i64, from in 1u8..64, bits in 1u8..64, a: bool, b: bool) {
            if fits(from, a, bits, b) {
                let once = narrowed(value, from, a);
                prop_assert_eq!(narrowed(once, bits, b), once);
            }
        }
    }
}
