//! Stage 9: what the agents' reports change in the ledger.

mod transition;

use std::collections::BTreeSet;

use faultline_api::{Reason, RunState};
use jiff::Timestamp;

pub use transition::{Transition, transitions};

use crate::{
    ledger::{Generation, Ledger, Run, Slot, Told},
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
        confirm(&mut next, plan, report);
    }
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
    let unknown = report.accepted > told.generation;
    if unknown && report.accepted.epoch >= ledger.epoch {
        ledger.epoch = report.accepted.epoch.saturating_add(1);
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

/// Slots whose last count on this node is now final: the node knows what it was last told, is not told to
/// attach there, and is not attached.
fn confirm(ledger: &mut Ledger, plan: &Plan, report: &NodeReport) {
    let told = ledger.nodes.get(&report.node).map_or_else(Generation::default, |told| told.generation);
    if report.accepted < told {
        return;
    }
    let wanted = plan.nodes.get(&report.node).into_iter().flatten().map(|probe| (&probe.run, probe.slot));
    let attached = report.probes.iter().filter(|probe| probe.state != ProbeState::Detached);
    let in_use: BTreeSet<_> = wanted.chain(attached.map(|probe| (&probe.run, probe.slot))).collect();
    for (key, run) in &mut ledger.runs {
        for (slot, number) in run.slots.iter_mut().zip(0_u32..) {
            if !in_use.contains(&(key, number)) {
                slot.unconfirmed.remove(&report.node);
            }
        }
    }
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
