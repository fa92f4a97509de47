//! The compiler: from call chains to BPF instructions. Pure: bytes in, bytes out.
//!
//! One gate program per target function and one entry and one exit program per chain function, whatever the
//! number of probes: what differs between probes is data in maps, whose bytes [`layout`] defines, but for
//! predicates, which are code. Matching is written down once, in [`matching`]: [`codegen`] makes instructions of it,
//! and [`model`] carries it out.
//!
//! Read in this order: [`layout`] (the data), [`matching`] (what matching means), [`codegen`] (the programs),
//! [`predicate`] (what a predicate comes to on a kernel), [`asm`] (how programs are written down and listed), [`btf`],
//! [`facts`] and [`symbol`] (what is asked of a kernel).
#![forbid(unsafe_code)]

pub mod asm;
pub mod btf;
pub mod codegen;
pub mod facts;
pub mod layout;
pub mod matching;
pub mod model;
pub mod predicate;
pub mod symbol;
mod target;

pub use target::Target;
