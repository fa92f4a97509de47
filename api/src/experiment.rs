//! An experiment: one `KernelChaos`, validated, with its effective values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{ExperimentId, GoDuration, Selector};

/// What is asked for. Every field holds its effective value: what was omitted has been filled in as Chaos Mesh does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    /// Which experiment.
    pub id: ExperimentId,
    /// `metadata.labels`.
    pub labels: BTreeMap<String, String>,
    /// The annotations under our own prefix.
    pub annotations: Annotations,
    /// How many of the selected pods are hit.
    pub mode: Mode,
    /// Which pods may be hit.
    pub selector: Selector,
    /// Names of containers; empty: each pod's first container.
    pub container_names: Vec<String>,
    /// How long a run lasts from its first acknowledged attach; `None`: the document gives none.
    pub duration: Option<GoDuration>,
    /// What is injected.
    pub fault: Fault,
    /// On which call chain.
    pub call_chain: CallChain,
    /// Chance of each hit, 100 where omitted. 0 never injects.
    pub probability: Percent,
    /// Most injections per target; `None`: unlimited (0 or omitted).
    pub times: Option<u64>,
}

/// `faultline.dev/…` annotations that this version understands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Annotations {
    /// `rerun`: a new value starts a new run.
    pub rerun: Option<String>,
    /// `replace`: most replacements of targets per run; `None`: as many as there are slots.
    pub replace: Option<u32>,
    /// `owner`.
    pub owner: Option<String>,
    /// `ticket`.
    pub ticket: Option<String>,
    /// `expires-at`: for guardrails, which may refuse what has none or is past it.
    pub expires_at: Option<jiff::Timestamp>,
}

/// How many of the eligible pods are hit. Percentages round up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "mode", content = "value")]
pub enum Mode {
    /// One pod.
    One,
    /// Every pod, also those that appear later.
    All,
    /// This many pods, or all there are.
    Fixed(u32),
    /// This percentage of the pods.
    FixedPercent(Percent),
    /// A percentage drawn from 0 to this one.
    RandomMaxPercent(Percent),
}

/// An integer from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Percent(u8);

impl Percent {
    /// One hundred.
    pub const ALL: Self = Self(100);

    /// `None` above 100.
    #[must_use]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= 100 { Some(Self(value)) } else { None }
    }

    /// 0 to 100.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A number above 100 where a percentage was wanted.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a percentage from 0 to 100")]
pub struct NotAPercent(u8);

impl TryFrom<u8> for Percent {
    type Error = NotAPercent;
    fn try_from(value: u8) -> Result<Self, NotAPercent> {
        Self::new(value).ok_or(NotAPercent(value))
    }
}

impl From<Percent> for u8 {
    fn from(percent: Percent) -> Self {
        percent.0
    }
}

/// What is injected; the numbers are `failKernRequest.failtype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fault {
    /// 0: slab allocations fail (`should_failslab`, -ENOMEM).
    Slab,
    /// 1: page allocations fail (`should_fail_alloc_page`).
    Page,
    /// 2: block IO fails (`should_fail_bio`, -EIO).
    Bio,
}

impl Fault {
    /// Every fault, in the order of their failtypes.
    pub const ALL: [Self; 3] = [Self::Slab, Self::Page, Self::Bio];

    /// The number that `failtype` has for it.
    #[must_use]
    pub const fn failtype(self) -> u8 {
        match self {
            Self::Slab => 0,
            Self::Page => 1,
            Self::Bio => 2,
        }
    }

    /// The kernel function whose failure it is.
    #[must_use]
    pub const fn target_function(self) -> &'static str {
        match self {
            Self::Slab => "should_failslab",
            Self::Page => "should_fail_alloc_page",
            Self::Bio => "should_fail_bio",
        }
    }
}

/// Most frames of a call chain. A task's progress along a chain is a number of four bits, and 0 is "not begun": that is
/// how sixteen probes of one container fit into a word that a program reads at once.
pub const MAX_FRAMES: usize = 15;

/// The way to a failure: functions that must be under way, and what must hold where the target function is entered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CallChain {
    /// Outermost first, at most [`MAX_FRAMES`].
    pub frames: Vec<Frame>,
    /// What must hold at the entry of the target function itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Predicate>,
}

impl CallChain {
    /// Whether nothing restricts it: every hit of the target function is meant.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { frames, target } = self;
        frames.is_empty() && target.is_none()
    }
}

/// One function on the way to the target function.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Frame {
    /// Symbol of the function, as `/proc/kallsyms` spells it.
    pub function: String,
    /// What must hold at its entry; `None`: every call of it counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicate: Option<Predicate>,
}

/// What must hold at a function's entry, as it is written; [`crate::predicate`] reads it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Predicate {
    /// The expression.
    pub text: String,
    /// The function's parameters as declarations of C; `None`: the names are the kernel's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parameters: Option<String>,
}
