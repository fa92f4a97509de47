//! Types of values in a predicate: those of the kernel, and those that a cast names without it.

use faultline_api::{
    Span,
    predicate::{BaseType, Problem, TypeName},
};

use super::ir::Space;
use super::names::written;
use super::nearest::nearest_of_many;
use crate::btf::{Btf, Kind, Type};

/// Pointers and arrays that a name goes through: only damaged data has more.
pub(super) const MOST_POINTERS: u8 = 12;

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ty {
    /// Nothing that has a value.
    Void,
    /// 0 or 1.
    Bool,
    /// An integer.
    Int { bytes: u8, signed: bool },
    /// An address.
    Pointer { to: To, space: Space },
    /// Elements side by side; as a value, the address of the first.
    Array { of: To, length: u32 },
    /// A struct or union.
    Aggregate { id: u32 },
    /// A function: only its address is a value.
    Function,
    /// What no predicate can read.
    Unreadable,
}

/// What a pointer points to. A kernel's types refer to each other in circles, so they are only looked up when used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    /// A type of the kernel, or 0 for void.
    Kernel(u32),
    /// One that was named.
    Named(Box<Ty>),
}

/// A name that means no type of the kernel.
#[derive(Debug)]
pub(super) struct Unknown {
    kind: Kind,
    name: String,
}

impl Unknown {
    pub(super) fn problem(&self, btf: &Btf, span: Span) -> Problem {
        let Self { kind, name } = self;
        let problem = Problem::new(span, format!("this kernel has no type `{}`", written(*kind, name)));
        match nearest_of_many(name, btf.names(*kind)) {
            Some(near) => problem.help(format!("did you mean `{}`?", written(*kind, &near))),
            None => problem,
        }
    }
}

impl Ty {
    pub(super) const INT: Self = Self::Int { bytes: 4, signed: true };
    pub(super) const SIZE: Self = Self::Int { bytes: 8, signed: false };

    /// The type of that id, whose pointers are into `space`, or into the caller's memory where they are marked so
    /// (`__user`, which Clang leaves in BTF and GCC does not).
    pub(super) fn of_kernel(btf: &Btf, id: u32, space: Space) -> Self {
        match btf.type_of(id) {
            Some(Type::Void) => Self::Void,
            Some(Type::Bool) => Self::Bool,
            Some(Type::Int { bytes, signed }) => match u8::try_from(bytes) {
                Ok(bytes @ (1 | 2 | 4 | 8)) => Self::Int { bytes, signed },
                _ => Self::Unreadable,
            },
            Some(Type::Pointer(to)) => {
                let space = if btf.is_tagged(to, "user") { Space::User } else { space };
                Self::Pointer { to: To::Kernel(to), space }
            }
            Some(Type::Array { of, length }) => Self::Array { of: To::Kernel(of), length },
            Some(Type::Aggregate { id, .. }) => Self::Aggregate { id },
            Some(Type::Function) => Self::Function,
            Some(Type::Unreadable) | None => Self::Unreadable,
        }
    }

    /// `char`, which has a sign in kernels before 6.2.
    pub(super) fn char(btf: &Btf) -> Self {
        match btf.find(Kind::Int, "char").map(|id| Self::of_kernel(btf, id, Space::Kernel)) {
            Some(char @ Self::Int { bytes: 1, .. }) => char,
            _ => Self::Int { bytes: 1, signed: true },
        }
    }

    /// The type of a name, where `find` looks those of the kernel up.
    pub(super) fn of_name(
        btf: &Btf,
        mut find: impl FnMut(Kind, &str) -> Option<u32>,
        name: &TypeName,
        space: Space,
    ) -> Result<Self, Unknown> {
        let mut kernel = |kind: Kind, name: &str| {
            find(kind, name).map(To::Kernel).ok_or_else(|| Unknown { kind, name: name.to_owned() })
        };
        let base = match &name.base {
            BaseType::Void => To::Kernel(0),
            BaseType::Bool => To::Named(Box::new(Self::Bool)),
            BaseType::Char => To::Named(Box::new(Self::char(btf))),
            BaseType::Int { bytes, signed } => {
                To::Named(Box::new(Self::Int { bytes: *bytes, signed: *signed }))
            }
            BaseType::Struct(tag) => kernel(Kind::Struct, tag)?,
            BaseType::Union(tag) => kernel(Kind::Union, tag)?,
            BaseType::Enum(tag) => {
                kernel(Kind::Enum, tag).or_else(|unknown| kernel(Kind::Enum64, tag).map_err(|_| unknown))?
            }
            BaseType::Alias(alias) => match fixed_width(alias) {
                Some(known) => To::Named(Box::new(known)),
                None => kernel(Kind::Typedef, alias)?,
            },
        };
        let mut to = base;
        for _ in 0..name.pointers {
            to = To::Named(Box::new(Self::Pointer { to, space }));
        }
        Ok(to.ty(btf, space))
    }

    /// Bytes of a value; `None` for what has none.
    pub(super) fn size(&self, btf: &Btf) -> Option<u64> {
        Some(match self {
            Self::Bool => 1,
            Self::Int { bytes, .. } => u64::from(*bytes),
            Self::Pointer { .. } => 8,
            Self::Array { of, length } => of.size(btf)?.checked_mul(u64::from(*length))?,
            Self::Aggregate { id } => u64::from(btf.size_of(*id)?),
            Self::Void | Self::Function | Self::Unreadable => return None,
        })
    }

    /// C's name for it.
    pub(super) fn name(&self, btf: &Btf) -> String {
        self.named(btf, MOST_POINTERS)
    }

    fn named(&self, btf: &Btf, levels: u8) -> String {
        match self {
            Self::Void => "void".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Int { bytes, signed } => {
                format!("{}{}", if *signed { 's' } else { 'u' }, 8 * u32::from(*bytes))
            }
            Self::Pointer { .. } | Self::Array { .. } if levels == 0 => "a type without end".to_owned(),
            Self::Pointer { to, .. } => {
                let to = to.ty(btf, Space::Kernel).named(btf, levels - 1);
                format!("{to}{}*", if to.ends_with('*') { "" } else { " " })
            }
            Self::Array { of, length } => {
                format!("{}[{length}]", of.ty(btf, Space::Kernel).named(btf, levels - 1))
            }
            Self::Aggregate { id } => match btf.type_name(*id) {
                Some("") | None => "an unnamed struct".to_owned(),
                Some(tag) => format!("struct {tag}"),
            },
            Self::Function => "a function".to_owned(),
            Self::Unreadable => "a type that cannot be read".to_owned(),
        }
    }
}

impl To {
    /// The type itself, whose own pointers are into `space`.
    pub(super) fn ty(&self, btf: &Btf, space: Space) -> Ty {
        match self {
            Self::Kernel(id) => Ty::of_kernel(btf, *id, space),
            Self::Named(ty) => (**ty).clone(),
        }
    }

    pub(super) fn size(&self, btf: &Btf) -> Option<u64> {
        match self {
            Self::Kernel(id) => btf.size_of(*id).map(u64::from),
            Self::Named(ty) => ty.size(btf),
        }
    }
}

/// Integers whose names say their width, which every kernel means alike.
fn fixed_width(name: &str) -> Option<Ty> {
    let (name, signed) = match name.trim_start_matches("__").trim_end_matches("_t") {
        name if name.starts_with("uint") => (name.trim_start_matches("uint"), false),
        name if name.starts_with("int") => (name.trim_start_matches("int"), true),
        name if name.starts_with('u') => (name.trim_start_matches('u'), false),
        name if name.starts_with('s') => (name.trim_start_matches('s'), true),
        _ => return None,
    };
    let bits: u8 = name.parse().ok()?;
    matches!(bits, 8 | 16 | 32 | 64).then_some(Ty::Int { bytes: bits / 8, signed })
}
