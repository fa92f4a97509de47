//! What a node's agent reports back.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    inventory::KernelReport,
    ledger::{Generation, RunKey},
    refusal::Guarded,
};

/// The effective state of a node as its agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeReport {
    /// Name of the node.
    pub node: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// The highest generation it ever accepted.
    pub accepted: Generation,
    /// What its kernel can do.
    pub kernel: KernelReport,
    /// Every probe it has, wants, or remembers the budget of.
    pub probes: Vec<ProbeReport>,
}

/// One probe, as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProbeReport {
    /// Name of the probe.
    pub id: String,
    /// Its run.
    pub run: RunKey,
    /// Its slot.
    pub slot: u32,
    /// Uid of its pod.
    pub uid: String,
    /// Name of its container.
    pub container: String,
    /// What it is doing.
    pub state: ProbeState,
    /// While it is attached, what to: the functions of its chain, outermost first, and the target.
    #[serde(default)]
    pub attach_points: Vec<AttachPoint>,
    /// First time it was attached.
    pub attached_at: Option<Timestamp>,
    /// When the run it belongs to ends, as the agent was told or worked out.
    pub ends: Option<Timestamp>,
    /// Most injections, as the agent was told.
    pub times: Option<u64>,
    /// Injections charged to its slot and container name on this node.
    pub spent: u64,
    /// What its programs counted.
    pub counters: Counters,
}

/// A kernel function that a probe's programs are attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachPoint {
    /// As the kernel spells it.
    pub function: String,
    /// How, such as `fentry/fexit`, and why not better.
    pub mechanism: String,
    /// What is on it beside the probe's programs, in words: programs of others, which may hide them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// Runs of the programs there that the kernel passed over, whoever called.
    #[serde(default)]
    pub missed_runs: u64,
}

/// What a probe is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "state")]
pub enum ProbeState {
    /// Attached, under lease.
    Attached,
    /// Wanted, and this is why it is not attached.
    Failed {
        /// The reason.
        error: String,
    },
    /// Wanted, and it waits for something that may come by itself, such as a module that is not loaded.
    Pending {
        /// What it waits for.
        reason: String,
    },
    /// Not wanted any more, or over; only the memory of what it spent is left.
    Detached,
}

/// Counts since the probe was first attached on this node, summed over CPUs, taken after the scope test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counters {
    /// Entries to the target function in scope.
    pub hits: u64,
    /// Of those, with the whole call chain on the stack and the target's own predicate held.
    pub matches: u64,
    /// Entries, of frames and of the target, that a predicate turned down.
    #[serde(default)]
    pub rejected: u64,
    /// Entries turned down because what a predicate asks for could not be read.
    #[serde(default)]
    pub unread: u64,
    /// Matches that sampling let pass.
    pub sampled_out: u64,
    /// Matches after the budget was used up.
    pub exhausted: u64,
    /// Hits after the deadline.
    pub expired: u64,
    /// Hits that are never injected, such as `__GFP_NOFAIL` allocations.
    pub guarded: u64,
    /// The same by reason; agents that know none leave it empty.
    #[serde(default)]
    pub guarded_by: Guarded,
    /// Times that what the chain had matched was dropped, because the exit of an activation went unseen.
    pub missed_returns: u64,
    /// Hits that another probe had already answered.
    #[serde(default)]
    pub shadowed: u64,
    /// Matches dropped because too many CPUs drew at once.
    #[serde(default)]
    pub contended: u64,
    /// Injections.
    pub injections: u64,
}
