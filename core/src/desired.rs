//! What a node is to keep attached.

use faultline_api::{CallChain, Fault, GoDuration, Percent};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ledger::{Generation, RunKey};

/// The whole desired state of one node. What is not in it is to be detached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DesiredSet {
    /// Fencing number.
    pub generation: Generation,
    /// Ordered by id.
    pub probes: Vec<Probe>,
}

/// One run in one slot on one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Probe {
    /// Stable name, `<run>/<slot>/<pod uid>/<container>`; an edit keeps it.
    pub id: String,
    /// The run.
    pub run: RunKey,
    /// The slot. Its budget is shared by everything that ever fills it.
    pub slot: u32,
    /// The container.
    pub target: Target,
    /// What is injected.
    pub fault: Fault,
    /// On which call chain.
    pub call_chain: CallChain,
    /// Chance of each hit.
    pub probability: Percent,
    /// Most injections of this slot and container name over the whole run; `None`: unlimited.
    pub times: Option<u64>,
    /// How many of them other nodes have spent.
    pub spent_elsewhere: u64,
    /// How long it may last from the first attach.
    pub duration: Option<GoDuration>,
    /// When it ends; `None` until an attach was acknowledged.
    pub ends: Option<Timestamp>,
}

/// One container of one pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Uid of the pod.
    pub uid: String,
    /// Name of the container.
    pub container: String,
    /// Id of the container, `containerd://<hex>`.
    pub container_id: Option<String>,
    /// Path of its cgroup beneath the cgroup v2 mount; the agent resolves the id where this is `None`.
    pub cgroup: Option<String>,
}
