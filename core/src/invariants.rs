//! What no plan may ever do, as functions that tests, the CLI and debug builds share.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::{
    desired::Probe,
    due::Step,
    ledger::{Ledger, Run, RunKey},
    plan::{Plan, PlannedRun},
    select::{most_slots, replacements_allowed},
};

/// One broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant, in kebab-case.
    pub invariant: &'static str,
    /// Of what.
    pub subject: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.subject)
    }
}

/// Every invariant that `plan`, made from `ledger`, breaks.
#[must_use]
pub fn check_plan(plan: &Plan, ledger: &Ledger) -> Vec<Violation> {
    let runs: BTreeMap<&RunKey, &PlannedRun> =
        plan.runs.iter().map(|planned| (&planned.key, planned)).collect();
    let mut found = Check(Vec::new());
    found.that(runs.len() == plan.runs.len(), "a-run-is-planned-once", "plan");
    let mut ids = BTreeSet::new();
    let probes = plan.nodes.iter().flat_map(|(node, probes)| probes.iter().map(move |probe| (node, probe)));
    for (node, probe) in probes {
        found.that(ids.insert(&probe.id), "probe-ids-are-unique", &probe.id);
        match runs.get(&probe.run) {
            Some(planned) => {
                check_probe(probe, planned, plan, &mut found);
                check_budget(node, probe, &planned.run, ledger, &mut found);
            }
            None => found.that(false, "a-probe-belongs-to-a-planned-run", &probe.id),
        }
    }
    for planned in &plan.runs {
        check_slots(planned, &mut found);
        if let Some(before) = ledger.runs.get(&planned.key) {
            check_step(planned, before, &mut found);
        } else {
            found.that(planned.step == Step::Begin, "only-a-beginning-run-is-new", &planned.key);
        }
    }
    found.0
}

struct Check(Vec<Violation>);

impl Check {
    fn that(&mut self, holds: bool, invariant: &'static str, subject: impl ToString) {
        if !holds {
            self.0.push(Violation { invariant, subject: subject.to_string() });
        }
    }
}

fn check_probe(probe: &Probe, planned: &PlannedRun, plan: &Plan, found: &mut Check) {
    let PlannedRun { run, effective, .. } = planned;
    let limit = &run.tightened;
    found.that(run.wants_probes(), "only-pending-and-running-runs-have-probes", &probe.id);
    let slot = usize::try_from(probe.slot).ok().and_then(|index| run.slots.get(index));
    let holds = slot.is_some_and(|slot| slot.pod.as_ref() == Some(&probe.target.uid));
    found.that(holds, "a-probe-is-on-the-pod-of-its-slot", &probe.id);
    found.that(!limit.drop.contains(&probe.target.uid), "dropped-pods-are-no-targets", &probe.id);
    let within = limit.times.is_none_or(|most| probe.times.is_some_and(|times| times <= most));
    found.that(within, "times-is-within-its-limit", &probe.id);
    let within = limit.probability.is_none_or(|most| probe.probability <= most);
    found.that(within, "probability-is-within-its-limit", &probe.id);
    let within = limit.duration.is_none_or(|most| probe.duration.is_some_and(|length| length <= most));
    found.that(within, "duration-is-within-its-limit", &probe.id);
    let bounded = effective.duration.is_none() || run.started.is_none() || probe.ends.is_some();
    found.that(bounded, "a-started-run-with-a-duration-has-an-end", &probe.id);
    found.that(probe.ends.is_none_or(|ends| ends > plan.at), "no-probe-outlives-its-run", &probe.id);
}

fn check_budget(node: &str, probe: &Probe, run: &Run, ledger: &Ledger, found: &mut Check) {
    let slot = usize::try_from(probe.slot).ok().and_then(|index| run.slots.get(index));
    let others = slot.into_iter().flat_map(|slot| &slot.unconfirmed).filter(|other| *other != node);
    let alone = others.filter(|other| ledger.has_heard(other)).count() == 0;
    found.that(probe.times.is_none() || alone, "a-budget-is-used-on-one-node-at-a-time", &probe.id);
    let marked = slot.is_some_and(|slot| slot.unconfirmed.contains(node));
    found.that(marked, "who-may-spend-will-have-to-say-how-much", &probe.id);
}

fn check_slots(planned: &PlannedRun, found: &mut Check) {
    let PlannedRun { key, run, selection, .. } = planned;
    let pods: Vec<_> = run.slots.iter().filter_map(|slot| slot.pod.as_ref()).collect();
    let distinct: BTreeSet<_> = pods.iter().collect();
    found.that(distinct.len() == pods.len(), "a-pod-holds-one-slot", key);
    if !run.wants_probes() || selection.is_none() {
        return;
    }
    found.that(pods.len() <= run.usable_slots(), "no-more-targets-than-usable-slots", key);
    found.that(run.open <= most_slots(run.declared.mode), "no-more-slots-than-the-mode-gives", key);
}

fn check_step(planned: &PlannedRun, before: &Run, found: &mut Check) {
    let PlannedRun { key, run, .. } = planned;
    let still = run.state == before.state && run.ended == before.ended;
    found.that(!before.state.is_over() || still, "what-is-over-stays-over", key);
    found.that(run.started == before.started, "a-plan-starts-nothing-by-itself", key);
    found.that(before.tightened.meet(&run.tightened) == run.tightened, "limits-only-grow-tighter", key);
    let allowed = replacements_allowed(run).max(before.replacements);
    found.that(run.replacements <= allowed, "replacements-are-bounded", key);
    let kept = before.slots.iter().zip(&run.slots).all(|(before, now)| before.spent == now.spent);
    found.that(kept && before.slots.len() <= run.slots.len(), "what-was-spent-stays-spent", key);
}
