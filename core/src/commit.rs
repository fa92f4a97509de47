//! From a plan to the ledger that follows, and to what each node is told.

use std::collections::BTreeMap;

use crate::{desired::DesiredSet, ledger::Ledger, plan::Plan};

/// The ledger once `plan` is in force. It is stored before any node is told: then an agent never knows a generation
/// that the ledger does not. A node's counter rises only when its content changes.
#[must_use]
pub fn commit(ledger: &Ledger, plan: &Plan) -> Ledger {
    let _ = (ledger, plan);
    todo!("lands next")
}

/// What each node is told, from the committed ledger.
#[must_use]
pub fn desired_sets(committed: &Ledger, plan: &Plan) -> BTreeMap<String, DesiredSet> {
    let _ = (committed, plan);
    todo!("lands next")
}

/// What one node is told: an empty set where the plan has nothing for it.
#[must_use]
pub fn desired_set(committed: &Ledger, plan: &Plan, node: &str) -> DesiredSet {
    let _ = (committed, plan, node);
    todo!("lands next")
}
