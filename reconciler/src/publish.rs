//! What a pass says to the outside: the log, the metrics and the admin interface, all from the same values.

mod news;

use std::sync::{Arc, PoisonError, RwLock};

use faultline_api::{RunState, Severity};
use faultline_core::{
    judge::Decision,
    observe::Transition,
    parse::{Freshness, SourceState},
    tree::Role,
};
use jiff::Timestamp;
pub use news::{News, Problem, ProblemPlace, log, news, problems};

use crate::{
    metrics::{
        GuardrailLabels, Metrics, ProbeLabels, Seconds, SeverityLabels, SourceInfoLabels, SourceLabels,
        Standing, StateLabels, UNKNOWN, VerdictLabels,
    },
    probes::{Nodes, Probes},
    reconcile::Pass,
};

/// The last pass that went through, and how the newest fared.
#[derive(Debug, Default)]
pub struct Board(RwLock<Posted>);

/// What is on the board.
#[derive(Clone, Debug, Default)]
pub struct Posted {
    /// The last pass that went through.
    pub pass: Option<Arc<Pass>>,
    /// Why the newest pass did not.
    pub error: Option<String>,
}

impl Board {
    /// What is on it.
    #[must_use]
    pub fn read(&self) -> Posted {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A pass went through.
    pub fn passed(&self, pass: Arc<Pass>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Posted { pass: Some(pass), error: None };
    }

    /// A pass did not go through; what the last one said still holds.
    pub fn failed(&self, error: String) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).error = Some(error);
    }
}

/// Logs a change and counts it.
pub fn transition(transition: &Transition, metrics: &Metrics) {
    match transition {
        Transition::State { run, from, to, reason, message } => {
            tracing::info!(%run, ?from, ?to, ?reason, message, "run");
        }
        Transition::AttachFailed { run, probe, error } => {
            tracing::warn!(%run, probe, error, "probe not attached");
            metrics.attach_failures.inc();
        }
        Transition::FailureOver { run, probe } => {
            tracing::info!(%run, probe, "failure to attach is over");
        }
        Transition::Fenced { epoch } => {
            tracing::warn!(epoch, "an agent knew a generation that this ledger never gave: the epoch rose");
        }
    }
}

/// What a pass decided, for the metrics.
#[must_use]
pub fn standing(pass: &Pass, nodes: &Nodes, now: Timestamp) -> Standing {
    let standing = Standing::default();
    count_probes(pass, nodes, &standing);
    for state in RunState::ALL {
        let labels = StateLabels { state: state_name(state) };
        let count = pass.plan.runs.iter().filter(|planned| current_state(pass, planned) == state).count();
        standing.runs.get_or_create(&labels).set(saturating(count));
    }
    count_verdicts(pass, &standing);
    for (severity, name) in
        [(Severity::Error, "error"), (Severity::Warning, "warning"), (Severity::Note, "note")]
    {
        let found = pass.plan.report.files.iter().flat_map(|file| &file.findings);
        let count = found.filter(|finding| finding.diagnostic.severity == severity).count();
        standing.diagnostics.get_or_create(&SeverityLabels { severity: name }).set(saturating(count));
    }
    for (name, state) in &pass.plan.sources {
        standing.sources.get_or_create(&source_labels(name, state)).set(1);
    }
    let age = |observed_at| now.duration_since(observed_at).as_secs_f64();
    let inventory_age_seconds =
        pass.inputs.inventory.as_ref().map(|inventory| seconds(age(inventory.observed_at)));
    Standing { inventory_age_seconds, ..standing }
}

/// A guardrail that has said anything shows all four that it could have said with that force.
fn count_verdicts(pass: &Pass, standing: &Standing) {
    for verdict in pass.plan.verdicts() {
        let guardrail = || verdict.guardrail.clone();
        for word in Decision::WORDS {
            let labels =
                VerdictLabels { guardrail: guardrail(), verdict: word, force: verdict.force().as_str() };
            let said = word == verdict.decision.as_str();
            standing.verdicts.get_or_create(&labels).inc_by(said.into());
        }
        if let Some(proof) = &verdict.proof {
            let most = standing.guardrail_fuel.get_or_create(&GuardrailLabels { guardrail: guardrail() });
            most.set(most.get().max(i64::try_from(proof.fuel).unwrap_or(i64::MAX)));
        }
    }
}

/// Only what is in the plan is counted, so that what is over does not stay.
fn count_probes(pass: &Pass, nodes: &Nodes, standing: &Standing) {
    let probes = Probes::of(pass, nodes);
    for planned in &pass.plan.runs {
        for probe in probes.of_targets(planned) {
            let labels = ProbeLabels {
                experiment: planned.key.experiment.to_string(),
                node: probe.node.to_owned(),
                state: if probe.is_connected() { probe.activity.as_str() } else { UNKNOWN },
            };
            standing.probes.get_or_create(&labels).inc();
        }
    }
}

fn seconds(value: f64) -> Seconds {
    let seconds = Seconds::default();
    seconds.set(value);
    seconds
}

fn source_labels(name: &str, state: &SourceState) -> SourceInfoLabels {
    SourceInfoLabels {
        source: name.to_owned(),
        role: role_name(state.role),
        revision: state.revision.clone().unwrap_or_default(),
        freshness: freshness_name(state.freshness),
    }
}

/// For how long each source could not be read.
pub fn staleness<'a>(
    sources: impl Iterator<Item = (&'a str, Option<Timestamp>)>,
    now: Timestamp,
    metrics: &Metrics,
) {
    for (source, since) in sources {
        let seconds = since.map_or(0.0, |since| now.duration_since(since).as_secs_f64());
        metrics.source_stale_seconds.get_or_create(&SourceLabels { source: source.to_owned() }).set(seconds);
    }
}

/// The run's state as reports have it since the plan was made.
fn current_state(pass: &Pass, planned: &faultline_core::plan::PlannedRun) -> RunState {
    pass.ledger.runs.get(&planned.key).map_or(planned.run.state, |run| run.state)
}

const fn state_name(state: RunState) -> &'static str {
    match state {
        RunState::Pending => "Pending",
        RunState::Running => "Running",
        RunState::Held => "Held",
        RunState::Completed => "Completed",
        RunState::Stopped => "Stopped",
    }
}

const fn role_name(role: Role) -> &'static str {
    match role {
        Role::Platform => "platform",
        Role::Experiments => "experiments",
    }
}

const fn freshness_name(freshness: Freshness) -> &'static str {
    match freshness {
        Freshness::Fresh => "fresh",
        Freshness::Stale => "stale",
        Freshness::Expired => "expired",
        Freshness::Missing => "missing",
    }
}

fn saturating(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
