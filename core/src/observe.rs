//! Stage 9: what the agents' reports change in the ledger.

mod transition;

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::{Reason, RunState};
use jiff::Timestamp;

pub use transition::{Transition, transitions};

use crate::{
    ledger::{Generation, Ledger, Run, RunKey, Slot, Told},
    plan::Plan,
    report::{NodeReport, ProbeReport, ProbeState},
};

/// Longest error of an agent that is kept, in characters: it is shown in full nowhere, and there is one per
/// probe.
const LONGEST_ERROR: usize = 400;

/// The ledger as the reports make it, and what is worth telling.
#[derive(Clone, Debug, PartialEq)]
pub struct Observed {
    /// To be stored.
    pub ledger: Ledger,
    /// Ordered by run.
    pub transitions: Vec<Transition>,
}

/// Applies reports: the first acknowledged attach starts a run, counts are remembered and failures noted.
/// Replaying reports changes nothing. `plan` is the one in force, from which `ledger` was committed. What has
/// become over by it is for `due` to say, in the next pass.
#[must_use]
pub fn observe(ledger: &Ledger, plan: &Plan, reports: &[NodeReport], now: Timestamp) -> Observed {
    let mut next = ledger.clone();
    for report in reports {
        fence(&mut next, report);
        for probe in &report.probes {
            note(&mut next, report, probe, now);
        }
    }
    confirm(&mut next, plan, reports);
    forget_failures(&mut next, plan);
    let transitions = transitions(ledger, &next);
    Observed { ledger: next, transitions }
}

/// Keeps the epoch above every generation that an agent accepted and this ledger did not give.
fn fence(ledger: &mut Ledger, report: &NodeReport) {
    // A node that is heard of for the first time was told the empty set that it needs no counter for.
    let first = Told { generation: Generation { epoch: ledger.epoch, counter: 0 }, ..Told::default() };
    let told = ledger.nodes.entry(report.node.clone()).or_insert(first);
    told.heard = true;
    if report.accepted > told.generation {
        ledger.raise_above(report.accepted);
    }
}

/// Notes what one probe says.
fn note(ledger: &mut Ledger, report: &NodeReport, probe: &ProbeReport, now: Timestamp) {
    let Some(run) = ledger.runs.get_mut(&probe.run) else { return };
    match &probe.state {
        ProbeState::Attached => attached(run, probe, now),
        ProbeState::Failed { error } => {
            run.failures.insert(probe.id.clone(), error.chars().take(LONGEST_ERROR).collect());
        }
        ProbeState::Pending { .. } => drop(run.failures.remove(&probe.id)),
        ProbeState::Detached => {}
    }
    let Some(slot) = slot_of(run, probe.slot) else { return };
    slot.record(&report.node, &probe.container, probe.spent);
    if probe.state == ProbeState::Attached {
        slot.attached |= slot.pod.as_ref() == Some(&probe.uid);
        slot.unconfirmed.insert(report.node.clone());
    }
}

/// The first acknowledged attach starts the run. The agent's clock is believed between the run's creation and
/// now.
fn attached(run: &mut Run, probe: &ProbeReport, now: Timestamp) {
    run.failures.remove(&probe.id);
    if run.state.is_over() {
        return;
    }
    let at = probe.attached_at.unwrap_or(now).min(now).max(run.created);
    run.started = Some(run.started.map_or(at, |known| known.min(at)));
    if run.state == RunState::Pending {
        run.set(RunState::Running, Reason::Attached, "");
    }
}

/// Slots whose last count on a node is now final: the node knows what it was last told, is not told to attach
/// there, and is not attached.
fn confirm(ledger: &mut Ledger, plan: &Plan, reports: &[NodeReport]) {
    let told = |node: &str| ledger.nodes.get(node).map_or_else(Generation::default, |told| told.generation);
    let informed = reports.iter().filter(|report| report.accepted >= told(&report.node));
    let in_use: BTreeMap<&str, InUse<'_>> =
        informed.map(|report| (report.node.as_str(), slots_in_use(plan, report))).collect();
    for (key, run) in &mut ledger.runs {
        for (slot, number) in run.slots.iter_mut().zip(0_u32..) {
            let may_spend =
                |node: &String| in_use.get(node.as_str()).is_none_or(|own| own.contains(&(key, number)));
            slot.unconfirmed.retain(may_spend);
        }
    }
}

type InUse<'a> = BTreeSet<(&'a RunKey, u32)>;

/// What a node is told to attach, or says that it has.
fn slots_in_use<'a>(plan: &'a Plan, report: &'a NodeReport) -> InUse<'a> {
    let wanted = plan.nodes.get(&report.node).into_iter().flatten().map(|probe| (&probe.run, probe.slot));
    let attached = report.probes.iter().filter(|probe| probe.state != ProbeState::Detached);
    wanted.chain(attached.map(|probe| (&probe.run, probe.slot))).collect()
}

/// What a probe said that is not wanted any more is of no interest.
fn forget_failures(ledger: &mut Ledger, plan: &Plan) {
    let wanted: BTreeSet<&String> = plan.nodes.values().flatten().map(|probe| &probe.id).collect();
    for run in ledger.runs.values_mut() {
        run.failures.retain(|probe, _| wanted.contains(probe));
    }
}

fn slot_of(run: &mut Run, slot: u32) -> Option<&mut Slot> {
    run.slots.get_mut(usize::try_from(slot).ok()?)
}
