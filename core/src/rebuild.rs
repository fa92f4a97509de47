//! A lost ledger, rebuilt from the agents.

mod recover;

use std::{collections::BTreeMap, sync::Arc};

use faultline_api::{ExperimentId, Reason, RunState, Tightening};
use jiff::Timestamp;

use self::recover::{Seen, recovered};
use crate::{
    defaults::Defaults,
    effective::Effective,
    ledger::{Activation, Generation, Ledger, Run, RunKey},
    parse::{Freshness, Parsed, SourceState},
    report::NodeReport,
    tree::Role,
};

/// Returns `ledger` unchanged unless an agent remembers what this ledger never told it: then the ledger was
/// lost, or replaced by an older one. Runs that agents know and a tree declares are taken over; bounded
/// experiments that neither knows are held until a rerun, because they may have run already. A fresh
/// installation, in which no agent ever accepted a generation, is no loss. Always safe to call; it is called
/// before `judge`, so that nothing begins that an agent has seen.
#[must_use]
pub fn rebuild(
    ledger: &Ledger,
    parsed: &Parsed,
    reports: &[NodeReport],
    defaults: &Defaults,
    now: Timestamp,
) -> Ledger {
    let mut next = ledger.clone();
    let news: Vec<&NodeReport> = reports.iter().filter(|report| is_news(ledger, report)).collect();
    if news.is_empty() {
        return next;
    }
    let known = known_runs(ledger, reports);
    for (key, seen) in &known {
        if ledger.runs.get(key).is_none_or(|run| is_doubtful(run, seen)) {
            take_over(&mut next, key, seen, parsed, defaults, now);
        }
    }
    if is_loss(ledger, parsed, &news) {
        hold_unconfirmed(&mut next, &known, parsed, defaults, now);
    }
    for report in news.iter().filter(|report| was_told_by_another(ledger, report)) {
        next.raise_above(report.accepted);
    }
    next
}

/// Whether the agent accepted something that this ledger did not give it, or remembers a run that it does not
/// know.
fn is_news(ledger: &Ledger, report: &NodeReport) -> bool {
    was_told_by_another(ledger, report) || report.probes.iter().any(|probe| is_unknown(ledger, &probe.run))
}

/// Counter 0 is a set without content, given by whoever was there before the first probe: only an epoch
/// beyond ours tells of another reconciler.
fn was_told_by_another(ledger: &Ledger, report: &NodeReport) -> bool {
    let Generation { epoch, counter } = report.accepted;
    match ledger.nodes.get(&report.node) {
        _ if !report.accepted.is_credible() => false,
        _ if counter == 0 => epoch > ledger.epoch,
        Some(told) if told.heard => report.accepted > told.generation,
        Some(told) => report.accepted != told.generation,
        None => true,
    }
}

/// Whether neither this run nor a later one of its experiment is known, and it can be believed.
fn is_unknown(ledger: &Ledger, key: &RunKey) -> bool {
    key.activation.is_credible() && key.activation >= ledger.next_run(&key.experiment).activation
}

/// Whether so much is unknown that nothing new may begin: no agent was ever heard of, one is ahead of this
/// ledger, or one knows a run of a declared experiment that the ledger does not. An agent that merely brings
/// its own past to a fleet that is known is no reason to hold anything.
fn is_loss(ledger: &Ledger, parsed: &Parsed, news: &[&NodeReport]) -> bool {
    let ours = |key: &RunKey| is_unknown(ledger, key) && parsed.experiments.contains_key(&key.experiment);
    !ledger.nodes.values().any(|told| told.heard)
        || news.iter().any(|report| {
            (report.accepted.epoch >= ledger.epoch && was_told_by_another(ledger, report))
                || report.probes.iter().any(|probe| ours(&probe.run))
        })
}

/// What all agents say of each run that can be believed.
fn known_runs<'a>(ledger: &Ledger, reports: &'a [NodeReport]) -> BTreeMap<&'a RunKey, Seen<'a>> {
    let mut known: BTreeMap<&RunKey, Seen<'_>> = BTreeMap::new();
    let believed = |run: &RunKey| run.activation.is_credible() || ledger.runs.contains_key(run);
    for report in reports {
        for probe in report.probes.iter().filter(|probe| believed(&probe.run)) {
            known.entry(&probe.run).or_default().push((&report.node, probe));
        }
    }
    known
}

/// Whether the agents know a run better than this ledger: it never started it, or it made it after they did.
fn is_doubtful(run: &Run, seen: &Seen<'_>) -> bool {
    let older = |at: Timestamp| at < run.created;
    !run.state.is_over()
        && (run.started.is_none() || seen.iter().filter_map(|(_, probe)| probe.attached_at).any(older))
}

fn take_over(
    ledger: &mut Ledger,
    key: &RunKey,
    seen: &Seen<'_>,
    parsed: &Parsed,
    defaults: &Defaults,
    now: Timestamp,
) {
    let newest = ledger.newest(&key.experiment).is_none_or(|(newest, _)| newest <= key);
    match parsed.experiments.get(&key.experiment).filter(|_| newest) {
        Some(declared) => {
            ledger.runs.insert(key.clone(), recovered(declared, seen, defaults, now));
        }
        // A document that cannot be read yet may still be the run's: then it stays news.
        None if may_be_declared(parsed, &key.experiment) => {}
        None => {
            let last = ledger.activations.entry(key.experiment.to_string()).or_insert(Activation(0));
            *last = key.activation.max(*last);
        }
    }
}

/// Whether it cannot be said that no tree declares `id`.
fn may_be_declared(parsed: &Parsed, id: &ExperimentId) -> bool {
    let unread =
        |source: &SourceState| source.role == Role::Experiments && source.freshness == Freshness::Missing;
    parsed.sources.values().any(unread)
        || parsed.broken.iter().any(|broken| broken.experiment.as_ref().is_none_or(|own| own == id))
}

/// Experiments that would end by themselves, and of which nobody knows whether they did.
fn hold_unconfirmed(
    ledger: &mut Ledger,
    known: &BTreeMap<&RunKey, Seen<'_>>,
    parsed: &Parsed,
    defaults: &Defaults,
    now: Timestamp,
) {
    for (id, declared) in &parsed.experiments {
        let values = Effective::of(&declared.experiment, &Tightening::default(), defaults, None);
        let bounded = values.times.is_some() || values.duration.is_some();
        let newest = ledger.newest(id).map(|(key, run)| (key.clone(), run));
        let confirmed =
            |(key, run): &(RunKey, &Run)| run.state != RunState::Pending || known.contains_key(key);
        let begun = newest.as_ref().is_some_and(confirmed);
        if begun || !bounded {
            continue;
        }
        let key = newest.map_or_else(|| ledger.next_run(id), |(key, _)| key);
        let mut run = Run::new(Arc::clone(&declared.experiment), declared.place.clone(), now);
        run.set(RunState::Held, Reason::Unconfirmed, UNKNOWN);
        ledger.runs.insert(key, run);
    }
}

const UNKNOWN: &str = "the ledger was lost and no agent knows whether it already ran; rerun it to start anew";
