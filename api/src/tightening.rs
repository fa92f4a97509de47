//! What a guardrail may change: only ever towards less.

use serde::{Deserialize, Serialize};

use crate::{GoDuration, Percent};

/// Upper limits that hold for a run. `None` limits nothing. Merging is a lattice meet: order does not matter,
/// twice is as good as once, and the result is never looser than any part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tightening {
    /// Probability at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub probability: Option<Percent>,
    /// Injections per target at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// Duration at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<GoDuration>,
    /// Targets at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<u32>,
    /// Uids of pods that must not be targets.
    #[serde(default, skip_serializing_if = "std::collections::BTreeSet::is_empty")]
    pub drop: std::collections::BTreeSet<String>,
}

impl Tightening {
    /// The limits of both.
    #[must_use]
    pub fn meet(&self, other: &Self) -> Self {
        Self {
            probability: least(self.probability, other.probability),
            times: least(self.times, other.times),
            duration: least(self.duration, other.duration),
            targets: least(self.targets, other.targets),
            drop: self.drop.union(&other.drop).cloned().collect(),
        }
    }
}

/// The lower of two limits, where `None` is no limit.
fn least<T: Ord>(a: Option<T>, b: Option<T>) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
