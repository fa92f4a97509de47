//! What `faultline get` and `faultline explain` show: the same values as JSON on the wire and on the terminal.

use std::collections::BTreeMap;

use faultline_api::{GoDuration, GuardrailMode, Reason, RunState};
use faultline_core::{
    activity::{Activities, Activity},
    inventory::KernelReport,
    judge::Verdict,
    ledger::{Generation, RunKey},
    refusal::Refusal,
    report::{AttachPoint, Counters},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

mod build;
mod chain;
pub use build::{experiments, explain, guardrails, nodes, report, runs};
pub use chain::chain;

use crate::publish::Problem;

/// How far what is shown can be relied on, and what of the sources has no effect.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReportView {
    /// The instant of the pass that is shown.
    pub at: Timestamp,
    /// Why the newest pass did not go through; `None`: it is the one that is shown.
    pub error: Option<String>,
    /// Sources whose trees are not the newest, and why.
    pub sources: Vec<String>,
    /// What is wrong with the files, ordered by place.
    pub problems: Vec<Problem>,
}

/// One declared experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExperimentView {
    /// `namespace/name`.
    pub experiment: String,
    /// Where it is declared.
    pub place: String,
    /// Its newest run; `None`: it has none.
    pub run: Option<String>,
    /// State of that run.
    pub state: Option<RunState>,
    /// Why.
    pub reason: Option<Reason>,
    /// How far the probes of that run have come.
    pub activity: Activities,
    /// In words.
    pub message: String,
}

/// One run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunView {
    /// `namespace/name#activation`.
    pub run: RunKey,
    /// Where it stands.
    pub state: RunState,
    /// Why.
    pub reason: Reason,
    /// How far its probes have come, as far as their agents said.
    pub activity: Activities,
    /// In words.
    pub message: String,
    /// First acknowledged attach.
    pub started: Option<Timestamp>,
    /// When it ends.
    pub ends: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// Chance of each hit, in percent.
    pub probability: Option<u8>,
    /// Most injections per target; `None`: unlimited.
    pub times: Option<u64>,
    /// How long; `None`: until removed.
    pub duration: Option<GoDuration>,
    /// Slots with a target, of all slots.
    pub slots: (usize, usize),
    /// Injections so far, and what was forfeited with a reboot.
    pub spent: u64,
    /// What its probes counted, summed over them.
    pub counters: Counters,
    /// Why probes are not attached, by probe.
    pub failures: BTreeMap<String, String>,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeView {
    /// Its name.
    pub node: String,
    /// Whether its agent holds a session.
    pub connected: bool,
    /// When its agent last said anything.
    pub heard: Option<Timestamp>,
    /// What its agent is at.
    pub accepted: Option<Generation>,
    /// What it is to be at.
    pub told: Option<Generation>,
    /// Probes that are attached.
    pub attached: usize,
    /// Probes that could not be attached.
    pub failed: usize,
    /// What its kernel can do.
    pub kernel: Option<KernelReport>,
}

/// One guardrail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuardrailView {
    /// Its name.
    pub guardrail: String,
    /// Where it is declared.
    pub place: String,
    /// `protect` or `monitor`; `None`: it cannot be read.
    pub mode: Option<GuardrailMode>,
    /// `sha256:<hex>` of its module.
    pub module: Option<String>,
    /// Why it decides nothing.
    pub error: Option<String>,
    /// Verdicts in the plan, by kind.
    pub verdicts: BTreeMap<String, u32>,
}

/// Everything about one experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `namespace/name`.
    pub experiment: String,
    /// Where it is declared; `None`: it is not any more.
    pub place: Option<String>,
    /// Its newest run.
    pub run: Option<RunView>,
    /// What the guardrails said.
    pub verdicts: Vec<Verdict>,
    /// Pods that the selector matches, and of those the eligible; `None`: nothing was selected.
    pub selected: Option<(u32, u32)>,
    /// The functions on the way, outermost first, and the one that fails.
    #[serde(default)]
    pub chain: Vec<FrameView>,
    /// The containers in the slots; of a run that has no targets any more, those that agents remember.
    pub targets: Vec<TargetView>,
    /// Matched pods that are not hit, and why.
    pub not_hit: Vec<NotHitView>,
    /// What will not happen, and why.
    pub why_nots: Vec<String>,
}

/// A function of a call chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FrameView {
    /// As it is declared.
    pub function: String,
    /// What must hold at its entry, as it is written.
    pub predicate: Option<String>,
}

/// Why calls were not injected into.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalView {
    /// The reason.
    pub reason: Refusal,
    /// How many calls.
    pub count: u64,
    /// What it means.
    pub meaning: String,
    /// The function whose predicate it was, where only one of the chain has any.
    #[serde(default)]
    pub function: Option<String>,
}

/// One container in a slot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TargetView {
    /// Its slot.
    pub slot: u32,
    /// `namespace/pod/container`.
    pub container: String,
    /// Its node.
    pub node: String,
    /// How the node's kernel injects; `None`: not known yet.
    pub mechanism: Option<String>,
    /// What its programs are attached to, and how, as the node's agent last said.
    #[serde(default)]
    pub attach_points: Vec<AttachPoint>,
    /// How far its probe has come, as the node's agent last said.
    pub activity: Activity,
    /// The same in words, with what was counted.
    pub message: String,
    /// What is wrong with what was counted.
    pub warning: Option<String>,
    /// First time it was attached.
    pub attached: Option<Timestamp>,
    /// What its programs counted; `None`: nobody has said.
    pub counters: Option<Counters>,
    /// Why calls were not injected into, as far as that was counted.
    #[serde(default)]
    pub refusals: Vec<RefusalView>,
    /// Whether the node's agent holds a session; otherwise all this is what was last heard.
    pub connected: bool,
    /// When the node's agent last said anything.
    pub heard: Option<Timestamp>,
}

/// One pod that is matched and not hit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NotHitView {
    /// `namespace/name`.
    pub pod: String,
    /// Its node.
    pub node: String,
    /// Why.
    pub why: String,
}

#[cfg(test)]
mod tests;
