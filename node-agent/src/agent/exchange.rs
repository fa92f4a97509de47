//! What goes into the state machine and what comes out of it.

use std::collections::BTreeMap;

use faultline_core::{
    inventory::{Injectability, KernelReport},
    report::{AttachPoint, ProbeState},
};
use faultline_wire::{
    AgentMessage,
    client::Received,
    message::{Rehearsals, Rehearse, Welcome},
};

use super::Wanted;
use crate::{
    kernel::{BootNanos, BudgetKey},
    ledger::{BudgetName, Tally},
    telemetry::Event,
};

/// Which node this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Name of the node.
    pub node: String,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// What its kernel can do.
    pub kernel: KernelReport,
}

impl Identity {
    /// Whether its kernel can inject any fault.
    #[must_use]
    pub fn can_inject(&self) -> bool {
        self.kernel.faults.values().any(|can| matches!(can, Injectability::Yes { .. }))
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// A session began.
    Opened(Welcome),
    /// It ended.
    Closed,
    /// The reconciler said something, having heard of this agent until then.
    Received(Received, BootNanos),
    /// What was to be attached was tried.
    Converged(Converged),
    /// The kernel was asked.
    Observed(Observed, Purpose),
    /// What was asked about was rehearsed.
    Rehearsed(Rehearsals),
    /// Time has passed.
    Tick,
    /// Someone wants to know what is.
    Look,
    /// The process is to end.
    Stop,
}

/// What came of [`Action::Converge`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converged {
    /// Counters just before.
    pub before: BTreeMap<String, Tally>,
    /// How each probe that was wanted fared: what it is attached to, or why not.
    pub outcomes: BTreeMap<String, Result<Vec<AttachPoint>, Unattached>>,
    /// Counters and budgets just after.
    pub after: Observed,
}

/// Why a probe that is wanted is not attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unattached {
    /// It cannot be.
    Failed(String),
    /// A module that its chain names is not loaded.
    Pending(String),
}

impl Unattached {
    /// In words.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Failed(reason) | Self::Pending(reason) => reason,
        }
    }
}

impl From<Unattached> for ProbeState {
    fn from(unattached: Unattached) -> Self {
        match unattached {
            Unattached::Failed(error) => Self::Failed { error },
            Unattached::Pending(reason) => Self::Pending { reason },
        }
    }
}

/// What the kernel says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Counters of each attached probe.
    pub counters: BTreeMap<String, Tally>,
    /// What is spent of each remembered budget.
    pub spent: BTreeMap<BudgetName, u64>,
    /// Runs of each attached program that the kernel passed over.
    pub missed: BTreeMap<String, u64>,
}

/// Why the kernel is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To answer a renewal.
    Answer {
        /// Of the renewal.
        seq: u64,
    },
    /// To send a report.
    Report,
    /// To know.
    Look,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Keep the ledger; nothing that follows may happen unless that worked.
    Store,
    /// Let probes inject until then.
    SetLease(BootNanos),
    /// Attach exactly these; answered by [`Input::Converged`].
    Converge(Vec<Wanted>),
    /// Ask the kernel; answered by [`Input::Observed`].
    Observe(Purpose),
    /// Attach these for a moment, disarmed; answered by [`Input::Rehearsed`].
    Rehearse(Rehearse),
    /// Drop the kernel's count of a budget.
    Forget(BudgetKey),
    /// Send.
    Send(AgentMessage),
    /// Log and count.
    Note(Event),
}
