//! C's conversions: what type two values have together, and what becomes of a value on its way to a type.

use faultline_api::predicate::Binary;

use super::{
    ir::{Ir, Op},
    ty::{To, Ty},
};

/// Whether the result is 0 or 1.
pub(super) const fn is_comparison(op: Binary) -> bool {
    matches!(op, Binary::Eq | Binary::Ne | Binary::Lt | Binary::Gt | Binary::Le | Binary::Ge)
}

/// A comparison of values of the same type.
pub(super) fn compared(op: Binary, left: Ir, right: Ir, signed: bool) -> Ir {
    let (lt, le) = if signed { (Op::SignedLt, Op::SignedLe) } else { (Op::Lt, Op::Le) };
    match op {
        Binary::Eq => Ir::binary(Op::Eq, left, right),
        Binary::Ne => Ir::binary(Op::Ne, left, right),
        Binary::Lt => Ir::binary(lt, left, right),
        Binary::Le => Ir::binary(le, left, right),
        Binary::Gt => Ir::binary(lt, right, left),
        _ => Ir::binary(le, right, left),
    }
}

/// C's usual arithmetic conversions, after promotion.
pub(super) fn common(a: &Ty, b: &Ty) -> Ty {
    match (a, b) {
        (Ty::Int { bytes: a_bytes, signed: a_signed }, Ty::Int { bytes: b_bytes, signed: b_signed }) => {
            let signed = match a_bytes.cmp(b_bytes) {
                std::cmp::Ordering::Greater => *a_signed,
                std::cmp::Ordering::Less => *b_signed,
                std::cmp::Ordering::Equal => *a_signed && *b_signed,
            };
            Ty::Int { bytes: *a_bytes.max(b_bytes), signed }
        }
        // NULL takes the other's type, and with it whose memory it is about.
        (Ty::Pointer { to: To::Kernel(0), .. }, Ty::Pointer { .. }) => b.clone(),
        (Ty::Pointer { .. }, _) => a.clone(),
        _ => b.clone(),
    }
}

/// A value as one of that type.
pub(super) fn converted(value: Ir, to: &Ty) -> Ir {
    match to {
        Ty::Int { bytes, signed } => value.narrow(8 * bytes, *signed),
        _ => value,
    }
}
