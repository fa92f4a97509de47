//! A lost ledger, rebuilt from the agents.

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::{ExperimentId, GoDuration, Reason, RunState};
use jiff::Timestamp;

use crate::{
    defaults::Defaults,
    effective::Effective,
    ledger::{Activation, Ledger, Run, RunKey, Slot},
    parse::{Declared, Parsed},
    report::{NodeReport, ProbeReport, ProbeState},
};

/// Returns `ledger` unchanged unless an agent accepted a generation that it never gave: then it was lost, or replaced by an
/// older one. Runs that agents know and a tree declares are taken over; bounded experiments that neither knows are held
/// until a rerun, because they may have run already. A fresh installation, in which no agent ever accepted a generation,
/// is no loss. Always safe to call; it is called before `judge`, so that nothing begins that an agent has seen.
#[must_use]
pub fn rebuild(
    ledger: &Ledger,
    parsed: &Parsed,
    reports: &[NodeReport],
    defaults: &Defaults,
    now: Timestamp,
) -> Ledger {
    let mut next = ledger.clone();
    let known = known_runs(reports);
    for (key, seen) in &known {
        let missing = ledger.runs.get(key).is_none_or(is_unconfirmed);
        if missing {
            take_over(&mut next, key, seen, parsed, defaults, now);
        }
    }
    if reports.iter().any(|report| is_news(ledger, report)) {
        raise_epoch(&mut next, reports);
        hold_unconfirmed(&mut next, parsed, defaults, now);
    }
    next
}

/// Whether the agent accepted something that this ledger never gave.
fn is_news(ledger: &Ledger, report: &NodeReport) -> bool {
    let told = ledger.nodes.get(&report.node).map(|told| told.generation).unwrap_or_default();
    report.accepted > told && report.accepted.epoch >= ledger.epoch
}

fn raise_epoch(ledger: &mut Ledger, reports: &[NodeReport]) {
    let highest = reports.iter().map(|report| report.accepted.epoch).max().unwrap_or_default();
    if highest >= ledger.epoch {
        ledger.epoch = highest.saturating_add(1);
    }
}

fn is_unconfirmed(run: &Run) -> bool {
    run.state == RunState::Held && run.reason == Reason::Unconfirmed
}

/// What all agents say of each run.
fn known_runs(reports: &[NodeReport]) -> BTreeMap<&RunKey, Vec<(&str, &ProbeReport)>> {
    let mut known: BTreeMap<&RunKey, Vec<(&str, &ProbeReport)>> = BTreeMap::new();
    for report in reports {
        for probe in &report.probes {
            known.entry(&probe.run).or_default().push((&report.node, probe));
        }
    }
    known
}

fn take_over(
    ledger: &mut Ledger,
    key: &RunKey,
    seen: &[(&str, &ProbeReport)],
    parsed: &Parsed,
    defaults: &Defaults,
    now: Timestamp,
) {
    let newest = ledger.newest(&key.experiment).is_none_or(|(newest, _)| newest <= key);
    match parsed.experiments.get(&key.experiment).filter(|_| newest) {
        Some(declared) => {
            ledger.runs.insert(key.clone(), recovered(declared, seen, defaults, now));
        }
        None => {
            let last = ledger.activations.entry(key.experiment.to_string()).or_insert(Activation(0));
            *last = key.activation.max(*last);
        }
    }
}

/// The run as far as its agents know it. What they were told is a limit that holds on: it may come from a guardrail.
fn recovered(declared: &Declared, seen: &[(&str, &ProbeReport)], defaults: &Defaults, now: Timestamp) -> Run {
    let started = seen.iter().filter_map(|(_, probe)| probe.attached_at).min().map(|at| at.min(now));
    let mut run = Run::new((*declared.experiment).clone(), declared.place.clone(), started.unwrap_or(now));
    run.started = started;
    run.tightened.times = seen.iter().filter_map(|(_, probe)| probe.times).min();
    let ends = seen.iter().filter_map(|(_, probe)| probe.ends).min();
    run.tightened.duration = ends.zip(started).map(|(ends, started)| length(started, ends));
    for (node, probe) in seen {
        fill_slot(&mut run, node, probe);
    }
    run.open = u32::try_from(run.slots.len()).unwrap_or(u32::MAX);
    let attached = seen.iter().any(|(_, probe)| probe.state == ProbeState::Attached);
    let waiting = seen.iter().any(|(_, probe)| matches!(probe.state, ProbeState::Failed { .. }));
    if crate::due::complete(&mut run, defaults, now) {
        return run;
    }
    match (attached, waiting) {
        (true, _) => run.set(RunState::Running, Reason::Attached, "taken over from its agents"),
        (false, true) => run.set(RunState::Pending, Reason::AwaitingAttach, "taken over from its agents"),
        (false, false) => run.set(RunState::Held, Reason::Unconfirmed, DETACHED),
    }
    run
}

const DETACHED: &str = "its agents detached it and the ledger that knew why is lost; rerun it to start anew";

fn length(started: Timestamp, ends: Timestamp) -> GoDuration {
    let length = ends.duration_since(started);
    GoDuration::from_nanos(u64::try_from(length.as_nanos()).unwrap_or(0))
}

fn fill_slot(run: &mut Run, node: &str, probe: &ProbeReport) {
    // An agent that made up slot numbers must not make us allocate for them.
    let Some(index) = usize::try_from(probe.slot).ok().filter(|index| *index < MOST_SLOTS) else { return };
    if run.slots.len() <= index {
        run.slots.resize_with(index + 1, Slot::default);
    }
    let Some(slot) = run.slots.get_mut(index) else { return };
    slot.record(node, &probe.container, probe.spent);
    if probe.state != ProbeState::Detached {
        slot.pod = Some(probe.uid.clone());
        slot.attached = probe.state == ProbeState::Attached;
        slot.unconfirmed.insert(node.to_owned());
    }
}

/// Far above what any fleet holds.
const MOST_SLOTS: usize = 1 << 20;

/// Experiments that would end by themselves, and of which nobody knows whether they did.
fn hold_unconfirmed(ledger: &mut Ledger, parsed: &Parsed, defaults: &Defaults, now: Timestamp) {
    let known: BTreeSet<ExperimentId> = ledger.runs.keys().map(|key| key.experiment.clone()).collect();
    for (id, declared) in parsed.experiments.iter().filter(|(id, _)| !known.contains(*id)) {
        let values = Effective::of(&declared.experiment, &Default::default(), defaults, None);
        if values.times.is_none() && values.duration.is_none() {
            continue;
        }
        let mut run = Run::new((*declared.experiment).clone(), declared.place.clone(), now);
        run.set(RunState::Held, Reason::Unconfirmed, UNKNOWN);
        ledger.runs.insert(ledger.next_run(id), run);
    }
}

const UNKNOWN: &str = "the ledger was lost and no agent knows whether it already ran; rerun it to start anew";
