//! Stage 7: what to keep attached where and until when, and everything that will not happen.

mod probes;
mod report;
mod text;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use faultline_api::{ExperimentId, Reason, RunState};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    admit::Admitted,
    defaults::Defaults,
    desired::Probe,
    due::{Step, WhyNot},
    effective::Effective,
    invariants::check_plan,
    judge::{Judged, Verdict},
    ledger::{Ledger, Run, RunKey},
    parse::{FileFindings, SourceState},
    select::{SelectedRun, Selection},
};

/// Immutable instructions. Executing them leaves no choices: the ledger that follows is
/// [`commit`](crate::commit()).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The instant it was made for.
    pub at: Timestamp,
    /// When the inventory was observed; `None`: there is none, and nothing was selected.
    pub inventory: Option<Timestamp>,
    /// The sources with their revisions.
    pub sources: BTreeMap<String, SourceState>,
    /// Every run that matters now, ordered by key.
    pub runs: Vec<PlannedRun>,
    /// What the guardrails said of experiments that have no run here, by `namespace/name`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, Vec<Verdict>>,
    /// What each node is to keep attached: every node that has probes or was ever told of some. Ordered by id.
    pub nodes: BTreeMap<String, Vec<Probe>>,
    /// What will not happen, and why.
    pub report: Report,
    /// When time alone changes the plan next.
    pub next: Option<Timestamp>,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlannedRun {
    /// Which run.
    pub key: RunKey,
    /// What happens to it.
    pub step: Step,
    /// The record as the ledger will have it.
    pub run: Run,
    /// What holds for it.
    pub effective: Effective,
    /// `None` where it wants no probes, and where there is no inventory.
    pub selection: Option<Selection>,
    /// What the guardrails said.
    pub verdicts: Vec<Verdict>,
}

/// What will not happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Experiments, pods and documents without an effect.
    pub why_nots: Vec<WhyNot>,
    /// What is wrong with the files.
    pub files: Vec<Arc<FileFindings>>,
    /// Documents of other kinds, counted.
    pub skipped: BTreeMap<String, u32>,
}

/// Makes the plan.
#[must_use]
pub fn plan(admitted: Admitted<'_>, ledger: &Ledger, defaults: &Defaults, now: Timestamp) -> Plan {
    let Admitted { judged, runs, why_nots, refused, observed_at } = admitted;
    let told = ledger.nodes.keys().map(|node| (node.clone(), Vec::new()));
    let mut plan = Plan {
        at: now,
        inventory: observed_at,
        sources: judged.parsed.sources.clone(),
        refused: without_run(judged, &runs).chain(refused).map(|(id, said)| (id.to_string(), said)).collect(),
        runs: Vec::with_capacity(runs.len()),
        nodes: told.collect(),
        report: Report {
            why_nots,
            files: judged.parsed.files.clone(),
            skipped: judged.parsed.skipped.clone(),
        },
        next: judged.parsed.next_exception_to_end(now),
    };
    for run in runs {
        plan.add(run, ledger, defaults);
    }
    plan.report.why_nots.extend(judged.unusable.iter().cloned());
    plan.report.why_nots.extend(report::of_sources(judged.parsed));
    plan.report.why_nots.sort();
    plan.nodes.values_mut().for_each(|probes| probes.sort_by(|a, b| a.id.cmp(&b.id)));
    debug_assert_eq!(check_plan(&plan, ledger), [], "a plan keeps every invariant");
    plan
}

impl Plan {
    fn add(&mut self, selected: SelectedRun<'_>, ledger: &Ledger, defaults: &Defaults) {
        let SelectedRun { candidate, selection } = selected;
        let mut run = candidate.run;
        let effective = Effective::of(&run.declared, &run.tightened, defaults, run.started);
        if let Some(selection) = &selection {
            settle_reason(&mut run, selection);
            let waiting =
                probes::build(&candidate.key, &mut run, selection, &effective, ledger, &mut self.nodes);
            self.report.why_nots.extend(waiting);
        }
        if !run.state.is_over() {
            self.next = [self.next, effective.ends].into_iter().flatten().min();
        }
        let verdicts = candidate.verdicts;
        let planned =
            PlannedRun { key: candidate.key, step: candidate.step, run, effective, selection, verdicts };
        self.report.why_nots.extend(report::of_run(&planned, self.inventory.is_some()));
        self.runs.push(planned);
    }

    /// Every verdict, on what runs and on what does not.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        let of_runs = self.runs.iter().flat_map(|planned| &planned.verdicts);
        of_runs.chain(self.refused.values().flatten())
    }

    /// Canonical JSON: the same plan gives the same bytes, with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        crate::digest::pretty_json(self) + "\n"
    }

    /// What `faultline plan` prints. No colours.
    #[must_use]
    pub fn to_text(&self) -> String {
        text::render(self)
    }
}

/// What was said of documents that no run is of, if anything was.
fn without_run<'j>(
    judged: &'j Judged<'_>,
    runs: &[SelectedRun<'_>],
) -> impl Iterator<Item = (ExperimentId, Vec<Verdict>)> + use<'j> {
    let runs: BTreeSet<ExperimentId> = runs.iter().map(|run| run.candidate.key.experiment.clone()).collect();
    let others = judged.judgements.iter().filter(move |(id, _)| !runs.contains(*id));
    let said = others.filter(|(_, judgement)| !judgement.verdicts.is_empty());
    said.map(|(id, judgement)| ((*id).clone(), judgement.verdicts.clone()))
}

/// Why a run that wants probes stands where it does.
fn settle_reason(run: &mut Run, selection: &Selection) {
    let failure = run.failures.iter().next().map(|(probe, error)| format!("{probe}: {error}"));
    let (reason, message) = match (run.state, failure) {
        _ if selection.targets.is_empty() => report::without_target(run, selection),
        (RunState::Running, _) => (Reason::Attached, String::new()),
        (_, Some(failure)) => (Reason::NotInjectable, failure),
        (_, None) => (Reason::AwaitingAttach, String::new()),
    };
    (run.reason, run.message) = (reason, message);
}
