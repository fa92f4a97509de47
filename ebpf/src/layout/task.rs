//! How far one task has come in its chains: the value of the task storage.

/// Version of the member list that the rest is about.
pub const VERSION: usize = 0;
/// Positions matched, four bits per slot.
pub const PROGRESS: usize = 8;
/// Sampling decision of the outermost activation, one bit per slot.
pub const DRAWN: usize = 16;
/// Records in use.
pub const DEPTH: usize = 24;
/// Records kept. An activation that advances nothing takes none, so this many positions, of all probes of a
/// container together, can be matched at a time; one beyond it does not advance, so it can only miss.
pub const DEPTH_MAX: usize = 32;
/// Address of each activation's context, oldest record first: lower further in.
pub const TAGS: usize = 32;
/// Progress before each activation advanced it; dropping the record restores this word.
pub const BEFORE: usize = TAGS + 8 * DEPTH_MAX;
/// A word that stays 0: what a walk that has found all records goes on comparing with.
pub const NO_SITE: usize = BEFORE + 8 * DEPTH_MAX;
/// Address of each activation's function.
pub const SITES: usize = NO_SITE + 8;
/// A word that stays 0, as [`NO_SITE`].
pub const NO_SPAN: usize = SITES + 8 * DEPTH_MAX;
/// How many bytes from there its return address may lie.
pub const SPANS: usize = NO_SPAN + 8;
/// Room for return addresses.
pub const STACK: usize = SPANS + 8 * DEPTH_MAX;
/// Return addresses kept: as many as `kernel.perf_event_max_stack` allows by default.
pub const STACK_MAX: usize = 127;
/// Size of the value in bytes.
pub const SIZE: usize = STACK + 8 * STACK_MAX;

/// A return address less than this many bytes after a function's start is the call that the kernel patched
/// into its entry: five bytes, after an optional four of `endbr64`. The function's own first call ends no
/// earlier than ten bytes in. Every live activation with an exit program has exactly one of these on its
/// stack, also where the function's own frame is gone (tail calls) or is skipped by the unwinder.
pub const SITE_SPAN: u32 = 10;

/// Bits of progress per slot, as a power of two.
pub const SLOT_SHIFT: i32 = 2;
/// Progress of one slot.
pub const SLOT_MASK: i32 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masks_of_the_programs_stay_inside_the_value() {
        assert_eq!(DEPTH_MAX, 32, "a depth is masked with 63, an index with 31");
        const { assert!(NO_SPAN + 8 * 63 + 8 <= SIZE && BEFORE + 8 * 31 + 8 == NO_SITE) };
    }
}
