//! Where a plan goes: into the ledger and to the agents, or, for `faultline plan`, nowhere.

use std::{collections::BTreeMap, sync::Arc};

use faultline_core::{
    commit,
    desired::DesiredSet,
    desired_set,
    digest::{json, sha256},
    ledger::Ledger,
    plan::Plan,
    report::NodeReport,
};
use faultline_wire::message::Desired;

use crate::{
    agents::{Fleet, Seen},
    store::{LedgerStore, StoreError},
};

/// The side of a pass that acts.
pub trait Converge: Send {
    /// The ledger in force.
    fn ledger(&self) -> Ledger;

    /// What the agents last reported.
    fn reports(&mut self) -> Vec<NodeReport>;

    /// Puts `plan`, which was made from `ledger`, in force, and returns the ledger that follows.
    ///
    /// # Errors
    /// It could not be stored; then nobody was told anything.
    fn converge(&mut self, ledger: &Ledger, plan: &Plan) -> Result<Ledger, StoreError>;

    /// Stores what was observed since.
    ///
    /// # Errors
    /// It could not be stored. The agents will report it again.
    fn keep(&mut self, ledger: &Ledger) -> Result<(), StoreError>;
}

/// Stores the plan's ledger and tells the agents.
pub struct Execution {
    store: Box<dyn LedgerStore>,
    fleet: Arc<Fleet>,
    /// The sessions whose reports the pass under way has.
    seen: Seen,
}

impl Execution {
    /// Acts through `store` and `fleet`.
    #[must_use]
    pub fn new(store: Box<dyn LedgerStore>, fleet: Arc<Fleet>) -> Self {
        Self { store, fleet, seen: Seen::new() }
    }
}

impl Converge for Execution {
    fn ledger(&self) -> Ledger {
        self.store.ledger().clone()
    }

    fn reports(&mut self) -> Vec<NodeReport> {
        let (reports, seen) = self.fleet.reports();
        self.seen = seen;
        reports
    }

    fn converge(&mut self, ledger: &Ledger, plan: &Plan) -> Result<Ledger, StoreError> {
        let committed = commit(ledger, plan);
        // First stored, then told: no agent ever knows a generation that the ledger does not.
        self.store.commit(&committed)?;
        let nodes = plan.nodes.keys().chain(self.seen.keys());
        let sets: BTreeMap<String, Desired> =
            nodes.map(|node| (node.clone(), sealed(desired_set(&committed, plan, node)))).collect();
        self.fleet.tell(sets, self.seen.clone());
        Ok(committed)
    }

    fn keep(&mut self, ledger: &Ledger) -> Result<(), StoreError> {
        self.store.commit(ledger)
    }
}

/// The set with the digest of its content.
fn sealed(set: DesiredSet) -> Desired {
    Desired { content: sha256(json(&set.probes).as_bytes()), set }
}

/// Does nothing, for a pass that is only to be looked at.
#[derive(Debug, Default)]
pub struct DryRun {
    ledger: Ledger,
}

impl DryRun {
    /// A pass that starts from `ledger`.
    #[must_use]
    pub const fn from(ledger: Ledger) -> Self {
        Self { ledger }
    }
}

impl Converge for DryRun {
    fn ledger(&self) -> Ledger {
        self.ledger.clone()
    }

    fn reports(&mut self) -> Vec<NodeReport> {
        Vec::new()
    }

    fn converge(&mut self, ledger: &Ledger, _plan: &Plan) -> Result<Ledger, StoreError> {
        Ok(ledger.clone())
    }

    fn keep(&mut self, _ledger: &Ledger) -> Result<(), StoreError> {
        Ok(())
    }
}
