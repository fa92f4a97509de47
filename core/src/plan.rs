//! Stage 7: what to keep attached where and until when, and everything that will not happen.

use std::collections::BTreeMap;

use faultline_api::{GoDuration, Percent};
use jiff::Timestamp;
use serde::Serialize;

use crate::{
    admit::Admitted,
    defaults::Defaults,
    desired::Probe,
    due::{Step, WhyNot},
    judge::Verdict,
    ledger::{Ledger, Run, RunKey},
    parse::{FileFindings, SourceState},
    select::Selection,
};

/// Immutable instructions. Executing it leaves no choices: the ledger that follows is [`commit`](crate::commit).
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// The instant it was made for.
    pub at: Timestamp,
    /// The sources with their revisions.
    pub sources: BTreeMap<String, SourceState>,
    /// Every run that matters now, ordered by key.
    pub runs: Vec<PlannedRun>,
    /// What each node is to keep attached. Every node that has probes or was ever told of some.
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

/// What holds for a run after defaults and tightenings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// Chance of each hit.
    pub probability: Percent,
    /// Most injections per slot and container; `None`: unlimited.
    pub times: Option<u64>,
    /// How long, from the first acknowledged attach; `None`: until removed.
    pub duration: Option<GoDuration>,
    /// When it ends; `None` until it started, and without a duration.
    pub ends: Option<Timestamp>,
}

/// What will not happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Experiments, pods and documents without an effect.
    pub why_nots: Vec<WhyNot>,
    /// What is wrong with the files.
    pub files: Vec<FileFindings>,
    /// Documents of other kinds, counted.
    pub skipped: BTreeMap<String, u32>,
}

/// Makes the plan.
#[must_use]
pub fn plan(admitted: Admitted<'_>, ledger: &Ledger, defaults: &Defaults, now: Timestamp) -> Plan {
    let _ = (admitted, ledger, defaults, now);
    todo!("lands next")
}

impl Plan {
    /// Canonical JSON: the same plan gives the same bytes, with a newline at the end.
    #[must_use]
    pub fn to_json(&self) -> String {
        todo!("lands next")
    }

    /// What `faultline plan` prints. No colours.
    #[must_use]
    pub fn to_text(&self) -> String {
        todo!("lands next")
    }
}
