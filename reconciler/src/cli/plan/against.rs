//! `faultline plan --guardrails OLD --against NEW`: whose verdict changes with other guardrails.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::Path,
    sync::Arc,
    time::Duration,
};

use faultline_api::{ExperimentId, Reason, Tightening};
use faultline_core::{
    due::WhyNot,
    judge::{Judgement, Outcome as Verdict, judge, limits},
    parse::Freshness,
    plan::Plan,
    review::Evaluator,
    tree::Role,
};
use serde::Serialize;

use super::{CliError, Outcome, PlanCommand};
use crate::{
    reconcile::{Pass, reconcile},
    source::Directory,
};

/// What the source of the guardrails is called, before and after: their places are the same then.
const SOURCE: &str = "guardrails";

/// What changes.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Changes {
    /// Experiments that were compared.
    experiments: usize,
    changes: Vec<Change>,
    /// What is wrong after and was not before, other than with experiments.
    problems: Vec<WhyNot>,
    #[serde(skip)]
    rendered: String,
    #[serde(skip)]
    unread: bool,
}

/// One experiment whose verdict is another.
#[derive(Debug, Serialize)]
struct Change {
    experiment: String,
    before: Standing,
    after: Standing,
}

/// What all guardrails together say of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
enum Standing {
    Allow,
    Mutate { limit: Tightening },
    Deny { message: String },
    Undecided { message: String },
}

/// A pass with one set of guardrails.
struct Side {
    standings: BTreeMap<String, Standing>,
    plan: Plan,
}

impl PlanCommand {
    /// Plans with the guardrails of `before` and with those of `after`, and compares.
    pub(super) fn changes(
        &self,
        before: &Path,
        after: &Path,
        evaluator: &Arc<dyn Evaluator + Send + Sync>,
    ) -> Result<Changes, CliError> {
        Ok(Changes::between(&self.side(before, evaluator)?, &self.side(after, evaluator)?))
    }

    fn side(
        &self,
        guardrails: &Path,
        evaluator: &Arc<dyn Evaluator + Send + Sync>,
    ) -> Result<Side, CliError> {
        let mut deps = self.deps(Arc::clone(evaluator))?;
        if deps.sources.iter().any(|source| source.name() == SOURCE) {
            return Err(CliError::SameName(SOURCE.to_owned()));
        }
        deps.sources.push(Directory::new(SOURCE, Role::Platform, guardrails.to_owned(), Duration::ZERO));
        let Pass { plan, inputs, parsed, .. } = reconcile(&mut deps)?;
        // Once more, from what is remembered: of an experiment without a run, the plan does not tell what was said.
        let (ledger, defaults, verdicts) = (&inputs.ledger, &deps.defaults, &mut deps.cache.verdicts);
        let judged = judge(&parsed, ledger, defaults, &**evaluator, verdicts, plan.at);
        let standing = |id: &ExperimentId, judgement: &Judgement| {
            let told = plan.runs.iter().rfind(|planned| planned.key.experiment == *id);
            let verdicts = told.map_or(&judgement.verdicts, |planned| &planned.verdicts);
            refusal(&plan, &id.to_string()).unwrap_or_else(|| Standing::from(Verdict::of(verdicts)))
        };
        let standings =
            judged.judgements.iter().map(|(id, own)| (id.to_string(), standing(id, own))).collect();
        Ok(Side { standings, plan })
    }
}

/// Why the experiment does not begin, where that is for a guardrail.
fn refusal(plan: &Plan, experiment: &str) -> Option<Standing> {
    let why = plan.report.why_nots.iter().find(|why| why.subject == experiment)?;
    let message = why.message.clone();
    match why.reason {
        Some(Reason::Denied) => Some(Standing::Deny { message }),
        Some(Reason::Undecided) => Some(Standing::Undecided { message }),
        _ => None,
    }
}

impl From<Verdict> for Standing {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Admit(limit) if limit == Tightening::default() => Self::Allow,
            Verdict::Admit(limit) => Self::Mutate { limit },
            Verdict::Deny(message) => Self::Deny { message },
            Verdict::Undecided(message) => Self::Undecided { message },
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allow"),
            Self::Mutate { limit } => write!(f, "mutate: {}", limits(limit)),
            Self::Deny { message } => write!(f, "deny: {message}"),
            Self::Undecided { message } => write!(f, "undecided: {message}"),
        }
    }
}

impl Changes {
    fn between(before: &Side, after: &Side) -> Self {
        // The experiments are the same on both sides: only guardrails differ.
        let pairs =
            after.standings.iter().filter_map(|(id, after)| Some((id, before.standings.get(id)?, after)));
        let changes = pairs.filter(|(_, before, after)| before != after).map(|(id, before, after)| Change {
            experiment: id.clone(),
            before: before.clone(),
            after: after.clone(),
        });
        let known: BTreeSet<_> = before.plan.report.why_nots.iter().collect();
        let about_experiments = |why: &WhyNot| {
            let run = why.subject.split('#').next().unwrap_or_default();
            after.standings.contains_key(run)
        };
        let problems = after.plan.report.why_nots.iter();
        let problems = problems.filter(|why| !known.contains(why) && !about_experiments(why));
        let broken = after.plan.report.files.iter().filter(|file| file.source == SOURCE);
        Self {
            experiments: after.standings.len(),
            changes: changes.collect(),
            problems: problems.cloned().collect(),
            rendered: broken.map(|file| file.rendered.as_str()).collect(),
            unread: [before, after].iter().any(|side| side.is_unread()),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.rendered.clone();
        for Change { experiment, before, after } in &self.changes {
            text += &format!("{experiment}\n  - {before}\n  + {after}\n\n");
        }
        for WhyNot { subject, place, reason: _, message } in &self.problems {
            let place = place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
            text += &format!("{subject}{place}\n  {message}\n\n");
        }
        let changed = self.changes.len();
        text + &format!("{changed} of {} experiments: another verdict\n", self.experiments)
    }

    /// As for a plan: what is wrong weighs more than what differs, and not having read anything weighs most.
    pub(super) fn outcome(&self, exit_code: bool) -> Outcome {
        if self.unread {
            Outcome::Undecided
        } else if !self.problems.is_empty() || exit_code && !self.changes.is_empty() {
            Outcome::Found
        } else {
            Outcome::Fine
        }
    }
}

impl Side {
    fn is_unread(&self) -> bool {
        self.plan.sources.values().any(|source| source.freshness == Freshness::Missing)
    }
}
