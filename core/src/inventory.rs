//! A dated observation of nodes, namespaces and pods: what selectors select from.

use std::collections::BTreeMap;

use faultline_api::{Fault, selector::PodPhase};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Everything that selectors see. Files of this shape can be written by hand or exported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Inventory {
    /// When it was observed.
    pub observed_at: Timestamp,
    /// The nodes, by name.
    #[serde(default)]
    pub nodes: BTreeMap<String, Node>,
    /// The namespaces, by name.
    #[serde(default)]
    pub namespaces: BTreeMap<String, Namespace>,
    /// The pods, ordered by namespace and name.
    #[serde(default)]
    pub pods: Vec<Pod>,
}

impl Inventory {
    /// Labels of every namespace, with the one that every namespace of Kubernetes has: its name.
    #[must_use]
    pub fn labels_of_namespaces(&self) -> BTreeMap<&str, BTreeMap<String, String>> {
        let labels = |name: &str, namespace: &Namespace| {
            let mut labels = namespace.labels.clone();
            labels.entry(NAME_OF_NAMESPACE.to_owned()).or_insert_with(|| name.to_owned());
            labels
        };
        self.namespaces.iter().map(|(name, namespace)| (name.as_str(), labels(name, namespace))).collect()
    }
}

/// The label that the API server gives every namespace since Kubernetes 1.22.
const NAME_OF_NAMESPACE: &str = "kubernetes.io/metadata.name";

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Node {
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What its kernel can do, as its agent found out; `None`: no agent has said so yet.
    #[serde(default)]
    pub kernel: Option<KernelReport>,
}

/// What a kernel can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KernelReport {
    /// `uname -r`.
    pub release: String,
    /// `uname -m`.
    pub machine: String,
    /// One verdict per fault.
    pub faults: BTreeMap<Fault, Injectability>,
    /// What keeps any fault from being injected there; empty: nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub obstacles: Vec<String>,
    /// Faults whose function nobody was seen to call, and why that could not be tried.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub untried: BTreeMap<Fault, String>,
    /// Rules of containment that hold in part only, and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caveats: Vec<String>,
}

/// Whether a fault can be injected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "injectable", deny_unknown_fields)]
pub enum Injectability {
    /// It can.
    Yes {
        /// How, such as `fmod_ret`.
        mechanism: String,
    },
    /// It cannot.
    No {
        /// The exact reason, such as a kernel option that is off.
        reason: String,
    },
}

/// One namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Namespace {
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// One pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Unique over time: a pod of the same name that comes later has another.
    pub uid: String,
    /// The node it is bound to.
    pub node: String,
    /// Labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Phase.
    pub phase: PodPhase,
    /// Its containers in the order of its spec.
    pub containers: Vec<Container>,
}

/// One container of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Container {
    /// Name.
    pub name: String,
    /// `containerd://<hex>` and its like; the agent finds the cgroup by it.
    #[serde(default)]
    pub id: Option<String>,
    /// Path of its cgroup beneath the cgroup v2 mount, where it is known without an id.
    #[serde(default)]
    pub cgroup: Option<String>,
}
