//! How far one task has come in its chains: the value of the task storage.

/// Version of the member list that the rest is about.
pub const VERSION: usize = 0;
/// Positions matched, four bits per slot.
pub const PROGRESS: usize = 8;
/// Sampling decision of the outermost activation, one bit per slot.
pub const DRAWN: usize = 16;
/// Records in use.
pub const DEPTH: usize = 24;
/// The records, oldest first, each [`TAG`] and [`BEFORE`].
pub const RECORDS: usize = 32;
/// Address of the activation's context: lower further in.
pub const TAG: usize = 0;
/// Progress before the activation advanced it; dropping the record restores this word.
pub const BEFORE: usize = 8;
/// Size of a record as a power of two.
pub const RECORD_SHIFT: i32 = 4;
/// Records kept. An activation that advances nothing takes none, so this many positions, of all probes of a
/// container together, can be matched at a time; one beyond it does not advance, so it can only miss.
pub const DEPTH_MAX: usize = 32;
/// Room for return addresses.
pub const STACK: usize = RECORDS + (DEPTH_MAX << RECORD_SHIFT);
/// Return addresses kept: as many as `kernel.perf_event_max_stack` allows by default.
pub const STACK_MAX: usize = 127;
/// Size of the value in bytes.
pub const SIZE: usize = STACK + 8 * STACK_MAX;

/// Bits of progress per slot, as a power of two.
pub const SLOT_SHIFT: i32 = 2;
/// Progress of one slot.
pub const SLOT_MASK: i32 = 15;
