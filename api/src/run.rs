//! The states of a run and the reasons for them: closed sets that `get`, metrics and dashboards share.

use serde::{Deserialize, Serialize};

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RunState {
    /// Wanted, and not attached anywhere yet.
    Pending,
    /// Attached somewhere, or was and is being attached again.
    Running,
    /// Detached for now and may resume; the clock runs on.
    Held,
    /// Its duration is over.
    Completed,
    /// Removed, denied or halted: never resumes.
    Stopped,
}

impl RunState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Pending, Self::Running, Self::Held, Self::Completed, Self::Stopped];

    /// Whether the run is over for good.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Stopped)
    }
}

/// Why a run is in its state, or why a document or a target has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// At least one probe was acknowledged.
    Attached,
    /// Waiting for an agent's acknowledgement.
    AwaitingAttach,
    /// Nothing in the inventory is eligible.
    NoTargets,
    /// The document has errors.
    Invalid,
    /// A guardrail denied it.
    Denied,
    /// A guardrail could not decide.
    Undecided,
    /// It left the tree.
    Removed,
    /// Its duration is over.
    DurationElapsed,
    /// A new value of `faultline.dev/rerun` started another run.
    Superseded,
    /// The source could not be read for too long.
    SourceStale,
    /// Another place declares the same experiment and keeps it.
    Duplicate,
    /// Neither the ledger nor an agent knows whether it already ran.
    Unconfirmed,
    /// The namespace is protected by default.
    ProtectedNamespace,
    /// The node's kernel or agent cannot do it.
    NotInjectable,
}
