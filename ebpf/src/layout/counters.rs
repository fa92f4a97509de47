//! What a probe saw and did: an array of 64-bit words per CPU.
//!
//! Programs add atomically, although the words are the CPU's own: the kernel lets one program run once at a time on a
//! CPU, but a thread can be preempted in the middle of a gate, and the next one on that CPU be in the gate that replaces
//! it. Nobody pays for that who has no probe.

/// A word of the array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Counter {
    /// Calls of the target by a task in scope.
    Hits,
    /// Hits with every frame live and the target's own predicate held.
    Matches,
    /// Matches that the probability turned down.
    SampledOut,
    /// Matches after the budget was used up.
    Exhausted,
    /// Hits after the lease or the probe's end.
    Expired,
    /// Times that what a chain had matched was dropped, because the exit of an activation went unseen.
    MissedReturns,
    /// Hits that another probe had already answered.
    Shadowed,
    /// Matches dropped for contention or a scope that changed underneath.
    Contended,
    /// Refused: the allocation must not fail.
    NoFail,
    /// Refused: the task is exiting.
    Exiting,
    /// Refused: the task is reclaiming memory.
    Reclaim,
    /// Refused: the OOM killer has chosen the task.
    Oom,
    /// Refused: a kernel thread or a protected process.
    Protected,
    /// Refused: our own allocation.
    Own,
    /// Faults injected.
    Injections,
    /// Entries that a predicate turned down: of frames that the chain waited for, and of the target.
    Rejected,
    /// Entries turned down because what a predicate asks for could not be read.
    Unread,
    /// Refused: the task holds `oom_lock`.
    OomKiller,
    /// Refused: the container has only just started.
    Starting,
}

impl Counter {
    /// Where it is in the array, in bytes.
    #[must_use]
    pub const fn offset(self) -> usize {
        8 * self as usize
    }

    /// The same as an instruction takes it.
    pub(crate) const fn off(self) -> i16 {
        super::off(self.offset())
    }

    /// Whether programs of chain functions count it too, which keep no counters at hand.
    pub(crate) const fn is_shared(self) -> bool {
        matches!(self, Self::MissedReturns | Self::Rejected | Self::Unread)
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hits => "hits",
            Self::Matches => "matches",
            Self::SampledOut => "sampled out",
            Self::Exhausted => "exhausted",
            Self::Expired => "expired",
            Self::MissedReturns => "missed returns",
            Self::Shadowed => "shadowed",
            Self::Contended => "contended",
            Self::NoFail => "refused: nofail",
            Self::Exiting => "refused: exiting",
            Self::Reclaim => "refused: reclaim",
            Self::Oom => "refused: oom",
            Self::Protected => "refused: protected",
            Self::Own => "refused: own",
            Self::Injections => "injections",
            Self::Rejected => "rejected",
            Self::Unread => "unread",
            Self::OomKiller => "refused: oom killer",
            Self::Starting => "refused: starting",
        }
    }
}

/// Words per probe and CPU: a power of two, so that a masked offset stays inside.
pub const WORDS: usize = 32;

/// Size of an entry in bytes.
pub const SIZE: usize = 8 * WORDS;
