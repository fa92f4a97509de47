//! Words of the whole node, in one map value that the agent has mapped.

use super::MAX_FUNCTIONS;
use crate::Target;

/// Lease: injections only before this instant of the boot clock, nanoseconds.
pub const LEASE: usize = 0;

/// How long a container is spared after its start, nanoseconds; 0: not at all.
pub const GRACE: usize = 8;

/// Address of the word in `oom_lock` that says who holds it; 0 where it is not known.
pub const OOM_OWNER: usize = 16;

/// A bit per cgroup id modulo 4096: clear means that nothing applies.
///
/// Cgroup ids count up from boot, so neighbours fall on different bits, and with a few hundred cgroups in
/// scope few others share one. A set bit costs a lookup and decides nothing.
pub const BITMAP: usize = 64;

/// Bits in the bitmap.
pub const BITMAP_BITS: u64 = 4096;

/// The generation that is active, one 64-bit word per [`Unit`].
pub const ACTIVE: usize = BITMAP + 4096 / 8;

/// A word that is always 0, which the kernel's verifier cannot know.
///
/// The verifier follows constants through loops, and would walk one path for every set of probes that may
/// advance. Sums that start from this word are unknown to it, and all paths fall together.
pub const ZERO: usize = ACTIVE + 8 * Unit::COUNT;

/// Size of the value in bytes.
pub const SIZE: usize = ZERO + 8;

/// A group of programs that is replaced together: attach the new, store their generation here, detach the
/// old. Programs of any other generation return at once, so there are never two live gates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unit {
    /// The gate of a target.
    Gate(Target),
    /// The programs that follow cgroups as they come and go.
    Cgroups,
    /// The entry and exit programs of a chain function, by its number (1 and up).
    Function(u16),
}

impl Unit {
    const COUNT: usize = 4 + MAX_FUNCTIONS as usize + 1;

    /// Where its word is, in bytes from the start of the value.
    #[must_use]
    pub const fn offset(self) -> usize {
        let index = match self {
            Self::Gate(target) => target.code() as usize,
            Self::Cgroups => 3,
            Self::Function(number) => 4 + number as usize,
        };
        ACTIVE + 8 * index
    }
}

/// Word and bit of a cgroup in the bitmap: byte offset from the start of the value, and the bit.
#[must_use]
pub const fn bitmap_place(cgroup: u64) -> (usize, u64) {
    let bit = cgroup % BITMAP_BITS;
    let word = (bit / 64) as usize;
    (BITMAP + 8 * word, 1 << (bit % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_do_not_overlap_and_end_inside_the_value() {
        const { assert!(OOM_OWNER + 8 <= BITMAP) };
        assert_eq!(bitmap_place(4095), (ACTIVE - 8, 1 << 63));
        assert_eq!(Unit::Gate(Target::Slab).offset(), ACTIVE);
        assert_eq!(Unit::Function(MAX_FUNCTIONS).offset() + 8, ZERO);
    }
}
