//! What the session asks of the kernel, and what it hears back. Plain data, no IO.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;

use faultline_api::{CallChain, Fault};

use super::error::ProbeError;
use super::preflight::Mechanism;

/// Names a probe across converges: the same id with other content is an edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProbeId(pub u64);

impl fmt::Display for ProbeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Names a count of spent injections. It outlives probes, edits and the agent, so derive it from what
/// must share one allowance (run and slot), and never from a generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BudgetKey(pub [u8; 16]);

/// An instant of `CLOCK_BOOTTIME` in nanoseconds: it runs on through suspend, and the kernel programs
/// read the same clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BootNanos(pub u64);

impl BootNanos {
    /// Later than every instant.
    pub const NEVER: Self = Self(u64::MAX);
}

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultKind {
    /// A slab allocation: `should_failslab` answers `-ENOMEM`.
    Slab,
    /// A page allocation: `should_fail_alloc_page` answers true.
    Page,
    /// A block request: `should_fail_bio` answers `-EIO`.
    Bio,
}

impl FaultKind {
    /// All kinds, in the order of their failtype.
    pub const ALL: [Self; 3] = [Self::Slab, Self::Page, Self::Bio];

    /// The kernel function that decides about this fault.
    #[must_use]
    pub fn function(self) -> &'static str {
        self.target().function()
    }

    pub(super) fn target(self) -> faultline_ebpf::Target {
        match self {
            Self::Slab => faultline_ebpf::Target::Slab,
            Self::Page => faultline_ebpf::Target::Page,
            Self::Bio => faultline_ebpf::Target::Bio,
        }
    }
}

impl From<Fault> for FaultKind {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Slab => Self::Slab,
            Fault::Page => Self::Page,
            Fault::Bio => Self::Bio,
        }
    }
}

impl From<FaultKind> for Fault {
    fn from(kind: FaultKind) -> Self {
        match kind {
            FaultKind::Slab => Self::Slab,
            FaultKind::Page => Self::Page,
            FaultKind::Bio => Self::Bio,
        }
    }
}

/// One slot of a run on this node: a fault, a call chain, an allowance, and the containers it may touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSpec {
    /// Names the probe; unique within one desired set.
    pub id: ProbeId,
    /// What fails.
    pub fault: FaultKind,
    /// Kernel functions that must be live on the stack and what must hold at their entries; at most
    /// [`MAX_FRAMES`](faultline_ebpf::layout::MAX_FRAMES). Empty: every hit in scope.
    pub call_chain: CallChain,
    /// Integer percent, 0 to 100. Drawn once per outermost activation, or per hit without frames.
    pub probability: u8,
    /// Injections allowed under `budget`, over its whole life; `None` is without limit.
    pub times: Option<NonZeroU32>,
    /// The probe's own end; the kernel injects before it only. The lease bounds it as well.
    pub ends: BootNanos,
    /// Which count of spent injections `times` is held against.
    pub budget: BudgetKey,
    /// Directories in the cgroup v2 tree; each stands for itself and all its descendants, present and
    /// to come.
    pub scope: Vec<PathBuf>,
}

/// How one probe of the desired set fared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeOutcome {
    /// The probe.
    pub id: ProbeId,
    /// Attached, or why not.
    pub result: Result<Attached, ProbeError>,
}

/// A probe that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// Cgroups in scope when the converge ended; descendants made later join in the kernel.
    pub cgroups: usize,
    /// Scope directories that do not exist any more.
    pub missing: Vec<PathBuf>,
    /// What its programs are attached to: the functions of the chain, outermost first, and the target.
    pub points: Vec<AttachPoint>,
}

/// A function that programs are attached to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachPoint {
    /// As the kernel spells it.
    pub function: String,
    /// How, and why not better.
    pub mechanism: Mechanism,
    /// What is on it beside our programs, in words: programs of others, which may hide ours.
    pub others: Vec<String>,
}

/// What a probe saw and did since its first attach in this process, summed over CPUs.
///
/// All are taken after the scope test: a foreign cgroup moves none of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls of the target function by a task in scope.
    pub hits: u64,
    /// Hits with every frame of the chain live, and the target's own predicate held.
    pub matches: u64,
    /// Entries that a predicate turned down: of functions that the chain waited for, and of the target.
    pub rejected: u64,
    /// Entries turned down because what a predicate asks for could not be read.
    pub unread: u64,
    /// Matches that the probability turned down.
    pub sampled_out: u64,
    /// Matches after `times` was used up.
    pub exhausted: u64,
    /// Hits after the lease or the probe's end.
    pub expired: u64,
    /// Times that what the chain had matched was dropped, because the exit of an activation went unseen.
    pub missed_returns: u64,
    /// Hits that another probe on the same target had already answered.
    pub shadowed: u64,
    /// Matches dropped because too many CPUs drew tickets at once, or the scope changed underneath.
    pub contended: u64,
    /// Hits refused because failing them is never safe.
    pub guarded: Guarded,
    /// Faults injected.
    pub injections: u64,
}

/// Hits that the guards refused, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Guarded {
    /// The allocation carries `__GFP_NOFAIL`.
    pub nofail: u64,
    /// The task is exiting.
    pub exiting: u64,
    /// The task is reclaiming memory (`PF_MEMALLOC`).
    pub reclaim: u64,
    /// The OOM killer has chosen the task's process.
    pub oom: u64,
    /// A kernel thread, pid 1, the agent, or another protected process.
    pub protected: u64,
    /// An allocation made on behalf of our own programs.
    pub own: u64,
    /// The task holds `oom_lock`: it runs the OOM killer.
    pub oom_killer: u64,
    /// The container has only just started.
    pub starting: u64,
}

impl Guarded {
    /// All refusals together.
    #[must_use]
    pub fn total(self) -> u64 {
        let Self { nofail, exiting, reclaim, oom, protected, own, oom_killer, starting } = self;
        nofail + exiting + reclaim + oom + protected + own + oom_killer + starting
    }
}

impl std::ops::Add for Counters {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            hits: self.hits + more.hits,
            matches: self.matches + more.matches,
            rejected: self.rejected + more.rejected,
            unread: self.unread + more.unread,
            sampled_out: self.sampled_out + more.sampled_out,
            exhausted: self.exhausted + more.exhausted,
            expired: self.expired + more.expired,
            missed_returns: self.missed_returns + more.missed_returns,
            shadowed: self.shadowed + more.shadowed,
            contended: self.contended + more.contended,
            guarded: self.guarded + more.guarded,
            injections: self.injections + more.injections,
        }
    }
}

impl std::ops::Add for Guarded {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            nofail: self.nofail + more.nofail,
            exiting: self.exiting + more.exiting,
            reclaim: self.reclaim + more.reclaim,
            oom: self.oom + more.oom,
            protected: self.protected + more.protected,
            own: self.own + more.own,
            oom_killer: self.oom_killer + more.oom_killer,
            starting: self.starting + more.starting,
        }
    }
}
