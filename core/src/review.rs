//! What a guardrail is asked and what it answers.

use faultline_api::{Experiment, Tightening};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::desired::Target;

mod reach;
pub use reach::{Hit, Reach};

/// What happens to the experiment. A removal is never asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// It has no run yet.
    Create,
    /// Its run goes on with other content.
    Update,
    /// Its run goes on as it is.
    Renew,
}

/// The question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Review {
    /// Effective values.
    pub experiment: Experiment,
    /// The document as it was written, as JSON.
    pub raw: serde_json::Value,
    /// What happens to it.
    pub operation: Operation,
    /// Where it comes from.
    pub source: SourceFacts,
    /// The second moment; `None` when only the document is judged.
    pub admission: Option<Admission>,
}

/// Where a document comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceFacts {
    /// Name of the source.
    pub name: String,
    /// Its revision.
    pub revision: String,
    /// Author of the revision, where there is one.
    pub author: Option<String>,
    /// Whether the revision's signature was verified.
    pub verified: bool,
}

/// What is known only once targets are selected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Admission {
    /// The instant of the decision.
    pub now: Timestamp,
    /// Free text that names the environment, such as `production`.
    pub environment: String,
    /// The selected containers with their nodes and labels.
    pub targets: Vec<SelectedTarget>,
    /// Eligible pods, of which the targets are a part.
    pub eligible: u32,
    /// How much is hit by what was admitted before this one.
    pub others: Reach,
    /// How much is hit by that and the targets.
    pub together: Reach,
    /// What was admitted before this one.
    pub active: Vec<Active>,
}

/// One selected container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SelectedTarget {
    /// Its node.
    pub node: String,
    /// The container.
    pub target: Target,
    /// Labels of its pod.
    pub labels: std::collections::BTreeMap<String, String>,
}

/// One admitted run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Active {
    /// Which run.
    pub run: crate::ledger::RunKey,
    /// Its containers, as `(node, namespace, pod uid)`.
    pub targets: Vec<(String, String, String)>,
}

/// The moments at which a guardrail can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Moment {
    /// About the document alone.
    Judge,
    /// With the selection, the time, and what is active.
    Admit,
}

/// What a module says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Description {
    /// Name of the module.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Names of its rules.
    pub rules: Vec<String>,
    /// When it wants to be asked.
    pub moments: Vec<Moment>,
    /// What it wants to read.
    pub inputs: Inputs,
}

/// What a module reads beyond the experiment and the operation. The rest is withheld from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inputs {
    /// The document as it was written.
    pub raw: bool,
    /// Where the document comes from, its revision among it: then every revision is another question.
    pub source: bool,
    /// Which runs are active on which pods, and not only how many.
    #[serde(default)]
    pub active: bool,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Response {
    /// Any of these denies.
    pub denials: Vec<Finding>,
    /// Each tightens.
    pub tightenings: Vec<TightenFinding>,
    /// Shown and nothing else.
    pub warnings: Vec<Finding>,
}

/// One thing that a guardrail found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which of its rules.
    pub rule: String,
    /// Field of the document, such as `spec.duration`.
    pub path: String,
    /// In words.
    pub message: String,
}

/// One limit and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TightenFinding {
    /// The limit.
    pub limit: Tightening,
    /// Why.
    pub finding: Finding,
}

/// One evaluation, with what it cost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Evaluation {
    /// The answer, or why there is none: then the verdict is undecided.
    pub outcome: Result<Response, Undecided>,
    /// `sha256:<hex>` of the module.
    pub module_digest: String,
    /// Fuel used.
    pub fuel: u64,
}

/// Why a guardrail could not decide. Nothing is attached on the strength of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase", tag = "cause", content = "detail")]
pub enum Undecided {
    /// The module is not there.
    #[error("the module cannot be read: {0}")]
    MissingModule(String),
    /// The module is not one that the host runs.
    #[error("the module is refused: {0}")]
    RefusedModule(String),
    /// The settings do not suit the module.
    #[error("the settings are not valid: {}", .0.join("; "))]
    InvalidSettings(Vec<String>),
    /// The module trapped.
    #[error("the module trapped: {0}")]
    Trapped(String),
    /// It used up its fuel or its time.
    #[error("the module did not finish within {0}")]
    OutOfBounds(String),
    /// It said so itself.
    #[error("the module gave up: {0}")]
    GaveUp(String),
    /// Its answer is too large or breaks the rules for answers.
    #[error("the module's answer is refused: {0}")]
    BadAnswer(String),
}

/// Runs modules. Deterministic: the same module, settings and review give the same evaluation.
pub trait Evaluator {
    /// What the module says of itself.
    ///
    /// # Errors
    /// The module is refused or does not answer.
    fn describe(&self, module: &[u8]) -> Result<Description, Undecided>;

    /// The same, where `settings` as JSON suit the module: whether it can be asked at all, before it is.
    ///
    /// # Errors
    /// The module is refused, does not answer, or refuses the settings.
    fn check(&self, module: &[u8], _settings: &serde_json::Value) -> Result<Description, Undecided> {
        self.describe(module)
    }

    /// Asks `module`, under `settings` as JSON, about `review`. Settings are validated by the module first.
    fn evaluate(&self, module: &[u8], settings: &serde_json::Value, review: &Review) -> Evaluation;
}
