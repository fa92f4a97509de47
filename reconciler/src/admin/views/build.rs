//! From a pass to what is shown of it.

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::{ExperimentId, Kind, Place, Reason};
use faultline_core::{
    activity::{Activities, Activity},
    due::WhyNot,
    judge::Verdict,
    ledger::{Run, RunKey},
    parse::{Binding, BoundGuardrail},
    plan::PlannedRun,
    report::{Counters, ProbeState},
    select::{Exclusion, ExclusionCause, Selection},
    tree::Role,
};
use jiff::Timestamp;

use super::{
    ExperimentView, Explanation, FrameView, GuardrailView, NodeView, NotHitView, ReportView, RunView,
    TargetView,
    chain::{chain_view, refusals},
};
use crate::{
    probes::{Nodes, ProbeStatus, Probes, waits},
    publish::problems,
    reconcile::Pass,
};

/// Every experiment that is declared, and every one with a run that matters.
#[must_use]
pub fn experiments(pass: &Pass, nodes: &Nodes) -> Vec<ExperimentView> {
    let mut ids: BTreeSet<_> = pass.parsed.experiments.keys().collect();
    ids.extend(pass.plan.runs.iter().map(|planned| &planned.key.experiment));
    ids.extend(pass.parsed.broken.iter().filter_map(|broken| broken.experiment.as_ref()));
    let probes = Probes::of(pass, nodes);
    ids.into_iter()
        .map(|id| {
            let name = id.to_string();
            let newest = pass.ledger.newest(id);
            let of_newest = newest.map(|(key, _)| probes.of_run(key)).unwrap_or_default();
            let declared = pass.parsed.experiments.get(id);
            let why_not = why_nots(pass, &name).next();
            let place = declared.map(|declared| &declared.place).or(newest.map(|(_, run)| &run.place));
            let place = place.map(ToString::to_string).or(why_not.and_then(|why| why.place.clone()));
            ExperimentView {
                place: place.unwrap_or_default(),
                run: newest.map(|(key, _)| key.to_string()),
                state: newest.map(|(_, run)| run.state),
                reason: newest.map(|(_, run)| run.reason).or(why_not.and_then(|why| why.reason)),
                message: newest
                    .map(|(_, run)| message(run, &of_newest))
                    .filter(|message| !message.is_empty())
                    .or(why_not.map(|why| why.message.clone()))
                    .unwrap_or_default(),
                activity: activities(&of_newest),
                experiment: name,
            }
        })
        .collect()
}

/// Every run that the ledger remembers.
#[must_use]
pub fn runs(pass: &Pass, nodes: &Nodes) -> Vec<RunView> {
    let probes = Probes::of(pass, nodes);
    pass.ledger.runs.iter().map(|(key, run)| run_view(pass, &probes.of_run(key), key, run)).collect()
}

/// Every node of the inventory and every one whose agent was heard of.
#[must_use]
pub fn nodes(pass: &Pass, status: &Nodes) -> Vec<NodeView> {
    let inventory = pass.inputs.inventory.as_ref().map(|inventory| &inventory.nodes);
    let mut names: BTreeSet<&String> = status.keys().chain(pass.ledger.nodes.keys()).collect();
    names.extend(inventory.into_iter().flat_map(BTreeMap::keys));
    names
        .into_iter()
        .map(|name| {
            let known = status.get(name);
            let count = |wanted: fn(&ProbeState) -> bool| {
                let probes = known.into_iter().flat_map(|status| &status.report.probes);
                probes.filter(|probe| wanted(&probe.state)).count()
            };
            let of_inventory = inventory.and_then(|nodes| nodes.get(name)?.kernel.clone());
            NodeView {
                node: name.clone(),
                connected: known.is_some_and(|status| status.session.is_some()),
                heard: known.map(|status| status.heard),
                accepted: known.map(|status| status.report.accepted),
                told: pass.ledger.nodes.get(name).map(|told| told.generation),
                attached: count(|state| *state == ProbeState::Attached),
                failed: count(|state| matches!(state, ProbeState::Failed { .. })),
                kernel: known.map(|status| status.report.kernel.clone()).or(of_inventory),
            }
        })
        .collect()
}

/// Every guardrail, also those that cannot be used.
#[must_use]
pub fn guardrails(pass: &Pass) -> Vec<GuardrailView> {
    pass.parsed.guardrails.iter().map(|guardrail| guardrail_view(pass, guardrail)).collect()
}

/// Everything about one experiment; `None`: there is none of that name.
#[must_use]
pub fn explain(pass: &Pass, nodes: &Nodes, namespace: &str, name: &str) -> Option<Explanation> {
    let full = format!("{namespace}/{name}");
    let id = ExperimentId { kind: Kind::KernelChaos, namespace: namespace.to_owned(), name: name.to_owned() };
    let (declared, newest) = (pass.parsed.experiments.get(&id), pass.ledger.newest(&id));
    let mut why_nots: Vec<&WhyNot> = why_nots(pass, &full).collect();
    if declared.is_none() && newest.is_none() && why_nots.is_empty() {
        return None;
    }
    let planned = newest.and_then(|(key, _)| planned(pass, key));
    let selection = planned.and_then(|planned| planned.selection.as_ref());
    let broken = || pass.parsed.broken.iter().find(|broken| broken.experiment.as_ref() == Some(&id));
    let remembered = || newest.filter(|(_, run)| !run.absent).map(|(_, run)| &run.place);
    let place = declared.map(|declared| &declared.place);
    let place = place.or_else(|| broken().map(|broken| &broken.place)).or_else(remembered);
    why_nots.extend(sources_of(pass, place));
    let place = place.map(ToString::to_string);
    let probes = newest.map(|(key, _)| Probes::of(pass, nodes).of_run(key)).unwrap_or_default();
    let chain = newest.map(|(_, run)| &*run.declared).or(declared.map(|declared| &*declared.experiment));
    let chain = chain.map(chain_view).unwrap_or_default();
    Some(Explanation {
        verdicts: verdicts(pass, &full, planned),
        experiment: full,
        run: newest.map(|(key, run)| run_view(pass, &probes, key, run)),
        selected: selection.map(|selection| (selection.matched, selection.eligible)),
        targets: probes.iter().map(|probe| target_view(probe, &chain, pass.plan.at)).collect(),
        chain,
        not_hit: selection.map(not_hit).unwrap_or_default(),
        why_nots: why_nots.into_iter().map(|why| worded(why, place.as_ref())).collect(),
        place,
    })
}

/// How far the rest can be relied on, and what of the sources has no effect.
#[must_use]
pub fn report(pass: &Pass, error: Option<String>) -> ReportView {
    let sources = stale_sources(pass).map(|why| worded(why, None)).collect();
    ReportView { at: pass.plan.at, error, sources, problems: problems(&pass.plan).into_iter().collect() }
}

/// With its place, where that is not the one that is shown anyway: of two that declare the same, both are named.
fn worded(why: &WhyNot, shown: Option<&String>) -> String {
    match &why.place {
        Some(place) if Some(place) != shown => format!("{place}: {}", why.message),
        Some(_) => why.message.clone(),
        None => format!("{}: {}", why.subject, why.message),
    }
}

/// What the plan's report says of sources: those that are not fresh.
fn stale_sources(pass: &Pass) -> impl Iterator<Item = &WhyNot> {
    let stale = |why: &&WhyNot| why.reason == Some(Reason::SourceStale) && why.place.is_none();
    pass.plan.report.why_nots.iter().filter(stale)
}

/// The same, for the sources that something declared at `place` depends on: its own, and those of guardrails.
fn sources_of<'a>(pass: &'a Pass, place: Option<&Place>) -> impl Iterator<Item = &'a WhyNot> {
    let concerns =
        |name: &str, role| role == Role::Platform || place.is_some_and(|place| place.source == name);
    let sources = pass.plan.sources.iter().filter(move |(name, state)| concerns(name, state.role));
    let subjects: Vec<String> = sources.map(|(name, _)| format!("source {name}")).collect();
    stale_sources(pass).filter(move |why| subjects.contains(&why.subject))
}

/// The run's message; where it has none, for whom or what it waits, what is known of it no more, and why nothing came of it.
fn message(run: &Run, probes: &[ProbeStatus<'_>]) -> String {
    if !run.message.is_empty() {
        return run.message.clone();
    }
    if run.reason == Reason::AwaitingAttach {
        return waits(probes).into_iter().collect::<Vec<_>>().join("; ");
    }
    let stalled = |probe: &ProbeStatus<'_>| probe.silence().or_else(|| probe.waiting());
    let silent: BTreeSet<String> = probes.iter().filter_map(stalled).collect();
    let without_effect = activities(probes).furthest().is_some_and(Activity::is_without_effect);
    let counters = total(probes);
    let silent = silent.into_iter().filter(|_| !run.state.is_over());
    let why = without_effect.then(|| counters.in_words());
    silent.chain(why).chain(counters.warning()).collect::<Vec<_>>().join("; ")
}

fn activities(probes: &[ProbeStatus<'_>]) -> Activities {
    probes.iter().map(|probe| probe.activity).collect()
}

fn total(probes: &[ProbeStatus<'_>]) -> Counters {
    probes.iter().fold(Counters::default(), |sum, probe| sum.plus(probe.counters()))
}

fn planned<'a>(pass: &'a Pass, key: &RunKey) -> Option<&'a PlannedRun> {
    pass.plan.runs.iter().find(|planned| planned.key == *key)
}

/// What the plan's report says of an experiment or its runs.
fn why_nots<'a>(pass: &'a Pass, experiment: &str) -> impl Iterator<Item = &'a WhyNot> {
    let run = format!("{experiment}#");
    let experiment = experiment.to_owned();
    let of = move |why: &&WhyNot| why.subject == experiment || why.subject.starts_with(&run);
    pass.plan.report.why_nots.iter().filter(of)
}

fn run_view(pass: &Pass, probes: &[ProbeStatus<'_>], key: &RunKey, run: &Run) -> RunView {
    let effective = planned(pass, key).map(|planned| &planned.effective);
    let usable = run.slots.iter().take(run.usable_slots());
    RunView {
        run: key.clone(),
        state: run.state,
        reason: run.reason,
        message: message(run, probes),
        activity: activities(probes),
        started: run.started,
        ends: effective.and_then(|effective| effective.ends),
        ended: run.ended,
        probability: effective.map(|effective| effective.probability.get()),
        times: effective.and_then(|effective| effective.times),
        duration: effective.and_then(|effective| effective.duration),
        slots: (usable.clone().filter(|slot| slot.pod.is_some()).count(), usable.count()),
        spent: run.slots.iter().flat_map(|slot| slot.spent.values()).sum(),
        counters: total(probes),
        failures: run.failures.clone(),
    }
}

fn guardrail_view(pass: &Pass, guardrail: &BoundGuardrail) -> GuardrailView {
    let (mode, module, error) = match &guardrail.binding {
        Binding::Bound { guardrail, module: Ok(module) } => {
            (Some(guardrail.mode), Some(module.digest.clone()), None)
        }
        Binding::Bound { guardrail, module: Err(error) } => (Some(guardrail.mode), None, Some(error.clone())),
        Binding::Broken { error } => (None, None, Some(error.clone())),
    };
    let mut verdicts = BTreeMap::new();
    for verdict in pass.plan.verdicts().filter(|verdict| verdict.guardrail == guardrail.name) {
        *verdicts.entry(verdict.decision.as_str().to_owned()).or_default() += 1;
    }
    let place = guardrail.place.to_string();
    GuardrailView { guardrail: guardrail.name.clone(), place, mode, module, error, verdicts }
}

/// What was said of an experiment most lately: where its next run is refused, that, and else what was said of its run.
fn verdicts(pass: &Pass, experiment: &str, planned: Option<&PlannedRun>) -> Vec<Verdict> {
    let refused = pass.plan.refused.get(experiment);
    refused.or(planned.map(|planned| &planned.verdicts)).cloned().unwrap_or_default()
}

fn target_view(probe: &ProbeStatus<'_>, chain: &[FrameView], now: Timestamp) -> TargetView {
    TargetView {
        slot: probe.slot,
        container: probe.container.clone(),
        node: probe.node.to_owned(),
        mechanism: probe.mechanism.map(str::to_owned),
        attach_points: probe.report.map(|report| report.attach_points.clone()).unwrap_or_default(),
        activity: probe.activity,
        message: probe.in_words(now),
        warning: probe.warning(),
        attached: probe.report.and_then(|report| report.attached_at),
        counters: probe.report.map(|report| report.counters),
        refusals: refusals(&probe.counters(), chain),
        connected: probe.is_connected(),
        heard: probe.agent.map(|agent| agent.heard),
    }
}

fn not_hit(selection: &Selection) -> Vec<NotHitView> {
    let why = |cause: &ExclusionCause| match cause {
        ExclusionCause::ProtectedNamespace => "its namespace is protected".to_owned(),
        ExclusionCause::Ended => "its containers have ended".to_owned(),
        ExclusionCause::NoContainer => "it has no container of that name".to_owned(),
        ExclusionCause::Ambiguous(why) => why.clone(),
        ExclusionCause::NotInjectable(reason) => format!("its node cannot do it: {reason}"),
        ExclusionCause::Dropped => "a guardrail dropped it".to_owned(),
    };
    let view = |exclusion: &Exclusion| NotHitView {
        pod: exclusion.pod.clone(),
        node: exclusion.node.clone(),
        why: why(&exclusion.cause),
    };
    selection.exclusions.iter().map(view).collect()
}
