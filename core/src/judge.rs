//! Stage 2: what the guardrails say of each document, before anything is selected.

use std::collections::BTreeMap;

use faultline_api::{ExperimentId, GuardrailMode, Tightening};
use serde::{Deserialize, Serialize};

use crate::{
    defaults::Defaults,
    ledger::Ledger,
    parse::Parsed,
    review::{Evaluator, Finding, Moment},
};

mod cache;
pub use cache::VerdictCache;

/// What the sources declare, with the verdicts on each document.
#[derive(Debug)]
pub struct Judged<'a> {
    /// What was judged.
    pub parsed: &'a Parsed,
    /// For every experiment of `parsed`.
    pub judgements: BTreeMap<&'a ExperimentId, Judgement>,
}

/// What all guardrails together say of one experiment at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// Every guardrail that was asked, ordered by name and place.
    pub verdicts: Vec<Verdict>,
}

/// What one guardrail says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Name of the guardrail, or `defaults`.
    pub guardrail: String,
    /// Where it is declared; empty for `defaults`.
    pub place: String,
    /// When it was asked.
    pub moment: Moment,
    /// Whether it acts.
    pub mode: GuardrailMode,
    /// What it says.
    pub decision: Decision,
    /// Shown and nothing else.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Finding>,
    /// `sha256:<hex>` of the module; `None` where there is none.
    pub module_digest: Option<String>,
    /// `sha256:<hex>` of the settings as JSON.
    pub settings_digest: Option<String>,
    /// Fuel used.
    pub fuel: u64,
}

/// The four verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub enum Decision {
    /// Nothing against it.
    Allow,
    /// Tighter limits.
    Mutate {
        /// The limits.
        limit: Tightening,
        /// Why.
        findings: Vec<Finding>,
    },
    /// No.
    Deny {
        /// Why.
        findings: Vec<Finding>,
    },
    /// It cannot say. Nothing is attached.
    Undecided {
        /// Why.
        error: String,
    },
}

/// Asks every guardrail that matches about every document. `cache` only saves time: it never changes the result.
#[must_use]
pub fn judge<'a>(
    parsed: &'a Parsed,
    ledger: &Ledger,
    defaults: &Defaults,
    evaluator: &dyn Evaluator,
    cache: &mut VerdictCache,
) -> Judged<'a> {
    let _ = (parsed, ledger, defaults, evaluator, cache);
    todo!("lands next")
}
