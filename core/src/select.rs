//! Stage 5: which pods fill the slots of each run.

mod matching;
mod pool;
mod slots;

use std::collections::BTreeMap;

use faultline_api::Reason;
use serde::Serialize;

pub(crate) use slots::{most_slots, replacements_allowed};

pub(crate) use self::pool::Index;
use self::pool::{Pool, containers};
use crate::{
    defaults::Defaults,
    desired::Target,
    due::{Candidate, Due, Step, WhyNot},
    inventory::{Inventory, Pod},
    judge::Judged,
    ledger::Run,
};

/// The runs with their selections.
#[derive(Debug)]
pub struct Selected<'a> {
    /// What was judged.
    pub judged: &'a Judged<'a>,
    /// As in [`Due`], with slots filled. A run does not begin before it has a target.
    pub runs: Vec<SelectedRun<'a>>,
    /// As in [`Due`], with those that would begin and have no target.
    pub why_nots: Vec<WhyNot>,
    /// What was selected from; `None`: there is none, and nothing was selected.
    pub inventory: Option<&'a Inventory>,
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

impl Selection {
    /// Why no pod can be hit; `None`: some can. It does not depend on whether the run has begun.
    pub(crate) fn without_eligible(&self) -> Option<(Reason, String)> {
        if self.eligible > 0 {
            return None;
        }
        let Some(first) = self.exclusions.first() else {
            return Some((Reason::NoTargets, "no pod matches its selector".to_owned()));
        };
        let others = match self.exclusions.len() {
            1 => String::new(),
            count => format!(" (and {} more)", count - 1),
        };
        Some((first.cause.reason(), format!("{}: {}{others}", first.pod, first.cause)))
    }
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
    pub labels: BTreeMap<String, String>,
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case", tag = "because", content = "detail")]
pub enum ExclusionCause {
    /// Its namespace is protected by default.
    #[error("its namespace is protected by default")]
    ProtectedNamespace,
    /// Its containers have ended.
    #[error("its containers have ended")]
    Ended,
    /// It has none of the named containers, or none at all.
    #[error("it has no such container")]
    NoContainer,
    /// It cannot be told from another, or two of its containers from each other: what would be hit is not known.
    #[error("{0}")]
    Ambiguous(String),
    /// A guardrail dropped it.
    #[error("a guardrail dropped it")]
    Dropped,
    /// The kernel of its node cannot do it, and why.
    #[error("its node cannot inject this fault: {0}")]
    NotInjectable(String),
}

impl ExclusionCause {
    /// The reason that it is counted under.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::ProtectedNamespace => Reason::ProtectedNamespace,
            Self::Ended | Self::NoContainer | Self::Ambiguous(_) => Reason::NoTargets,
            Self::Dropped => Reason::Denied,
            Self::NotInjectable(_) => Reason::NotInjectable,
        }
    }
}

/// Fills the slots of every run that wants probes.
#[must_use]
pub fn select<'a>(due: Due<'a>, inventory: Option<&'a Inventory>, defaults: &Defaults) -> Selected<'a> {
    let Due { judged, runs, mut why_nots } = due;
    let index = inventory.map(Index::new);
    let mut selected = Vec::with_capacity(runs.len());
    for mut candidate in runs {
        let selection = match &index {
            Some(index) if candidate.run.wants_probes() => Some(fill(index, &mut candidate, defaults)),
            _ => None,
        };
        match &selection {
            Some(none) if none.targets.is_empty() && candidate.step == Step::Begin => {
                why_nots.push(without_targets(&candidate, none));
            }
            _ => selected.push(SelectedRun { candidate, selection }),
        }
    }
    Selected { judged, runs: selected, why_nots, inventory }
}

fn fill(index: &Index<'_>, candidate: &mut Candidate<'_>, defaults: &Defaults) -> Selection {
    let pool = index.pool(&candidate.run, defaults);
    slots::fill(&candidate.key, &mut candidate.run, &pool);
    let eligible = u32::try_from(pool.eligible.len()).unwrap_or(u32::MAX);
    let targets = targets(index, &candidate.run, &pool);
    Selection { matched: pool.matched, eligible, targets, exclusions: pool.exclusions }
}

/// The containers of the pods that hold slots.
fn targets(index: &Index<'_>, run: &Run, pool: &Pool<'_>) -> Vec<SlotTarget> {
    let pods = run.slots.iter().zip(0_u32..).filter_map(|(slot, number)| {
        slot.pod.as_deref().and_then(|uid| pool.eligible.get(uid)).map(|pod| (number, *pod))
    });
    pods.flat_map(|(slot, pod)| targets_in(index, run, pod, slot)).collect()
}

fn targets_in(index: &Index<'_>, run: &Run, pod: &Pod, slot: u32) -> Vec<SlotTarget> {
    let target = |container: &crate::inventory::Container| Target {
        namespace: pod.namespace.clone(),
        pod: pod.name.clone(),
        uid: pod.uid.clone(),
        container: container.name.clone(),
        container_id: container.id.clone(),
        cgroup: container.cgroup.clone(),
    };
    containers(&run.declared, pod)
        .map(|container| SlotTarget {
            slot,
            node: pod.node.clone(),
            target: target(container),
            labels: pod.labels.clone(),
            mechanism: index.mechanism(pod, &run.declared),
        })
        .collect()
}

/// Why a run that would begin has nobody to hit.
fn without_targets(candidate: &Candidate<'_>, selection: &Selection) -> WhyNot {
    let (reason, message) = selection.without_eligible().unwrap_or_else(|| {
        (Reason::NoTargets, format!("its mode gives no slot for {} eligible pods", selection.eligible))
    });
    WhyNot {
        subject: candidate.key.experiment.to_string(),
        place: Some(candidate.run.place.to_string()),
        reason: Some(reason),
        message,
    }
}
