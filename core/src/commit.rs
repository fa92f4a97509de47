//! From a plan to the ledger that follows, and to what each node is told.

use std::collections::BTreeMap;

use crate::{
    desired::{DesiredSet, Probe},
    digest::{json, sha256},
    ledger::{Generation, Ledger, Run, RunKey, Told},
    plan::Plan,
};

/// How many runs of an experiment that are over are kept behind its newest: enough to see what an edit changed.
const HISTORY: usize = 4;

/// The ledger once `plan` is in force. It is stored before any node is told: then an agent never knows a
/// generation that the ledger does not. A node's counter rises only when its content changes.
#[must_use]
pub fn commit(ledger: &Ledger, plan: &Plan) -> Ledger {
    let mut next = ledger.clone();
    next.runs.extend(plan.runs.iter().map(|planned| (planned.key.clone(), planned.run.clone())));
    next.runs = without_old_history(next.runs);
    for (node, probes) in &plan.nodes {
        let told = next.nodes.entry(node.clone()).or_default();
        *told = tell(told, next.epoch, probes);
    }
    next
}

/// What a node is told after `told`. A node that was told nothing and is to do nothing needs no generation.
fn tell(told: &Told, epoch: u64, probes: &[Probe]) -> Told {
    let content = sha256(json(probes).as_bytes());
    if content == told.content || (told.content.is_empty() && probes.is_empty()) {
        return Told { generation: Generation { epoch, ..told.generation }, ..told.clone() };
    }
    let counter = told.generation.counter.saturating_add(1);
    Told { generation: Generation { epoch, counter }, content, heard: told.heard }
}

/// Every run that is not over, the newest of each experiment, and a bounded number of those before it.
fn without_old_history(runs: BTreeMap<RunKey, Run>) -> BTreeMap<RunKey, Run> {
    let mut kept = BTreeMap::new();
    let (mut experiment, mut seen) = (None, 0);
    for (key, run) in runs.into_iter().rev() {
        if experiment.as_ref() != Some(&key.experiment) {
            (experiment, seen) = (Some(key.experiment.clone()), 0);
        }
        if seen <= HISTORY || !run.state.is_over() {
            kept.insert(key, run);
        }
        seen += 1;
    }
    kept
}

/// What each node of the plan is told, from the committed ledger.
#[must_use]
pub fn desired_sets(committed: &Ledger, plan: &Plan) -> BTreeMap<String, DesiredSet> {
    plan.nodes.keys().map(|node| (node.clone(), desired_set(committed, plan, node))).collect()
}

/// What one node is told: an empty set where the plan has nothing for it, so that an agent with leftovers
/// detaches.
#[must_use]
pub fn desired_set(committed: &Ledger, plan: &Plan, node: &str) -> DesiredSet {
    let fallback = Generation { epoch: committed.epoch, counter: 0 };
    DesiredSet {
        generation: committed.nodes.get(node).map_or(fallback, |told| told.generation),
        probes: plan.nodes.get(node).cloned().unwrap_or_default(),
    }
}
