//! How far one task has come in its chains: the value of the task storage. [`crate::matching`] says what for.

/// Version of the member list that the rest is about.
pub const VERSION: usize = 0;
/// Positions matched, four bits per slot.
pub const PROGRESS: usize = 8;
/// Sampling decision of the outermost activation, one bit per slot.
pub const DRAWN: usize = 16;
/// Records in use.
pub const DEPTH: usize = 24;
/// Slots that lost progress because an exit went unseen, and whose probes were not told yet: bits as in progress.
pub const LOST: usize = 32;
/// Records kept. An activation that advances nothing takes none, so this many positions, of all probes of a
/// container together, can be matched at a time; one beyond it does not advance, so it can only miss.
pub const DEPTH_MAX: usize = 32;
/// Address of each activation's context, oldest record first: lower further in.
pub const TAGS: usize = LOST + 8;
/// Progress before each activation advanced it; dropping the record restores this word.
pub const BEFORE: usize = TAGS + 8 * DEPTH_MAX;
/// Where each activation is on the stack: how many return addresses there are from the outermost to its own.
pub const POSITIONS: usize = BEFORE + 8 * DEPTH_MAX;
/// Address of each activation's function.
pub const SITES: usize = POSITIONS + 8 * DEPTH_MAX;
/// Less than how many bytes from there its return address lies.
pub const SPANS: usize = SITES + 8 * DEPTH_MAX;
/// Room for return addresses, and for one more, so that any masked index stays inside.
pub const STACK: usize = SPANS + 8 * DEPTH_MAX;
/// Return addresses taken: as many as `kernel.perf_event_max_stack` allows by default.
pub const STACK_MAX: usize = 127;
/// Size of the value in bytes.
pub const SIZE: usize = STACK + 8 * (STACK_MAX + 1);

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
        assert_eq!(
            (DEPTH_MAX, STACK_MAX),
            (32, 127),
            "a record is masked with 31, a return address with 127"
        );
        const { assert!(STACK + 8 * 127 + 8 == SIZE) };
    }
}
