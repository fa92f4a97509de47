//! Stage 2: what the guardrails say of each document, before anything is selected.

mod ask;
mod builtin;
mod cache;
mod matching;
mod verdict;
mod words;

use std::{cell::LazyCell, collections::BTreeMap};

use faultline_api::{ExperimentId, Tightening};
use jiff::Timestamp;

pub(crate) use ask::{Asked, Guard, prepare};
pub use cache::VerdictCache;
pub(crate) use matching::{Concern, Labelled, Subject, Targets, concern};
pub(crate) use verdict::Hearing;
pub use verdict::{Decision, Force, Outcome, Proof, Verdict};
pub use words::limits;

use crate::{
    defaults::Defaults,
    due::WhyNot,
    effective::Effective,
    ledger::Ledger,
    parse::{Declared, Parsed},
    review::{Evaluator, Moment, Operation, Review},
};

/// What the sources declare, with the verdicts on each document.
#[derive(Debug)]
pub struct Judged<'a> {
    /// What was judged.
    pub parsed: &'a Parsed,
    /// For every experiment of `parsed`.
    pub judgements: BTreeMap<&'a ExperimentId, Judgement>,
    /// Guardrails that cannot be asked about anything, whether or not an experiment meets them.
    pub unusable: Vec<WhyNot>,
}

/// What all guardrails together say of one experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// One by one, in the order of their names and places.
    pub verdicts: Vec<Verdict>,
    /// What they lead to.
    pub outcome: Outcome,
}

/// Asks every guardrail that matches about every document. What the modules are asked has no time in it; `now` decides
/// which exceptions hold. `cache` only saves time: it never changes the result.
#[must_use]
pub fn judge<'a>(
    parsed: &'a Parsed,
    ledger: &Ledger,
    defaults: &Defaults,
    evaluator: &dyn Evaluator,
    cache: &mut VerdictCache,
    now: Timestamp,
) -> Judged<'a> {
    let guardrails = prepare(&parsed.guardrails, evaluator);
    let unread = builtin::unread_sources(parsed);
    let mut judge_one = |id: &ExperimentId, declared: &Declared| {
        let values = Effective::of(&declared.experiment, &Tightening::default(), defaults, None);
        let operation = operation(id, declared, ledger);
        let review = LazyCell::new(|| review(declared, operation));
        let subject = Subject::of_document(&declared.experiment, &declared.place.source);
        let mut evaluate = |guard: &Guard<'_>| {
            cache.evaluate(guard, declared, operation, || guard.evaluate(evaluator, &review))
        };
        let hearing = Hearing { experiment: id, values: &values, now };
        let asked = guardrails.iter().filter(|asked| concern(asked.bound, &subject) == Concern::Asked);
        let mut verdicts = unread.clone();
        verdicts.extend(asked.filter_map(|asked| asked.ask(Moment::Judge, &hearing, &mut evaluate)));
        let limit = match Outcome::of(&verdicts) {
            Outcome::Admit(limit) => limit,
            Outcome::Deny(_) | Outcome::Undecided(_) => Tightening::default(),
        };
        verdicts.extend(builtin::defaults(&declared.experiment, &limit, defaults));
        Judgement { outcome: Outcome::of(&verdicts), verdicts }
    };
    let judgements = parsed.experiments.iter().map(|(id, declared)| (id, judge_one(id, declared))).collect();
    Judged { parsed, judgements, unusable: guardrails.iter().filter_map(Asked::unusable).collect() }
}

/// The question about a document alone.
#[must_use]
pub fn review(declared: &Declared, operation: Operation) -> Review {
    Review {
        experiment: (*declared.experiment).clone(),
        raw: declared.written.raw.clone(),
        operation,
        source: (*declared.source).clone(),
        admission: None,
    }
}

/// What happens to the document, as far as the ledger tells.
fn operation(id: &ExperimentId, declared: &Declared, ledger: &Ledger) -> Operation {
    match ledger.newest(id) {
        Some((_, run)) if run.state.is_over() => Operation::Create,
        Some((_, run)) if run.declared != declared.experiment => Operation::Update,
        Some(_) => Operation::Renew,
        None => Operation::Create,
    }
}
