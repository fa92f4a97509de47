//! Which pods may be hit: Chaos Mesh's selector with all its fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Keys of `fieldSelectors` that can be answered from an inventory.
pub const FIELD_KEYS: [&str; 4] = ["metadata.name", "metadata.namespace", "spec.nodeName", "status.phase"];

/// All fields must hold; an empty field holds for every pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Selector {
    /// Never empty: without the field, the namespaces of `pods`, or else the experiment's own.
    pub namespaces: Vec<String>,
    /// Names of nodes.
    pub nodes: Vec<String>,
    /// Pods by namespace; where it is not empty, only these.
    pub pods: BTreeMap<String, Vec<String>>,
    /// Labels of the pod's node.
    pub node_selectors: BTreeMap<String, String>,
    /// Fields of the pod, by one of [`FIELD_KEYS`].
    pub field_selectors: BTreeMap<String, String>,
    /// Labels of the pod.
    pub label_selectors: BTreeMap<String, String>,
    /// Set-based requirements on the pod's labels.
    pub expression_selectors: Vec<Requirement>,
    /// Annotations of the pod.
    pub annotation_selectors: BTreeMap<String, String>,
    /// Phases; empty: any.
    pub pod_phase_selectors: Vec<PodPhase>,
}

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Requirement {
    /// The label.
    pub key: String,
    /// What is required of it.
    pub operator: Operator,
    /// Empty for `Exists` and `DoesNotExist`, otherwise not.
    pub values: Vec<String>,
}

impl Requirement {
    /// Whether `labels` satisfy it. As Kubernetes has it, a label that is absent satisfies `NotIn`.
    #[must_use]
    pub fn holds_for(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        let listed = value.is_some_and(|value| self.values.contains(value));
        match self.operator {
            Operator::In => listed,
            Operator::NotIn => !listed,
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

/// Kubernetes' `LabelSelector`: every part must hold, and without any it holds for all labels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LabelSelector {
    /// Labels with their values.
    pub match_labels: BTreeMap<String, String>,
    /// Set-based requirements.
    pub match_expressions: Vec<Requirement>,
}

impl LabelSelector {
    /// Whether `labels` are selected.
    #[must_use]
    pub fn holds_for(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
            && self.match_expressions.iter().all(|requirement| requirement.holds_for(labels))
    }
}

/// Kubernetes' label selector operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Operator {
    /// The label has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// Kubernetes' phases of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PodPhase {
    /// Accepted, not all containers run.
    Pending,
    /// Bound to a node, at least one container runs.
    Running,
    /// All containers ended well.
    Succeeded,
    /// All containers ended, at least one badly.
    Failed,
    /// The node cannot be reached.
    Unknown,
}
