//! Stage 3: which runs there are, begin, go on, are held, and end.

mod absent;
mod edit;
mod present;

use std::collections::BTreeSet;

use faultline_api::{ExperimentId, Reason};
use jiff::Timestamp;
use serde::Serialize;

pub(crate) use present::complete;

use crate::{
    defaults::Defaults,
    judge::{Judged, Verdict},
    ledger::{Ledger, Run, RunKey},
    parse::Declared,
};

/// Every run that matters now, and every declared experiment that has none.
#[derive(Debug)]
pub struct Due<'a> {
    /// What was judged.
    pub judged: &'a Judged<'a>,
    /// Ordered by key: the newest run of each experiment, and one before it that ends now.
    pub runs: Vec<Candidate<'a>>,
    /// Experiments that do not begin, and why.
    pub why_nots: Vec<WhyNot>,
}

/// A run on its way through the stages.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Which run.
    pub key: RunKey,
    /// What happens to it.
    pub step: Step,
    /// The record as the ledger will have it. A run that is Pending or Running here wants probes.
    pub run: Run,
    /// What it runs; `None`: no longer in a tree, or not readable there.
    pub declared: Option<&'a Declared>,
    /// What was said of it so far.
    pub verdicts: Vec<Verdict>,
}

/// What happens to a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// It begins.
    Begin,
    /// It goes on as it is.
    GoOn,
    /// It goes on with an edited experiment.
    Edit,
    /// It was held and goes on.
    Resume,
    /// It is detached for now.
    Hold,
    /// It ends now.
    End,
    /// It was over before.
    Over,
}

/// Something that will not happen, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WhyNot {
    /// A run, an experiment, a document, a file or a source.
    pub subject: String,
    /// Where it is declared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Why; `None`: it cannot be said without an inventory.
    pub reason: Option<Reason>,
    /// In words.
    pub message: String,
}

/// Decides which runs exist at `now`.
#[must_use]
pub fn due<'a>(judged: &'a Judged<'a>, ledger: &Ledger, defaults: &Defaults, now: Timestamp) -> Due<'a> {
    let mut due = Due { judged, runs: Vec::new(), why_nots: Vec::new() };
    let known = ledger.runs.keys().map(|key| &key.experiment);
    let ids: BTreeSet<&ExperimentId> = judged.parsed.experiments.keys().chain(known).collect();
    for id in ids {
        match (judged.parsed.experiments.get(id), ledger.newest(id)) {
            (Some(declared), newest) => due.present(declared, newest, ledger, defaults, now),
            (None, Some((key, run))) => {
                due.runs.extend(absent::decide(key, run, judged.parsed, defaults, now));
            }
            (None, None) => {}
        }
    }
    due
}
