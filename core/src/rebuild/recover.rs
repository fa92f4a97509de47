//! One run, as far as its agents know it.

use std::sync::Arc;

use faultline_api::{GoDuration, Reason, RunState};
use jiff::Timestamp;

use crate::{
    defaults::Defaults,
    due::complete,
    ledger::{Run, Slot},
    parse::Declared,
    report::{ProbeReport, ProbeState},
    select::most_slots,
};

/// What the nodes, by name, say of the probes of one run.
pub(super) type Seen<'a> = Vec<(&'a str, &'a ProbeReport)>;

/// Far above what any fleet holds: an agent that makes up slot numbers must not make us allocate for them.
const MOST_SLOTS: usize = 1 << 16;

/// The run. What its agents were told is a limit that holds on: it may come from a guardrail.
pub(super) fn recovered(declared: &Declared, seen: &Seen<'_>, defaults: &Defaults, now: Timestamp) -> Run {
    let started = seen.iter().filter_map(|(_, probe)| probe.attached_at).min().map(|at| at.min(now));
    let mut run = Run::new(Arc::clone(&declared.experiment), declared.place.clone(), started.unwrap_or(now));
    run.started = started;
    run.tightened.times = seen.iter().filter_map(|(_, probe)| probe.times).min();
    let ends = seen.iter().filter_map(|(_, probe)| probe.ends).min();
    run.tightened.duration = ends.zip(started).map(|(ends, started)| length(started, ends));
    for (node, probe) in seen {
        fill_slot(&mut run, node, probe);
    }
    let slots = u32::try_from(run.slots.len()).unwrap_or(u32::MAX);
    run.open = slots.min(most_slots(run.declared.mode));
    if !complete(&mut run, defaults, now) {
        stand(&mut run, seen);
    }
    run
}

/// Where a run stands that is not over.
fn stand(run: &mut Run, seen: &Seen<'_>) {
    if seen.iter().any(|(_, probe)| probe.state == ProbeState::Attached) {
        run.set(RunState::Running, Reason::Attached, "taken over from its agents");
    } else if seen.iter().any(|(_, probe)| probe.state != ProbeState::Detached) {
        run.set(RunState::Pending, Reason::AwaitingAttach, "taken over from its agents");
    } else {
        run.set(RunState::Held, Reason::Unconfirmed, DETACHED);
    }
}

const DETACHED: &str = "its agents detached it and the ledger that knew why is lost; rerun it to start anew";

fn length(started: Timestamp, ends: Timestamp) -> GoDuration {
    let nanos = ends.duration_since(started).as_nanos();
    GoDuration::from_nanos(u64::try_from(nanos).unwrap_or_default())
}

fn fill_slot(run: &mut Run, node: &str, probe: &ProbeReport) {
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
