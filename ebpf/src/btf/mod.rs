//! A reader of BTF, the kernel's description of its own types.
//!
//! Lazy: one scan notes where each type starts; everything else is looked up in the bytes when asked. A kernel
//! has some hundred thousand types, of which the compiler wants a few dozen. Hostile bytes give an error or
//! an absent answer, never a panic, and no recursion is deeper than [`NESTING`].

mod build;
mod query;
mod scan;
mod types;

use std::sync::Arc;

use thiserror::Error;

pub use build::BtfBuilder;
pub use query::Param;
pub use types::{Field, Type};

/// What a type is, as the format numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Int,
    /// A pointer.
    Ptr,
    /// An array.
    Array,
    /// A struct.
    Struct,
    /// A union.
    Union,
    /// An enum.
    Enum,
    /// A named alias.
    Typedef,
    /// A function.
    Func,
    /// A function's parameters and result.
    FuncProto,
    /// A variable; kernels list per-CPU ones.
    Var,
    /// A qualifier: const, volatile, restrict, a type tag.
    Qualifier,
    /// An enum of 64-bit values.
    Enum64,
    /// A struct or union that is only declared.
    Forward,
    /// Kinds that are skipped over.
    Other,
}

/// Why bytes are not BTF.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BtfError {
    /// Too short, or the first bytes are wrong, or the byte order is foreign.
    #[error("not BTF of this machine's byte order")]
    Magic,
    /// A version that does not exist yet.
    #[error("BTF version {0} is unknown")]
    Version(u8),
    /// A section reaches beyond the end.
    #[error("a section reaches beyond the end of the data")]
    Section,
    /// A type is cut off.
    #[error("type {id} is cut off")]
    Truncated {
        /// Its id.
        id: u32,
    },
    /// A kind whose size is not known, so that what follows cannot be found.
    #[error("type {id} is of the unknown kind {kind}")]
    UnknownKind {
        /// Its id.
        id: u32,
        /// As numbered in the data.
        kind: u32,
    },
    /// Names do not begin where names of types on top of that base do.
    #[error("its types are not on top of these: it belongs to a module of another kernel, or to none")]
    Base,
}

/// How deep anonymous members and qualifiers are followed. The kernel allows 32 levels of either.
const NESTING: usize = 32;

/// Parsed BTF: that of a kernel, or that of a module on top of it.
#[derive(Debug, Clone)]
pub struct Btf {
    /// What ids and names go on from: those of a module begin where the kernel's end.
    base: Option<Arc<Btf>>,
    bytes: Vec<u8>,
    strings: std::ops::Range<usize>,
    /// Where each type starts, by id less one and less those of the base: id 0 is void and has no bytes.
    starts: Vec<usize>,
    /// Whether enums say if they have a sign, as they do since Linux 6.0. Before, every constant may be negative.
    tells_signs: bool,
}

/// One type's fixed part, and its variable part.
#[derive(Debug, Clone, Copy)]
struct Record<'a> {
    name: u32,
    kind: Kind,
    /// Members, parameters or enumerators.
    count: usize,
    /// Members' offsets are split into size and offset of bit fields; enumerators are signed.
    flag: bool,
    /// Byte size, or the type it refers to.
    size_or_type: u32,
    tail: &'a [u8],
}
