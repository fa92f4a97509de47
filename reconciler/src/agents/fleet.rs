//! What is known of all agents together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use faultline_core::{inventory::Injectability, report::NodeReport};
use faultline_wire::message::Desired;
use jiff::Timestamp;
use tokio::sync::{Notify, broadcast, watch};

use super::{injections::Injections, rehearsals::Question, takeovers::Takeovers};
use crate::{
    clock::Clock,
    metrics::{FaultLabels, Metrics, NodeLabels},
};

/// Passes that fail or hang for this long end all renewals, because what they would have recovered must not go on.
/// Longer than the slowest honest pass, which compiles guardrails on an emulated machine.
const SILENCE: Duration = Duration::from_secs(60);

/// Questions that may wait for a session.
const QUESTIONS: usize = 16;

/// All agents. Shared between the sessions, the loop and the admin interface.
pub struct Fleet {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) takeovers: Takeovers,
    wake: Arc<Notify>,
    told: watch::Sender<Told>,
    /// What agents are asked; a session that is too far behind to hear of all leaves some unanswered.
    pub(super) questions: broadcast::Sender<Question>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<String, NodeStatus>,
    injections: Injections,
    /// When a pass last went through, by the clock's monotonic side.
    vouched: Option<Duration>,
}

impl State {
    /// The node, if `session` is the one of its sessions that counts.
    fn counting(&mut self, node: &str, session: u64) -> Option<&mut NodeStatus> {
        self.nodes.get_mut(node).filter(|status| status.session == Some(session))
    }
}

/// What is known of one node.
#[derive(Clone, Debug)]
pub struct NodeStatus {
    /// The session that counts; `None` while there is none.
    pub session: Option<u64>,
    /// When its agent last said anything.
    pub heard: Timestamp,
    /// What it last reported.
    pub report: NodeReport,
}

/// The sessions whose first reports a pass has taken into account, by node.
pub type Seen = BTreeMap<String, u64>;

/// What every node is told, and which sessions may be told it.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    sets: BTreeMap<String, Arc<Desired>>,
    seen: Seen,
}

impl Told {
    /// What `session` of `node` is to be told; `None`: nothing yet.
    pub(super) fn to(&self, node: &str, session: u64) -> Option<&Arc<Desired>> {
        // Later sessions of the node have yet to be seen; one that was seen before stays entitled.
        self.seen.get(node).filter(|seen| **seen == session)?;
        self.sets.get(node)
    }
}

impl Fleet {
    /// No agents yet. `wake` is notified whenever there is something for a pass to look at.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, metrics: Arc<Metrics>, wake: Arc<Notify>) -> Self {
        let (told, state, takeovers) = (watch::Sender::default(), Mutex::default(), Takeovers::default());
        let questions = broadcast::Sender::new(QUESTIONS);
        Self { clock, metrics, takeovers, wake, told, questions, state }
    }

    /// The newest report of every node that was ever heard of, and the sessions they belong to.
    #[must_use]
    pub fn reports(&self) -> (Vec<NodeReport>, Seen) {
        let state = self.state();
        let seen = |(node, status): (&String, &NodeStatus)| Some((node.clone(), status.session?));
        let reports = state.nodes.values().map(|status| status.report.clone()).collect();
        (reports, state.nodes.iter().filter_map(seen).collect())
    }

    /// Tells every node what it is to keep attached from now on.
    pub fn tell(&self, sets: BTreeMap<String, Desired>, seen: Seen) {
        let sets = sets.into_iter().map(|(node, set)| (node, Arc::new(set))).collect();
        self.told.send_replace(Told { sets, seen });
    }

    /// A pass went through: leases may be renewed.
    pub fn vouch(&self) {
        self.state().vouched = Some(self.clock.monotonic());
    }

    /// Every node that was ever heard of.
    #[must_use]
    pub fn nodes(&self) -> BTreeMap<String, NodeStatus> {
        self.state().nodes.clone()
    }

    /// Whether leases may be renewed.
    #[must_use]
    pub fn is_vouched_for(&self) -> bool {
        let now = self.clock.monotonic();
        self.state().vouched.is_some_and(|vouched| now.saturating_sub(vouched) <= SILENCE)
    }

    pub(super) fn subscribe(&self) -> watch::Receiver<Told> {
        self.told.subscribe()
    }

    /// A session begins; it replaces one of the same node that may still hang, and counts for nothing where a later
    /// one was quicker.
    pub(crate) fn joined(&self, session: u64, report: NodeReport) {
        let mut state = self.state();
        let known = state.nodes.get(&report.node).and_then(|status| status.session);
        if known <= Some(session) {
            self.connected(&report.node, true);
            self.can(&report);
            self.update(&mut state, session, report);
        }
    }

    /// A report came in. It wakes the loop if it says anything new.
    pub(crate) fn reported(&self, session: u64, report: NodeReport) {
        let mut state = self.state();
        if state.counting(&report.node, session).is_some() {
            self.update(&mut state, session, report);
        }
    }

    /// A node said that it is there, and nothing else.
    pub(super) fn heard(&self, node: &str, session: u64) {
        let heard = self.clock.now();
        if let Some(status) = self.state().counting(node, session) {
            status.heard = heard;
        }
    }

    /// Something was heard of a node: changes its report in place and wakes the loop.
    pub(super) fn amend(&self, node: &str, session: u64, amend: impl FnOnce(&mut NodeReport)) {
        let mut state = self.state();
        if let Some(mut report) = state.counting(node, session).map(|status| status.report.clone()) {
            amend(&mut report);
            self.update(&mut state, session, report);
        }
    }

    /// A session ended.
    pub(crate) fn left(&self, node: &str, session: u64) {
        let mut state = self.state();
        if let Some(status) = state.counting(node, session) {
            status.session = None;
            self.connected(node, false);
            self.wake.notify_one();
        }
    }

    /// Whether no later session of the node has begun.
    pub(super) fn is_newest(&self, node: &str, session: u64) -> bool {
        self.state().counting(node, session).is_some()
    }

    /// `state` is locked since it was found that the session counts: a later one cannot have begun meanwhile.
    fn update(&self, state: &mut State, session: u64, report: NodeReport) {
        let (session, heard) = (Some(session), self.clock.now());
        state.injections.count(&report, &self.metrics);
        let before = state.nodes.get(&report.node);
        let news = before.is_none_or(|before| before.session != session || before.report != report);
        state.nodes.insert(report.node.clone(), NodeStatus { session, heard, report });
        if news {
            self.wake.notify_one();
        }
    }

    /// To be called with the state locked, so that the gauge never says anything else than it.
    fn connected(&self, node: &str, connected: bool) {
        let labels = NodeLabels { node: node.to_owned() };
        self.metrics.agents.get_or_create(&labels).set(connected.into());
        drop(self.metrics.lease_renewals.get_or_create(&labels));
    }

    /// Said once in a session: a kernel learns nothing new while its agent runs.
    fn can(&self, NodeReport { node, kernel, .. }: &NodeReport) {
        for (fault, can) in &kernel.faults {
            let labels = FaultLabels { node: node.clone(), fault: format!("{fault:?}").to_lowercase() };
            let usable = matches!(can, Injectability::Yes { .. });
            self.metrics.faults_usable.get_or_create(&labels).set(usable.into());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
