//! Stage 9: what the agents' reports change in the ledger.

use faultline_api::{Reason, RunState};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    ledger::{Ledger, RunKey},
    plan::Plan,
    report::NodeReport,
};

/// The ledger as the reports make it, and what is worth telling.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// To be stored.
    pub ledger: Ledger,
    /// Ordered by run.
    pub transitions: Vec<Transition>,
}

/// One change: log line, metric and event are made from it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase", tag = "transition")]
pub enum Transition {
    /// A run changed its state or its reason.
    State {
        /// Which run.
        run: RunKey,
        /// `None`: it is new.
        from: Option<RunState>,
        /// Where it stands now.
        to: RunState,
        /// Why.
        reason: Reason,
        /// In words.
        message: String,
    },
    /// A probe could not be attached.
    AttachFailed {
        /// Which run.
        run: RunKey,
        /// On which node.
        node: String,
        /// Name of the probe.
        probe: String,
        /// What the node says.
        error: String,
    },
    /// A probe that could not be attached is attached.
    AttachRecovered {
        /// Which run.
        run: RunKey,
        /// On which node.
        node: String,
        /// Name of the probe.
        probe: String,
    },
    /// An agent knows a generation that this ledger never told it: the epoch rises above it.
    Fenced {
        /// The node.
        node: String,
        /// The new epoch.
        epoch: u64,
    },
}

/// Applies reports. Replaying them changes nothing. `plan` is the one in force, whose ledger was committed.
#[must_use]
pub fn observe(ledger: &Ledger, plan: &Plan, reports: &[NodeReport], now: Timestamp) -> Observed {
    let _ = (ledger, plan, reports, now);
    todo!("lands next")
}

/// What the step from one ledger to the next is worth telling: how runs changed their states.
#[must_use]
pub fn transitions(before: &Ledger, after: &Ledger) -> Vec<Transition> {
    let _ = (before, after);
    todo!("lands next")
}
