//! A guardrail: a WebAssembly module bound to settings and to what it matches.

use serde::{Deserialize, Serialize};

use crate::Fault;

/// One `Guardrail` document, validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guardrail {
    /// `metadata.name`.
    pub name: String,
    /// Path of the module, relative to the root of the guardrail's source.
    pub module: String,
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
}
