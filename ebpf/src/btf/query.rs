//! Questions about types.

use super::{Btf, Kind, NESTING, Record};

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Param<'a> {
    /// Its name; may be empty.
    pub name: &'a str,
    /// Its type.
    pub type_id: u32,
}

impl Btf {
    /// Number of types, void not counted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The first type of that kind and name.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        self.records()
            .find_map(|(id, record)| (record.kind == kind && self.is_named(record.name, name)).then_some(id))
    }

    /// All functions of that name: static functions may share one.
    pub fn functions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        self.records()
            .filter(move |(_, record)| record.kind == Kind::Func && self.is_named(record.name, name))
            .map(|(id, _)| id)
    }

    /// The names of all functions.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.records()
            .filter(|(_, record)| record.kind == Kind::Func)
            .filter_map(|(_, record)| self.string(record.name))
    }

    /// The functions whose names are most like `name`, the most alike first.
    #[must_use]
    pub fn nearest_functions(&self, name: &str, most: usize) -> Vec<String> {
        let alike = |other: &str| {
            if other.contains(name) { 1.0 } else { strsim::jaro_winkler(name, other) }
        };
        let mut scored: Vec<(f64, &str)> = self
            .function_names()
            .map(|other| (alike(other), other))
            .filter(|(score, _)| *score > 0.85)
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.len().cmp(&b.1.len())).then(a.1.cmp(b.1)));
        scored.dedup_by(|a, b| a.1 == b.1);
        scored.into_iter().take(most).map(|(_, other)| other.to_owned()).collect()
    }

    /// The parameters of a function, in order.
    #[must_use]
    pub fn params(&self, function: u32) -> Option<Vec<Param<'_>>> {
        let record = self.record(function).filter(|record| record.kind == Kind::Func)?;
        let proto = self.record(record.size_or_type).filter(|record| record.kind == Kind::FuncProto)?;
        (0..proto.count)
            .map(|nth| {
                let name = self.string(self.tail(proto, 2 * nth)?)?;
                Some(Param { name, type_id: self.tail(proto, 2 * nth + 1)? })
            })
            .collect()
    }

    /// The type behind qualifiers. Aliases stay.
    #[must_use]
    pub fn unqualified(&self, id: u32) -> Option<u32> {
        let mut id = id;
        for _ in 0..NESTING {
            let record = self.record(id)?;
            if record.kind != Kind::Qualifier {
                return Some(id);
            }
            id = record.size_or_type;
        }
        None
    }

    /// Whether a type is marked so, as `__user` marks what a pointer points to: a tag among its qualifiers.
    #[must_use]
    pub fn is_tagged(&self, id: u32, tag: &str) -> bool {
        let mut id = id;
        for _ in 0..NESTING {
            match self.record(id) {
                Some(Record { kind: Kind::Qualifier, name, .. }) if self.is_named(name, tag) => return true,
                Some(Record { kind: Kind::Qualifier, size_or_type, .. }) => id = size_or_type,
                _ => return false,
            }
        }
        false
    }

    /// The name of a type behind its qualifiers; empty when it has none.
    #[must_use]
    pub fn type_name(&self, id: u32) -> Option<&str> {
        self.string(self.record(self.unqualified(id)?)?.name)
    }

    /// The value of an enum constant.
    #[must_use]
    pub fn enumerator(&self, name: &str) -> Option<i64> {
        self.records().find_map(|(_, record)| match record.kind {
            Kind::Enum => self.enumerator_in(record, name, 2),
            Kind::Enum64 => self.enumerator_in(record, name, 3),
            _ => None,
        })
    }

    fn enumerator_in(&self, record: Record, name: &str, words: usize) -> Option<i64> {
        (0..record.count).find_map(|nth| {
            if !self.is_named(self.tail(record, words * nth)?, name) {
                return None;
            }
            let low = self.tail(record, words * nth + 1)?;
            let high = match words {
                3 => self.tail(record, words * nth + 2)?,
                _ if record.flag && low >> 31 == 1 => u32::MAX,
                _ => 0,
            };
            let [a, b, c, d] = low.to_le_bytes();
            let [e, f, g, h] = high.to_le_bytes();
            Some(i64::from_le_bytes([a, b, c, d, e, f, g, h]))
        })
    }

    fn records(&self) -> impl Iterator<Item = (u32, Record)> + '_ {
        let last = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        (1..=last).filter_map(|id| Some((id, self.record(id)?)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::BtfBuilder;
    use super::*;

    fn fixture() -> BtfBuilder {
        let mut builder = BtfBuilder::new();
        let int = builder.int("unsigned int", 4);
        let gfp = builder.typedef("gfp_t", int);
        let inner = builder.structure("", 8, &[("deep", int, 32)]);
        let outer = builder.structure("outer", 16, &[("first", gfp, 0), ("", inner, 64)]);
        let pointer = builder.pointer(outer);
        let constant = builder.constant(gfp);
        builder.function("should_fail", &[("s", pointer), ("flags", constant)]);
        builder.variable("__preempt_count", int);
        builder.enumeration("bits", &[("A_BIT", 4), ("B_BIT", -1)]);
        builder
    }

    fn parsed() -> Btf {
        Btf::parse(fixture().build()).unwrap()
    }

    #[test]
    fn members_of_anonymous_members_are_found_with_their_whole_offset() {
        let btf = parsed();
        let outer = btf.find(Kind::Struct, "outer").unwrap();
        assert_eq!(btf.field(outer, "deep").unwrap().byte_offset(), Some(12));
        assert_eq!(btf.field(outer, "absent"), None);
    }

    #[test]
    fn a_prototype_lists_parameters_and_type_names_see_through_qualifiers() {
        let btf = parsed();
        let function = btf.functions("should_fail").next().unwrap();
        let params = btf.params(function).unwrap();
        assert_eq!(params.iter().map(|param| param.name).collect::<Vec<_>>(), ["s", "flags"]);
        assert_eq!(btf.type_name(params[1].type_id), Some("gfp_t"));
        assert_eq!(btf.find(Kind::Func, "should"), None, "a prefix is not the name");
    }

    #[test]
    fn enum_constants_keep_their_sign() {
        assert_eq!(parsed().enumerator("A_BIT"), Some(4));
        assert_eq!(parsed().enumerator("B_BIT"), Some(-1));
    }

    #[test]
    fn a_misspelt_function_is_offered_its_neighbours() {
        assert_eq!(parsed().nearest_functions("shuold_fail", 3), ["should_fail"]);
        assert_eq!(parsed().nearest_functions("unrelated", 3), [""; 0]);
    }

    proptest! {
        #[test]
        fn damaged_bytes_never_panic(at in 0usize..400, with: u8, cut in 0usize..400) {
            let mut bytes = fixture().build();
            if let Some(byte) = bytes.get_mut(at) { *byte = with; }
            bytes.truncate(bytes.len().saturating_sub(cut / 8));
            if let Ok(btf) = Btf::parse(bytes) {
                for kind in [Kind::Struct, Kind::Func, Kind::Var, Kind::Typedef] {
                    let _ = btf.find(kind, "outer").map(|id| btf.field(id, "deep"));
                }
                for id in 0..20 {
                    let _ = (btf.params(id), btf.type_name(id), btf.field(id, "deep"));
                }
                let _ = (btf.enumerator("B_BIT"), btf.nearest_functions("should", 2));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Btf::parse(bytes.clone());
            if let Some(start) = bytes.get_mut(..8) {
                start.copy_from_slice(&[0x9f, 0xeb, 1, 0, 24, 0, 0, 0]);
            }
            if let Ok(btf) = Btf::parse(bytes) {
                let _ = (btf.find(Kind::Func, "a"), btf.enumerator("a"), btf.field(1, "a"));
            }
        }
    }
}
