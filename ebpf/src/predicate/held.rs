//! Where the value of an expression is, and how it comes into a register.

use super::{
    ir::{Ir, Op, Space},
    ty::Ty,
};

/// What an expression came to.
pub(super) struct Typed {
    pub(super) ty: Ty,
    pub(super) held: Held,
}

/// Where a value is.
pub(super) enum Held {
    /// In a register.
    Value(Ir),
    /// In memory.
    Place {
        /// Where.
        address: Ir,
        /// Added to it, in bytes.
        offset: i64,
        /// For a bit field.
        bits: Option<Bits>,
        /// Whose memory.
        space: Space,
    },
    /// Within a struct that was handed over by value, which fills one argument word after the other.
    Words {
        /// The first of them.
        slot: u16,
        /// Distance from the start of the struct, in bits.
        start: u32,
        /// For a bit field.
        width: Option<u32>,
    },
}

/// A bit field within its struct, which begins at the place.
#[derive(Clone, Copy)]
pub(super) struct Bits {
    /// Distance from the start of the struct, in bits.
    pub(super) start: u32,
    /// Width, in bits.
    pub(super) width: u32,
    /// Bytes of the struct: behind its end, nothing may be there.
    pub(super) within: u32,
}

impl Typed {
    pub(super) const fn value(ty: Ty, value: Ir) -> Self {
        Self { ty, held: Held::Value(value) }
    }

    /// The value in a register, and its type after integer promotion.
    pub(super) fn loaded(self) -> (Ir, Ty) {
        let (bytes, signed) = match self.ty {
            Ty::Int { bytes, signed } => (bytes, signed),
            Ty::Bool => (1, false),
            _ => (8, false),
        };
        match self.held {
            Held::Value(value) => (value, promoted(self.ty, None)),
            Held::Place { address, offset, bits: None, space } => {
                let address = Box::new(address);
                (Ir::Load { address, offset, bytes, signed, space }, promoted(self.ty, None))
            }
            Held::Place { address, offset, bits: Some(bits), space } => {
                let value = bit_field(address, offset, bits, space);
                (value.narrow(most_64(bits.width), signed), promoted(self.ty, Some(bits.width)))
            }
            Held::Words { slot, start, width } => {
                let bits = width.unwrap_or(8 * u32::from(bytes));
                (of_words(slot, start, bits).narrow(most_64(bits), signed), promoted(self.ty, width))
            }
        }
    }
}

/// What an int can hold becomes one.
fn promoted(ty: Ty, width: Option<u32>) -> Ty {
    match (ty, width) {
        (Ty::Bool | Ty::Int { bytes: 1 | 2, .. }, _) => Ty::INT,
        (Ty::Int { signed, .. }, Some(width)) if width < 32 || (signed && width == 32) => Ty::INT,
        (ty, _) => ty,
    }
}

/// The bytes that a bit field touches, moved down; the caller cuts off what is above it.
///
/// Where one load within the struct holds all of them, that is what a compiler would read. A field of a packed struct may
/// have none, and is put together.
fn bit_field(address: Ir, offset: i64, bits: Bits, space: Space) -> Ir {
    let load = |byte: u32, bytes: u8| Ir::Load {
        address: Box::new(address.clone()),
        offset: offset.saturating_add(i64::from(byte)),
        bytes,
        signed: false,
        space,
    };
    let end = bits.start.saturating_add(bits.width);
    let (first, behind) = (bits.start / 8, end.div_ceil(8));
    let whole = [1_u8, 2, 4, 8].into_iter().find_map(|bytes| {
        let start = first - first % u32::from(bytes);
        let window = start.checked_add(u32::from(bytes))?;
        (behind <= window && window <= bits.within).then_some((start, bytes))
    });
    if let Some((start, bytes)) = whole {
        return Ir::binary(Op::Shr, load(start, bytes), Ir::Const(i64::from(bits.start - 8 * start)));
    }
    // Damaged types may claim more bits than there are; 9 bytes touch all 64.
    let mut parts = Vec::new();
    let mut byte = first;
    while byte < behind.min(first.saturating_add(9)) {
        let bytes = [8, 4, 2, 1].into_iter().find(|bytes| u32::from(*bytes) <= behind - byte).unwrap_or(1);
        parts.push(moved(load(byte, bytes), byte.saturating_mul(8), bits.start));
        byte = byte.saturating_add(u32::from(bytes));
    }
    joined(parts.into_iter())
}

fn joined(parts: impl Iterator<Item = Ir>) -> Ir {
    parts.reduce(|low, high| Ir::binary(Op::Or, low, high)).unwrap_or(Ir::Const(0))
}

/// Bits of the argument words from `slot` on, moved down.
fn of_words(slot: u16, start: u32, width: u32) -> Ir {
    let word = |nth: u32| Ir::Argument(u16::try_from(nth).map_or(u16::MAX, |nth| slot.saturating_add(nth)));
    let (first, last) = (start / 64, start.saturating_add(width).div_ceil(64));
    let words = first..last.clamp(first + 1, first + 2);
    joined(words.map(|nth| moved(word(nth), nth.saturating_mul(64), start)))
}

/// What begins at bit `at`, to where `start` becomes bit 0.
fn moved(value: Ir, at: u32, start: u32) -> Ir {
    match at.checked_sub(start) {
        Some(up) if up >= 64 => Ir::Const(0),
        Some(up) => Ir::binary(Op::Shl, value, Ir::Const(i64::from(up))),
        None => Ir::binary(Op::Shr, value, Ir::Const(i64::from((start - at).min(63)))),
    }
}

fn most_64(bits: u32) -> u8 {
    u8::try_from(bits.min(64)).unwrap_or(64)
}
