//! What happens: each kind once, with its log line and its metric.

use std::time::Duration;

use faultline_core::ledger::Generation;
use faultline_wire::message::NackReason;
use tracing::{info, warn};

use super::Metrics;

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session with the reconciler began.
    SessionOpened {
        /// As the reconciler numbers it.
        session: u64,
        /// How long its renewals last.
        lease_ttl: Duration,
    },
    /// It ended.
    SessionClosed {
        /// Why.
        reason: String,
    },
    /// No session could be had.
    ConnectFailed {
        /// Why, with causes.
        error: String,
        /// Until the next attempt.
        wait: Duration,
    },
    /// A newer desired set is held.
    DesiredAccepted {
        /// Which.
        generation: Generation,
        /// How many probes it has.
        probes: usize,
    },
    /// A desired set was refused.
    DesiredRefused {
        /// Why.
        reason: NackReason,
        /// In words.
        detail: String,
    },
    /// The lease ended without a renewal; everything is detached.
    LeaseExpired {
        /// How many probes were attached.
        probes: usize,
    },
    /// A probe was attached.
    Attached {
        /// Its id.
        id: String,
    },
    /// A probe is not attached any more.
    Detached {
        /// Its id.
        id: String,
        /// How often it injected in all.
        injections: u64,
    },
    /// A probe cannot be attached; told again only when the reason changes.
    Failed {
        /// Its id.
        id: String,
        /// Why.
        error: String,
    },
    /// Injections that were granted can no longer be accounted for, and will not happen.
    BudgetLost {
        /// Which budget.
        budget: String,
        /// How many.
        lost: u64,
    },
}

impl Event {
    /// Logs and counts.
    pub fn emit(&self, metrics: &Metrics) {
        self.count(metrics);
        match self {
            Self::SessionOpened { session, lease_ttl } => {
                info!(session, lease_ttl_ms = millis(*lease_ttl), "session opened");
            }
            Self::SessionClosed { reason } => warn!(reason, "session closed"),
            Self::ConnectFailed { error, wait } => {
                warn!(error, wait_ms = millis(*wait), "no session with the reconciler");
            }
            Self::DesiredAccepted { generation, probes } => {
                info!(%generation, probes, "desired set accepted");
            }
            Self::DesiredRefused { reason, detail } => {
                warn!(reason = reason.as_str(), detail, "desired set refused");
            }
            Self::LeaseExpired { probes } => warn!(probes, "lease expired: everything is detached"),
            Self::Attached { id } => info!(probe = id, "attached"),
            Self::Detached { id, injections } => info!(probe = id, injections, "detached"),
            Self::Failed { id, error } => warn!(probe = id, error, "not attached"),
            Self::BudgetLost { budget, lost } => {
                warn!(budget, lost, "the kernel's count is gone: what was left is forfeited");
            }
        }
    }

    fn count(&self, metrics: &Metrics) {
        match self {
            Self::SessionOpened { .. } => {
                metrics.sessions.inc();
                metrics.session_open.set(1);
            }
            Self::SessionClosed { .. } => drop(metrics.session_open.set(0)),
            Self::ConnectFailed { .. } => drop(metrics.connect_failures.inc()),
            Self::DesiredRefused { reason, .. } => metrics.refuse(*reason),
            Self::LeaseExpired { .. } => drop(metrics.lease_expiries.inc()),
            Self::BudgetLost { lost, .. } => drop(metrics.injections_lost.inc_by(*lost)),
            Self::DesiredAccepted { generation, .. } => metrics.accept(*generation),
            Self::Attached { .. } | Self::Detached { .. } | Self::Failed { .. } => {}
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
