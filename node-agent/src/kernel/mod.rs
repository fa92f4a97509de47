//! The kernel side of the agent: the only place with `unsafe`.
//!
//! [`Engine`] loads what `faultline-ebpf` generates, attaches it, and converges the attached set to a
//! desired one. [`Kernel`] is what the session sees, so that it can be tested with a fake one.
//!
//! Nothing but the budget map is pinned: when the process dies, the kernel detaches every program.

#[cfg(any(test, feature = "testing"))]
mod allocation;
mod calls;
mod cgroups;
mod converge;
mod engine;
mod error;
#[cfg(any(test, feature = "testing"))]
mod fake;
mod files;
mod fitting;
mod functions;
mod gates;
mod host;
mod hot;
mod kprobes;
mod links;
mod lookup;
mod maps;
mod membership;
mod modules;
#[cfg(any(test, feature = "testing"))]
mod observer;
mod obstacles;
mod others;
mod predicates;
mod preflight;
mod programs;
mod rehearsal;
#[cfg(any(test, feature = "testing"))]
mod ring;
mod selftest;
mod spared;
mod spec;
mod stacks;
mod symbols;
mod sys;
mod words;

use std::collections::BTreeMap;

use faultline_api::CallChain;

#[cfg(any(test, feature = "testing"))]
pub use allocation::Allocation;
pub use calls::CallCounter;
pub use engine::{Engine, EngineConfig, GRACE, GRACE_NANOS, Kprobes};
pub use error::{OpenError, ProbeError};
#[cfg(any(test, feature = "testing"))]
pub use fake::{FakeKernel, SharedKernel};
pub use hot::HOTTEST;
#[cfg(any(test, feature = "testing"))]
pub use observer::Observer;
pub use obstacles::preflight;
pub use preflight::{FaultVerdict, Mechanism, Obstacle, Preflight, Unusable};
pub use programs::{Alone, ProgramStatus, attached_programs};
pub(crate) use rehearsal::refused;
pub use rehearsal::{Rehearsal, Rehearsed, rehearse};
#[cfg(any(test, feature = "testing"))]
pub use ring::Ring;
pub use spared::RUNTIMES;
pub use spec::{
    AttachPoint, Attached, BootNanos, BudgetKey, Counters, FaultKind, Guarded, ProbeId, ProbeOutcome,
    ProbeSpec,
};
pub use sys::BpfError;

/// What a session needs of a kernel.
pub trait Kernel: Send {
    /// What this kernel can do.
    fn preflight(&self) -> Preflight;

    /// Makes the attached set equal to `desired`; one outcome per entry, in its order.
    ///
    /// Idempotent. What is gone is disarmed first: when this returns, no probe that is not desired can
    /// inject any more. A probe that fails leaves nothing of itself; its neighbours are not affected.
    /// Calling it again with the same set also picks up cgroups that came or went.
    fn converge(&mut self, desired: &[ProbeSpec]) -> Vec<ProbeOutcome>;

    /// What would come of a fault on a call chain: its programs are attached for a moment. Probes in force go on.
    fn rehearse(&mut self, fault: FaultKind, chain: &CallChain) -> Rehearsal;

    /// Lets every probe inject until then, and no longer. Starts at the epoch: nothing injects before the
    /// first call. Cheap enough for every renewal; may also move the end nearer.
    fn set_lease(&self, until: BootNanos);

    /// The programs attached now.
    fn programs(&self) -> Vec<ProgramStatus>;

    /// What each attached probe saw and did. Probes that are gone are not listed.
    fn counters(&self) -> BTreeMap<ProbeId, Counters>;

    /// Injections spent under `key` since it was first used; survives the agent, not a reboot.
    fn spent(&self, key: BudgetKey) -> u64;

    /// Drops a count that no run will ask for again. Ignored while a probe uses it.
    fn forget_budget(&mut self, key: BudgetKey);
}
