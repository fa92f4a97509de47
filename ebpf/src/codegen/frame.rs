//! Registers and stack of the slow function, one meaning each throughout a program.

use crate::asm::Reg;

/// The context: what the kernel hands the program.
pub(super) const CTX: Reg = Reg::R6;
/// The member list of the task's cgroup.
pub(super) const LIST: Reg = Reg::R7;
/// The task's state, or 0.
pub(super) const STATE: Reg = Reg::R8;
/// The slot under way, or the turn of another loop; elsewhere a scratch that calls keep.
pub(super) const SLOT: Reg = Reg::R9;

/// Id of the task's cgroup.
pub(super) const CGROUP: i16 = -8;
/// Counter of the reason why nothing may be injected in this call; 0 for none.
pub(super) const VERDICT: i16 = -16;
/// What the gate will answer.
pub(super) const ANSWER: i16 = -24;
/// Address of the slot's probe index: the key of the lookups.
pub(super) const KEY: i16 = -32;
/// The slot's probe.
pub(super) const PROBE: i16 = -40;
/// The probe's counters on this CPU.
pub(super) const COUNTERS: i16 = -48;
/// The probe's changeable words.
pub(super) const HOT: i16 = -56;
/// The boot clock.
pub(super) const NOW: i16 = -64;
/// Progress before this activation.
pub(super) const START: i16 = -72;
/// Version of the member list as first read.
pub(super) const LISTED: i16 = -80;

/// Predicates that some slot asks for, one bit each.
pub(super) const NEEDED: i16 = -88;
/// Whether there is reason to walk the stack; once the predicates are evaluated.
pub(super) const DUE: i16 = NEEDED;
/// Predicates that hold.
pub(super) const HELD: i16 = -96;
/// Predicates that could not be evaluated.
pub(super) const UNREAD: i16 = -104;

/// The address that tags the activation.
pub(super) const TAG: i16 = -112;
/// An intermediate result.
pub(super) const SCRATCH: i16 = -120;
/// The step that was taken from the slot's chain.
pub(super) const STEP: i16 = -128;
/// Slots that a draw favours.
pub(super) const DRAWS: i16 = -136;
/// Return addresses on the stack; never needed in a slot's turn.
pub(super) const WALKED: i16 = STEP;
/// The record under way; before the gate looks at any changeable words.
pub(super) const CURSOR: i16 = HOT;
/// The address of its first word; never needed in a slot's turn.
pub(super) const RECORD: i16 = PROBE;
/// The return address under way; before the gate looks at any counters.
pub(super) const AT: i16 = COUNTERS;

/// Entry program: where the activation is on the task's stack.
pub(super) const POSITION: i16 = VERDICT;
/// Entry program: what the activation adds to its progress.
pub(super) const GAIN: i16 = ANSWER;
/// Entry program: slots whose outermost activation this is.
pub(super) const OPENED: i16 = NOW;
