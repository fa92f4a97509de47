//! What a value of a type is: how large, how it is read, and what is inside it.

use super::{Btf, Kind, NESTING, Record};

/// A type, seen through its aliases and qualifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Nothing: `void`, or a struct that is only declared.
    Void,
    /// An integer or a constant of an enum.
    Int {
        /// 1, 2, 4, 8 or 16.
        bytes: u32,
        /// Whether it has a sign.
        signed: bool,
    },
    /// `_Bool`.
    Bool,
    /// A pointer to the type of that id; 0 is void.
    Pointer(u32),
    /// Elements of one type.
    Array {
        /// The type of an element.
        of: u32,
        /// How many; 0 where the array is flexible.
        length: u32,
    },
    /// A struct or union, by its id.
    Aggregate {
        /// The id behind aliases and qualifiers.
        id: u32,
        /// Its size.
        bytes: u32,
    },
    /// A function: only its address is a value.
    Function,
    /// What no predicate can read, such as a floating-point number.
    Unreadable,
}

/// A member of a struct or union, with what a bit field needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Distance from the start of the outermost type, in bits.
    pub bit_offset: u32,
    /// Width of a bit field in bits; `None` for whole values.
    pub bits: Option<u32>,
    /// Its type.
    pub type_id: u32,
}

impl Field {
    /// Distance in bytes; absent for bit fields off a byte boundary.
    #[must_use]
    pub fn byte_offset(self) -> Option<u32> {
        self.bit_offset.is_multiple_of(8).then_some(self.bit_offset / 8)
    }
}

/// Most members that are looked at in one struct: damaged data could nest them beyond number.
const MOST_FIELDS: u32 = 1 << 16;

/// Encoding bits of an integer.
const SIGNED: u32 = 1;
const BOOL: u32 = 4;

impl Btf {
    /// What a type is; id 0 is void. Absent where the data is damaged.
    #[must_use]
    pub fn type_of(&self, id: u32) -> Option<Type> {
        let id = self.resolved(id)?;
        if id == 0 {
            return Some(Type::Void);
        }
        let record = self.record(id)?;
        Some(match record.kind {
            Kind::Int => Self::integer(record)?,
            Kind::Ptr => Type::Pointer(record.size_or_type),
            Kind::Array => Type::Array { of: record.tail(0)?, length: record.tail(2)? },
            Kind::Struct | Kind::Union => Type::Aggregate { id, bytes: record.size_or_type },
            Kind::Enum | Kind::Enum64 => {
                Type::Int { bytes: record.size_or_type, signed: self.has_sign(record) }
            }
            Kind::Func | Kind::FuncProto => Type::Function,
            Kind::Forward => Type::Void,
            _ => Type::Unreadable,
        })
    }

    /// Bytes of a value; absent for what has none, and where the data is damaged.
    #[must_use]
    pub fn size_of(&self, id: u32) -> Option<u32> {
        let (mut id, mut times) = (id, 1_u32);
        for _ in 0..NESTING {
            let bytes = match self.type_of(id)? {
                Type::Int { bytes, .. } | Type::Aggregate { bytes, .. } => bytes,
                Type::Bool => 1,
                Type::Pointer(_) => 8,
                Type::Array { of, length } => {
                    (id, times) = (of, times.checked_mul(length)?);
                    continue;
                }
                Type::Void | Type::Function | Type::Unreadable => return None,
            };
            return bytes.checked_mul(times);
        }
        None
    }

    /// A member of a struct or union, by name; those of anonymous members count as its own.
    #[must_use]
    pub fn field(&self, aggregate: u32, name: &str) -> Option<Field> {
        self.fields(aggregate).into_iter().find_map(|(label, field)| (label == name).then_some(field))
    }

    /// All members of a struct or union with their names, those of anonymous members in their place.
    #[must_use]
    pub fn fields(&self, aggregate: u32) -> Vec<(&str, Field)> {
        let (mut fields, mut left) = (Vec::new(), MOST_FIELDS);
        self.fields_within(aggregate, 0, NESTING, &mut left, &mut fields);
        fields
    }

    fn fields_within<'a>(
        &'a self,
        aggregate: u32,
        base: u32,
        levels: usize,
        left: &mut u32,
        into: &mut Vec<(&'a str, Field)>,
    ) {
        let record = self.resolved(aggregate).and_then(|id| self.record(id));
        let Some(record) = record.filter(|record| matches!(record.kind, Kind::Struct | Kind::Union)) else {
            return;
        };
        if levels == 0 {
            return;
        }
        for nth in 0..record.count {
            let Some((label, field)) = self.nth_field(record, nth, base) else { return };
            let Some(fewer) = left.checked_sub(1) else { return };
            *left = fewer;
            match label {
                "" if field.bits.is_none() => {
                    self.fields_within(field.type_id, field.bit_offset, levels - 1, left, into);
                }
                label => into.push((label, field)),
            }
        }
    }

    fn nth_field(&self, record: Record<'_>, nth: usize, base: u32) -> Option<(&str, Field)> {
        let label = self.string(record.tail(3 * nth)?)?;
        let type_id = record.tail(3 * nth + 1)?;
        let offset = record.tail(3 * nth + 2)?;
        // With the flag, the upper byte is a bit field's width; without, a width smaller than the type's is in the
        // integer itself, which no compiler of the last years writes.
        let (bits, offset) = if record.flag { (offset >> 24, offset & 0x00ff_ffff) } else { (0, offset) };
        let bit_offset = base.checked_add(offset)?;
        Some((label, Field { bit_offset, bits: (bits != 0).then_some(bits), type_id }))
    }

    fn integer(record: Record<'_>) -> Option<Type> {
        let encoding = record.tail(0)? >> 24 & 0xf;
        Some(match encoding & BOOL {
            0 => Type::Int { bytes: record.size_or_type, signed: encoding & SIGNED != 0 },
            _ => Type::Bool,
        })
    }

    /// The type behind aliases and qualifiers.
    fn resolved(&self, id: u32) -> Option<u32> {
        let mut id = id;
        for _ in 0..2 * NESTING {
            if id == 0 {
                return Some(0);
            }
            let record = self.record(id)?;
            if !matches!(record.kind, Kind::Qualifier | Kind::Typedef) {
                return Some(id);
            }
            id = record.size_or_type;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::super::BtfBuilder;
    use super::*;

    #[test]
    fn a_type_is_seen_through_its_aliases_and_qualifiers() {
        let mut builder = BtfBuilder::new();
        let int = builder.int("unsigned int", 4);
        let gfp = builder.typedef("gfp_t", int);
        let constant = builder.constant(gfp);
        let pointer = builder.pointer(0);
        let array = builder.array(pointer, int, 3);
        let table = builder.array(array, int, 2);
        let btf = Btf::parse(builder.build()).unwrap();
        assert_eq!(btf.type_of(constant), Some(Type::Int { bytes: 4, signed: false }));
        assert_eq!(btf.type_of(pointer), Some(Type::Pointer(0)));
        assert_eq!(btf.type_of(array), Some(Type::Array { of: pointer, length: 3 }));
        assert_eq!((btf.type_of(0), btf.size_of(0)), (Some(Type::Void), None));
        assert_eq!((btf.size_of(table), btf.size_of(gfp)), (Some(48), Some(4)));
        assert_eq!(btf.type_of(99), None);
    }

    #[test]
    fn members_of_anonymous_members_stand_in_their_place() {
        let mut builder = BtfBuilder::new();
        let int = builder.int("unsigned int", 4);
        let inner = builder.structure("", 8, &[("low", int, 0), ("high", int, 32)]);
        let outer = builder.structure("outer", 16, &[("first", int, 0), ("", inner, 64), ("last", int, 96)]);
        let btf = Btf::parse(builder.build()).unwrap();
        let names: Vec<_> =
            btf.fields(outer).into_iter().map(|(name, field)| (name, field.bit_offset)).collect();
        assert_eq!(names, [("first", 0), ("low", 64), ("high", 96), ("last", 96)]);
        assert_eq!(btf.field(outer, "high").unwrap().type_id, int);
        assert_eq!(btf.field(outer, "absent"), None);
        assert_eq!(btf.type_of(outer), Some(Type::Aggregate { id: outer, bytes: 16 }));
    }

    #[test]
    fn a_bit_field_has_a_width() {
        let mut builder = BtfBuilder::new();
        let int = builder.int("unsigned int", 4);
        let packed = builder.packed("flags", 4, &[("a", int, 0, 3), ("b", int, 3, 1), ("whole", int, 32, 0)]);
        let btf = Btf::parse(builder.build()).unwrap();
        assert_eq!(btf.field(packed, "b"), Some(Field { bit_offset: 3, bits: Some(1), type_id: int }));
        assert_eq!(btf.field(packed, "whole").unwrap().bits, None);
    }

    #[test]
    fn a_type_that_contains_itself_ends() {
        let mut builder = BtfBuilder::new();
        // The first type has the id 1, and refers to itself.
        let own = builder.typedef("own", 1);
        let array = builder.array(2, own, 2);
        let btf = Btf::parse(builder.build()).unwrap();
        assert_eq!((btf.type_of(own), btf.size_of(array)), (None, None));
    }
}
