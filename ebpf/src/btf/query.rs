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
    /// Number of types, void not counted; of a module, with those of its kernel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inherited() + self.starts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first type of that kind and name; a module's own ones come first.
    #[must_use]
    pub fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        self.named(kind, name).next()
    }

    /// What a name may mean: all types of that kind and name; of a module its own ones, where it has any.
    #[must_use]
    pub fn definitions(&self, kind: Kind, name: &str) -> Vec<u32> {
        let own = self.own_records().filter(|(_, record)| record.kind == kind);
        let own: Vec<u32> =
            own.filter(|(_, record)| self.is_named(record.name, name)).map(|(id, _)| id).collect();
        match &self.base {
            Some(base) if own.is_empty() => base.definitions(kind, name),
            _ => own,
        }
    }

    /// All types of that kind and name; a module's own ones come first.
    fn named<'a>(&'a self, kind: Kind, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        self.records()
            .filter(move |(_, record)| record.kind == kind && self.is_named(record.name, name))
            .map(|(id, _)| id)
    }

    /// The names of all types of a kind, empty ones too.
    pub fn names(&self, kind: Kind) -> impl Iterator<Item = &str> {
        let of_kind = self.records().filter(move |(_, record)| record.kind == kind);
        of_kind.filter_map(|(_, record)| self.string(record.name))
    }

    /// All functions of that name: static functions may share one. Of a module, those of its kernel are not among them.
    pub fn functions<'a>(&'a self, name: &'a str) -> impl Iterator<Item = u32> + 'a {
        self.own_records()
            .filter(move |(_, record)| record.kind == Kind::Func && self.is_named(record.name, name))
            .map(|(id, _)| id)
    }

    /// The names of all functions. Of a module, those of its kernel are not among them.
    pub fn function_names(&self) -> impl Iterator<Item = &str> {
        self.described().map(|(_, name)| name)
    }

    /// All functions with their names. Of a module, those of its kernel are not among them.
    pub(crate) fn described(&self) -> impl Iterator<Item = (u32, &str)> {
        let functions = self.own_records().filter(|(_, record)| record.kind == Kind::Func);
        functions.filter_map(|(id, record)| Some((id, self.string(record.name)?)))
    }

    /// Whether functions have the same parameters but for their names.
    pub(crate) fn are_alike(&self, functions: &[u32]) -> bool {
        let types = |function: &u32| {
            let params = self.params(*function)?;
            Some(params.iter().map(|param| param.type_id).collect::<Vec<_>>())
        };
        let [first, others @ ..] = functions else { return true };
        others.is_empty() || others.iter().map(types).all(|other| other == types(first))
    }

    /// The parameters of a function, in order.
    #[must_use]
    pub fn params(&self, function: u32) -> Option<Vec<Param<'_>>> {
        let record = self.record(function).filter(|record| record.kind == Kind::Func)?;
        let proto = self.record(record.size_or_type).filter(|record| record.kind == Kind::FuncProto)?;
        (0..proto.count)
            .map(|nth| {
                let name = self.string(proto.tail(2 * nth)?)?;
                Some(Param { name, type_id: proto.tail(2 * nth + 1)? })
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

    /// The value of an enum constant; of several with that name, the first.
    #[must_use]
    pub fn enumerator(&self, name: &str) -> Option<i64> {
        self.records().find_map(|(_, record)| self.enumerator_in(record, name, words_of(record.kind)?))
    }

    /// The values that enum constants of that name have, each once; of a module those of its own ones, where it has any.
    #[must_use]
    pub fn enumerators(&self, name: &str) -> Vec<i64> {
        let mut values: Vec<i64> = self
            .own_records()
            .filter_map(|(_, record)| self.enumerator_in(record, name, words_of(record.kind)?))
            .collect();
        values.sort_unstable();
        values.dedup();
        match &self.base {
            Some(base) if values.is_empty() => base.enumerators(name),
            _ => values,
        }
    }

    /// The names of all enum constants.
    pub fn enumerator_names(&self) -> impl Iterator<Item = &str> {
        self.records().flat_map(move |(_, record)| {
            let words = words_of(record.kind);
            let names =
                words.into_iter().flat_map(move |words| (0..record.count).map(move |nth| words * nth));
            names.filter_map(move |word| self.string(record.tail(word)?))
        })
    }

    fn enumerator_in(&self, record: Record<'_>, name: &str, words: usize) -> Option<i64> {
        (0..record.count).find_map(|nth| {
            if !self.is_named(record.tail(words * nth)?, name) {
                return None;
            }
            let low = record.tail(words * nth + 1)?;
            let high = match words {
                3 => record.tail(words * nth + 2)?,
                _ if low >> 31 == 1 && self.has_sign(record) => u32::MAX,
                _ => 0,
            };
            let [a, b, c, d] = low.to_le_bytes();
            let [e, f, g, h] = high.to_le_bytes();
            Some(i64::from_le_bytes([a, b, c, d, e, f, g, h]))
        })
    }

    /// Whether the constants of an enum have a sign. Where the data does not tell, they are 32 bits wide and read as
    /// signed, as everybody reads them: one that has the highest bit is far more often -1 than 4,294,967,295.
    pub(super) fn has_sign(&self, record: Record<'_>) -> bool {
        if self.tells_signs || record.kind != Kind::Enum {
            return record.flag;
        }
        (0..record.count).any(|nth| record.tail(2 * nth + 1).is_some_and(|value| value >> 31 == 1))
    }

    /// All types, a module's own ones first.
    fn records(&self) -> impl Iterator<Item = (u32, Record<'_>)> + '_ {
        let inherited = self.base.iter().flat_map(|base| base.own_records());
        self.own_records().chain(inherited)
    }

    pub(super) fn own_records(&self) -> impl Iterator<Item = (u32, Record<'_>)> + '_ {
        let id = |nth: usize| u32::try_from(nth).unwrap_or(u32::MAX);
        let (before, last) = (id(self.inherited()), id(self.len()));
        (before.saturating_add(1)..=last).filter_map(|id| Some((id, self.record(id)?)))
    }
}

/// Words of an enum constant.
const fn words_of(kind: Kind) -> Option<usize> {
    match kind {
        Kind::Enum => Some(2),
        Kind::Enum64 => Some(3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::sync::Arc;

    use super::super::{BtfBuilder, BtfError, Type};
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
    fn enum_constants_keep_their_sign_where_the_data_does_not_tell_it() {
        let mut builder = BtfBuilder::new().before_signs();
        let signed = builder.enumeration("answer", &[("GOOD", 1), ("BAD", -1)]);
        let unsigned = builder.enumeration("bits", &[("A_BIT", 4)]);
        let btf = Btf::parse(builder.build()).unwrap();
        assert_eq!((btf.enumerator("GOOD"), btf.enumerator("BAD")), (Some(1), Some(-1)));
        assert_eq!(btf.type_of(signed), Some(Type::Int { bytes: 4, signed: true }));
        assert_eq!(btf.type_of(unsigned), Some(Type::Int { bytes: 4, signed: false }));
    }

    /// A kernel, and a module on top of it that has a function of its own, and one with a name that the kernel has too.
    fn split() -> (Vec<u8>, Vec<u8>) {
        let mut kernel = fixture();
        let page = kernel.structure("page", 64, &[]);
        let mut module = BtfBuilder::module(&kernel);
        let outer = module.structure("of_module", 8, &[("page", page, 0)]);
        let pointer = module.pointer(outer);
        module.function("module_write", &[("it", pointer), ("page", page)]);
        module.function("should_fail", &[]);
        module.enumeration("", &[("OF_MODULE", -3)]);
        (kernel.build(), module.build())
    }

    #[test]
    fn types_of_a_module_go_on_from_those_of_its_kernel() {
        let (kernel, module) = split();
        let kernel = Arc::new(Btf::parse(kernel).unwrap());
        let module = Btf::parse_split(module, Arc::clone(&kernel)).unwrap();
        assert!(module.len() > kernel.len());
        assert_eq!(module.function_names().collect::<Vec<_>>(), ["module_write", "should_fail"]);
        let write = module.functions("module_write").next().unwrap();
        let params = module.params(write).unwrap();
        assert_eq!(module.type_name(params[1].type_id), Some("page"));
        assert_eq!(module.size_of(params[1].type_id), Some(64));
        let Some(Type::Pointer(own)) = module.type_of(params[0].type_id) else { panic!("{params:?}") };
        assert_eq!(module.fields(own).first().map(|(name, _)| *name), Some("page"));
        assert_eq!(module.find(Kind::Struct, "outer"), kernel.find(Kind::Struct, "outer"));
        assert_eq!((module.enumerator("OF_MODULE"), module.enumerator("A_BIT")), (Some(-3), Some(4)));
        assert_ne!(module.functions("should_fail").next(), kernel.functions("should_fail").next());
        assert_eq!(module.params(module.functions("should_fail").next().unwrap()), Some(vec![]));
    }

    #[test]
    fn a_module_of_another_kernel_is_refused() {
        let (_, module) = split();
        let mut other = fixture();
        other.structure("with_another_name", 8, &[]);
        let other = Arc::new(Btf::parse(other.build()).unwrap());
        assert_eq!(Btf::parse_split(module, other).err(), Some(BtfError::Base));
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
                let _ = (btf.enumerator("B_BIT"), btf.functions("should").next());
            }
        }

        #[test]
        fn a_damaged_module_never_panics(at in 0usize..400, with: u8) {
            let (kernel, mut module) = split();
            if let Some(byte) = module.get_mut(at) { *byte = with; }
            if let Ok(btf) = Btf::parse_split(module, Arc::new(Btf::parse(kernel).unwrap())) {
                for id in 0..30 {
                    let _ = (btf.params(id), btf.type_name(id), btf.fields(id), btf.size_of(id));
                }
                let _ = (btf.enumerator("OF_MODULE"), btf.functions("module_write").next());
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
