//! Changes that are worth telling. Log line, metric and event are made from the same one.

use std::collections::BTreeMap;

use faultline_api::{Reason, RunState};
use serde::Serialize;

use crate::ledger::{Ledger, Run, RunKey};

/// One change.
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
        /// Name of the probe.
        probe: String,
        /// What its node says.
        error: String,
    },
    /// A probe that could not be attached is attached, or is not wanted any more.
    FailureOver {
        /// Which run.
        run: RunKey,
        /// Name of the probe.
        probe: String,
    },
    /// An agent knew a generation that this ledger never gave: the epoch rose above it.
    Fenced {
        /// The new epoch.
        epoch: u64,
    },
}

/// What the step from one ledger to the next is worth telling, ordered by run.
#[must_use]
pub fn transitions(before: &Ledger, after: &Ledger) -> Vec<Transition> {
    let none = BTreeMap::new();
    let fenced = (after.epoch > before.epoch).then_some(Transition::Fenced { epoch: after.epoch });
    let of_run = |(key, run): (&RunKey, &Run)| {
        let old = before.runs.get(key);
        let mut told: Vec<Transition> = state_change(key, old, run).into_iter().collect();
        told.extend(failure_changes(key, old.map_or(&none, |old| &old.failures), &run.failures));
        told
    };
    fenced.into_iter().chain(after.runs.iter().flat_map(of_run)).collect()
}

fn state_change(key: &RunKey, old: Option<&Run>, new: &Run) -> Option<Transition> {
    let same = old.is_some_and(|old| (old.state, old.reason) == (new.state, new.reason));
    (!same).then(|| Transition::State {
        run: key.clone(),
        from: old.map(|old| old.state),
        to: new.state,
        reason: new.reason,
        message: new.message.clone(),
    })
}

fn failure_changes(
    key: &RunKey,
    old: &BTreeMap<String, String>,
    new: &BTreeMap<String, String>,
) -> Vec<Transition> {
    let failed = new.iter().filter(|(probe, error)| old.get(*probe) != Some(*error)).map(|(probe, error)| {
        Transition::AttachFailed { run: key.clone(), probe: probe.clone(), error: error.clone() }
    });
    let over = old.keys().filter(|probe| !new.contains_key(*probe));
    let over = over.map(|probe| Transition::FailureOver { run: key.clone(), probe: probe.clone() });
    failed.chain(over).collect()
}
