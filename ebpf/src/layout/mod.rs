//! The data that programs and agent share: sizes, offsets, and the bytes of each entry.
//!
//! What a program may be reading is never rewritten. A probe entry or a member list is written before it is
//! published, and a place is used again only after every program that could hold the old one has returned.
//! The exceptions are single aligned 64-bit words in [`hot`] and [`globals`], which the agent stores through a
//! shared mapping: one such store is one machine store, so a program sees the old word or the new one.

pub mod counters;
pub mod globals;
pub mod hot;
pub mod maps;
pub mod members;
pub mod probe;
pub mod spared;
pub mod task;

/// Probes a node can hold. Bounds the maps (about 1.1 MiB at 4 CPUs); a container sees at most
/// [`members::SLOTS`] of them.
pub const MAX_PROBES: u32 = 1024;

/// Frames of one chain. Progress is kept in four bits, and 15 is the furthest they can tell.
pub const MAX_FRAMES: usize = 15;

/// Functions that may carry an entry and an exit program at a time. Each costs every caller in the system,
/// so this is a guard and not a capacity.
pub const MAX_FUNCTIONS: u16 = 256;

/// Predicates that one function or target can carry at a time: a step of a chain names them in six bits.
pub const MAX_PREDICATES: u16 = 63;

/// Budgets that are kept, of live and of past runs, until the agent forgets them.
pub const MAX_BUDGETS: u32 = 8192;

/// Cgroups in scope at a time, descendants included.
pub const MAX_CGROUPS: u32 = 8192;

/// Writes `bytes` at `at`; what does not fit is a bug that the layout tests catch.
pub(crate) fn put(entry: &mut [u8], at: usize, bytes: &[u8]) {
    if let Some(place) = entry.get_mut(at..at + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}

/// Offsets are small; programs want them signed, in 16 bits.
pub(crate) const fn off(offset: usize) -> i16 {
    assert!(offset <= 0x7fff, "an offset does not fit an instruction");
    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "asserted above")]
    {
        offset as i16
    }
}
