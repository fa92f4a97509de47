//! Stage 5: which pods fill the slots of each run.

use serde::Serialize;

use crate::{
    defaults::Defaults,
    desired::Target,
    due::{Candidate, Due, WhyNot},
    inventory::Inventory,
    judge::Judged,
};

/// The runs with their selections.
#[derive(Debug)]
pub struct Selected<'a> {
    /// What was judged.
    pub judged: &'a Judged<'a>,
    /// As in [`Due`], with slots filled.
    pub runs: Vec<SelectedRun<'a>>,
    /// As in [`Due`].
    pub why_nots: Vec<WhyNot>,
}

/// One run with its selection.
#[derive(Clone, Debug)]
pub struct SelectedRun<'a> {
    /// The run; its slots are filled.
    pub candidate: Candidate<'a>,
    /// `None` where the run wants no probes, and where there is no inventory.
    pub selection: Option<Selection>,
}

/// What selecting came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Selection {
    /// Pods that the selector matches.
    pub matched: u32,
    /// Of those, pods that can be hit.
    pub eligible: u32,
    /// The containers in the slots, ordered by slot.
    pub targets: Vec<SlotTarget>,
    /// Matched pods that cannot be hit, and why.
    pub exclusions: Vec<Exclusion>,
}

/// One container in one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotTarget {
    /// Its slot.
    pub slot: u32,
    /// Its node.
    pub node: String,
    /// The container.
    pub target: Target,
    /// Labels of its pod.
    pub labels: std::collections::BTreeMap<String, String>,
    /// Whether the pod was not in the slot before.
    pub fresh: bool,
    /// How the node's kernel injects, such as `fmod_ret`; `None`: not known, no agent has said so yet.
    pub mechanism: Option<String>,
}

/// A matched pod that cannot be hit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Exclusion {
    /// `namespace/name`.
    pub pod: String,
    /// Its node.
    pub node: String,
    /// Why.
    pub cause: ExclusionCause,
}

/// Why a matched pod cannot be hit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case", tag = "because", content = "detail")]
pub enum ExclusionCause {
    /// Its namespace is protected by default.
    ProtectedNamespace,
    /// Its containers have ended.
    Ended,
    /// It has none of the named containers, or none at all.
    NoContainer,
    /// The kernel of its node cannot do it, and why.
    NotInjectable(String),
    /// A guardrail dropped it.
    Dropped,
}

/// Fills the slots of every run that wants probes.
#[must_use]
pub fn select<'a>(due: Due<'a>, inventory: Option<&Inventory>, defaults: &Defaults) -> Selected<'a> {
    let _ = (due, inventory, defaults);
    todo!("lands next")
}
