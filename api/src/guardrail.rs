//! A guardrail: a WebAssembly module bound to settings and to what it matches.

use serde::{Deserialize, Serialize};

use crate::{ExperimentId, Fault, ModuleRef, glob, selector::LabelSelector};

/// One `Guardrail` document, validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guardrail {
    /// `metadata.name`.
    pub name: String,
    /// Where its module is.
    pub module: ModuleRef,
    /// Whether it acts or only reports.
    pub mode: GuardrailMode,
    /// Whether tightenings apply; where not, a tightening is a denial.
    pub allowed_to_mutate: bool,
    /// What it judges.
    pub matches: Match,
    /// What it does not judge, though it matches.
    pub exclude: Option<Match>,
    /// Handed to the module with every call, as JSON.
    pub settings: serde_json::Value,
    /// Added to each denial.
    pub message: Option<String>,
    /// Experiments that it does not act on for a while.
    pub exceptions: Vec<Exception>,
}

impl Guardrail {
    /// Whether it may come to be decided only where the targets are known, whether this is asked about something.
    #[must_use]
    pub fn needs_targets(&self) -> bool {
        self.matches.needs_targets() || self.exclude.as_ref().is_some_and(Match::needs_targets)
    }
}

/// Leave from a guardrail: until it runs out, what the guardrail says of these experiments is shown and not obeyed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Exception {
    /// Globs, each one over the namespace, a slash, and one over the name; never empty.
    pub experiments: Vec<String>,
    /// The first instant at which it no longer holds.
    pub expires_at: jiff::Timestamp,
    /// Why it was granted.
    pub reason: String,
    /// Where that was agreed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

impl Exception {
    /// Whether it is about `experiment`, in force or not.
    #[must_use]
    pub fn is_about(&self, experiment: &ExperimentId) -> bool {
        self.experiments.iter().any(|pattern| {
            let (namespace, name) = pattern.split_once('/').unwrap_or((pattern, ""));
            glob(namespace, &experiment.namespace) && glob(name, &experiment.name)
        })
    }
}

/// What a verdict leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuardrailMode {
    /// Denials deny and tightenings tighten.
    #[default]
    Protect,
    /// Verdicts are reported and nothing else.
    Monitor,
}

/// Criteria on an experiment and its targets. Empty matches everything; all given fields must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Match {
    /// Globs over the namespaces of the targets (`*` any run of characters, `?` one).
    pub namespaces: Vec<String>,
    /// The faults.
    pub failtypes: Vec<Fault>,
    /// Names of sources.
    pub sources: Vec<String>,
    /// Labels of a target's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// Labels of a target's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_selector: Option<LabelSelector>,
}

impl Match {
    /// Whether it can be decided only where the targets are known.
    #[must_use]
    pub const fn needs_targets(&self) -> bool {
        self.namespace_selector.is_some() || self.label_selector.is_some()
    }
}
