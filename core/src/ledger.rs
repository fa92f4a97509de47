//! What has run, where, and how much of it is spent: the memory that keeps a one-shot experiment one-shot.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    sync::Arc,
};

use faultline_api::{Experiment, ExperimentId, Kind, Place, Reason, RunState, Tightening};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Which run of an experiment. Counters start at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Activation(pub u64);

/// What an agent says of an epoch or an activation is believed below this: no series of restarts and reruns comes near
/// it. Both have to stay above all that is believed, so one agent could otherwise use them up for all. Peers understand
/// twice as many, which leaves half of them to those that follow the highest that is believed.
pub const CREDIBLE: u64 = 1 << 47;

impl Activation {
    /// Whether an agent may be believed that it was told to attach this run.
    #[must_use]
    pub const fn is_credible(self) -> bool {
        self.0 < CREDIBLE
    }
}

/// Which run. Its text form is `namespace/name#activation`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey {
    /// The experiment.
    pub experiment: ExperimentId,
    /// Which run of it.
    pub activation: Activation,
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.experiment, self.activation.0)
    }
}

/// A text that is not `namespace/name#activation`.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a run: expected namespace/name#activation")]
pub struct NotARun(String);

impl FromStr for RunKey {
    type Err = NotARun;
    fn from_str(text: &str) -> Result<Self, NotARun> {
        let parse = || {
            let (experiment, activation) = text.rsplit_once('#')?;
            let (namespace, name) = experiment.split_once('/')?;
            let id = ExperimentId { kind: Kind::KernelChaos, namespace: namespace.into(), name: name.into() };
            Some(Self { experiment: id, activation: Activation(activation.parse().ok()?) })
        };
        parse().ok_or_else(|| NotARun(text.to_owned()))
    }
}

impl Serialize for RunKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Everything that outlives a process of the reconciler.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ledger {
    /// Rises with every start of a reconciler, and above every epoch that an agent reports.
    pub epoch: u64,
    /// Runs, the newest activation of each experiment and those before it that history keeps.
    pub runs: BTreeMap<RunKey, Run>,
    /// What each node was last told.
    pub nodes: BTreeMap<String, Told>,
    /// The highest activation that an agent or this ledger ever knew, by `namespace/name`, of experiments
    /// that have no run here.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub activations: BTreeMap<String, Activation>,
}

impl Ledger {
    /// The newest run of an experiment.
    #[must_use]
    pub fn newest(&self, id: &ExperimentId) -> Option<(&RunKey, &Run)> {
        let key = |activation| RunKey { experiment: id.clone(), activation: Activation(activation) };
        self.runs.range(key(0)..=key(u64::MAX)).next_back()
    }

    /// The run that would come next: its activation is above every one that was ever known.
    #[must_use]
    pub fn next_run(&self, id: &ExperimentId) -> RunKey {
        let newest = self.newest(id).map_or(0, |(key, _)| key.activation.0);
        let retired = self.activations.get(&id.to_string()).map_or(0, |activation| activation.0);
        RunKey { experiment: id.clone(), activation: Activation(newest.max(retired).saturating_add(1)) }
    }

    /// Raises the epoch above a generation that an agent accepted, if that can be believed: otherwise that agent alone
    /// refuses all that it is told.
    pub(crate) const fn raise_above(&mut self, accepted: Generation) {
        if accepted.is_credible() && accepted.epoch >= self.epoch {
            self.epoch = accepted.epoch + 1;
        }
    }

    /// Whether an agent of the node ever reported. One that never did was never told anything either.
    #[must_use]
    pub fn has_heard(&self, node: &str) -> bool {
        self.nodes.get(node).is_some_and(|told| told.heard)
    }
}

/// What a node was last told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// Under which generation.
    pub generation: Generation,
    /// `sha256:<hex>` of the probes; empty where it was never told anything.
    pub content: String,
    /// Whether its agent ever reported.
    pub heard: bool,
}

/// Fencing number of a desired set: agents refuse an older one, and the same one with other content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation {
    /// Of the reconciler that says it.
    pub epoch: u64,
    /// Of the content, per node.
    pub counter: u64,
}

impl Generation {
    /// Whether an agent may be believed that it accepted this.
    #[must_use]
    pub const fn is_credible(self) -> bool {
        self.epoch < CREDIBLE
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.counter)
    }
}

/// One run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Where it stands.
    pub state: RunState,
    /// Why.
    pub reason: Reason,
    /// In words, for people.
    pub message: String,
    /// When it was first wanted.
    pub created: Timestamp,
    /// First acknowledged attach; its duration counts from here.
    pub started: Option<Timestamp>,
    /// When it was over.
    pub ended: Option<Timestamp>,
    /// The experiment as it was last declared, before tightenings.
    pub declared: Arc<Experiment>,
    /// Where it was last declared.
    pub place: Place,
    /// All tightenings so far, met: within a run they only ever grow.
    pub tightened: Tightening,
    /// The last value of `faultline.dev/rerun` that was seen.
    pub rerun: Option<String>,
    /// Whether a successful tree was without it: when it appears again, that is a new run.
    pub absent: bool,
    /// How many slots, from the first on, the mode gave at the start (`all` and `fixed` grow). 0: targets are
    /// to be selected anew.
    pub open: u32,
    /// Places for targets. Those behind the open ones only remember what was spent in them.
    pub slots: Vec<Slot>,
    /// Targets replaced so far.
    pub replacements: u32,
    /// Why probes are not attached, by the id of the probe, as their nodes last said.
    pub failures: BTreeMap<String, String>,
}

impl Run {
    /// A run that begins at `now`.
    #[must_use]
    pub fn new(declared: Arc<Experiment>, place: Place, now: Timestamp) -> Self {
        Self {
            state: RunState::Pending,
            reason: Reason::AwaitingAttach,
            message: String::new(),
            created: now,
            started: None,
            ended: None,
            rerun: declared.annotations.rerun.clone(),
            declared,
            place,
            tightened: Tightening::default(),
            absent: false,
            open: 0,
            slots: Vec::new(),
            replacements: 0,
            failures: BTreeMap::new(),
        }
    }

    /// Whether it is to be attached.
    #[must_use]
    pub const fn wants_probes(&self) -> bool {
        matches!(self.state, RunState::Pending | RunState::Running)
    }

    /// Whether it is held because nobody knows whether it already ran.
    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.state == RunState::Held && self.reason == Reason::Unconfirmed
    }

    /// How many slots may hold a target now.
    #[must_use]
    pub fn usable_slots(&self) -> usize {
        let most = self.tightened.targets.map_or(self.open, |most| most.min(self.open));
        usize::try_from(most).unwrap_or(usize::MAX)
    }

    /// Moves it to `state`.
    pub fn set(&mut self, state: RunState, reason: Reason, message: impl Into<String>) {
        (self.state, self.reason, self.message) = (state, reason, message.into());
    }

    /// Ends it for good.
    pub fn end(&mut self, state: RunState, reason: Reason, message: impl Into<String>, at: Timestamp) {
        self.set(state, reason, message);
        self.ended = Some(at);
    }
}

/// One place for a target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Slot {
    /// Uid of the pod that holds it; `None` where it waits for one.
    pub pod: Option<String>,
    /// Whether its target was ever acknowledged as attached.
    pub attached: bool,
    /// Whether its last target went away after it was attached: filling it is a replacement.
    pub vacated: bool,
    /// Injections so far per `node/container`, as that node's agent counts them.
    pub spent: BTreeMap<String, u64>,
    /// Nodes that were told to attach here and have not yet said, after they were told to detach, what was
    /// spent.
    pub unconfirmed: BTreeSet<String>,
}

impl Slot {
    /// Takes the target away. `by_itself`: nobody asked for it.
    pub fn release(&mut self, by_itself: bool) {
        self.vacated = by_itself && (self.vacated || self.attached);
        self.attached = false;
        self.pod = None;
    }

    /// What a container of this name has spent on other nodes than `node`.
    #[must_use]
    pub fn spent_elsewhere(&self, node: &str, container: &str) -> u64 {
        let others = self.spent.iter().filter(|(key, _)| {
            key.split_once('/').is_some_and(|(other, name)| other != node && name == container)
        });
        others.fold(0, |sum, (_, spent)| sum.saturating_add(*spent))
    }

    /// Remembers what an agent counted. Counts never fall.
    pub fn record(&mut self, node: &str, container: &str, spent: u64) {
        let known = self.spent.entry(format!("{node}/{container}")).or_default();
        *known = spent.max(*known);
    }
}
