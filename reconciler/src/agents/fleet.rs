//! What is known of all agents together.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use faultline_core::report::NodeReport;
use faultline_wire::message::Desired;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::injections::Injections;
use crate::{
    clock::Clock,
    metrics::{Metrics, NodeLabels},
};

/// Passes that fail or hang for this long end all renewals, because what they would have recovered must not go on.
/// Longer than the slowest honest pass, which compiles guardrails on an emulated machine.
const SILENCE: Duration = Duration::from_secs(60);

/// All agents. Shared between the sessions, the loop and the admin interface.
pub struct Fleet {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<Metrics>,
    wake: Arc<Notify>,
    told: watch::Sender<Told>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<String, NodeStatus>,
    injections: Injections,
    /// When a pass last went through, by the clock's monotonic side.
    vouched: Option<Duration>,
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
        Self { clock, metrics, wake, told: watch::Sender::default(), state: Mutex::default() }
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

    /// A session begins; it replaces one of the same node that may still hang.
    pub(crate) fn joined(&self, session: u64, report: NodeReport) {
        self.connected(&report.node, true);
        self.update(Some(session), report);
    }

    /// A report came in. It wakes the loop if it says anything new.
    pub(crate) fn reported(&self, session: u64, report: NodeReport) {
        if self.is_newest(&report.node, session) {
            self.update(Some(session), report);
        }
    }

    /// Something was heard of a node: changes its report in place and wakes the loop.
    pub(super) fn amend(&self, node: &str, session: u64, amend: impl FnOnce(&mut NodeReport)) {
        if let Some(mut report) = self.report_of(node) {
            amend(&mut report);
            self.reported(session, report);
        }
    }

    /// A session ended.
    pub(super) fn left(&self, node: &str, session: u64) {
        let mut state = self.state();
        if let Some(status) = state.nodes.get_mut(node).filter(|status| status.session == Some(session)) {
            status.session = None;
            drop(state);
            self.connected(node, false);
            self.wake.notify_one();
        }
    }

    /// Whether no later session of the node has begun.
    pub(super) fn is_newest(&self, node: &str, session: u64) -> bool {
        self.state().nodes.get(node).is_some_and(|status| status.session == Some(session))
    }

    fn report_of(&self, node: &str) -> Option<NodeReport> {
        self.state().nodes.get(node).map(|status| status.report.clone())
    }

    fn update(&self, session: Option<u64>, report: NodeReport) {
        let heard = self.clock.now();
        let mut state = self.state();
        state.injections.count(&report, &self.metrics);
        let before = state.nodes.get(&report.node);
        let news = before.is_none_or(|before| before.session != session || before.report != report);
        state.nodes.insert(report.node.clone(), NodeStatus { session, heard, report });
        drop(state);
        if news {
            self.wake.notify_one();
        }
    }

    fn connected(&self, node: &str, connected: bool) {
        let labels = NodeLabels { node: node.to_owned() };
        self.metrics.agents.get_or_create(&labels).set(connected.into());
        drop(self.metrics.lease_renewals.get_or_create(&labels));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use faultline_core::{desired::DesiredSet, inventory::KernelReport, ledger::Generation};

    use super::*;
    use crate::clock::ManualClock;

    fn report(node: &str) -> NodeReport {
        NodeReport {
            node: node.to_owned(),
            boot_id: String::new(),
            accepted: Generation::default(),
            kernel: KernelReport { release: String::new(), machine: String::new(), faults: BTreeMap::new() },
            probes: Vec::new(),
        }
    }

    fn fleet() -> (Fleet, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        (Fleet::new(clock.clone(), Arc::new(Metrics::new()), Arc::new(Notify::new())), clock)
    }

    #[test]
    fn leases_are_renewed_only_while_passes_go_through() {
        let (fleet, clock) = fleet();
        assert!(!fleet.is_vouched_for(), "no pass has gone through yet");
        fleet.vouch();
        clock.advance(SILENCE);
        assert!(fleet.is_vouched_for());
        clock.advance(Duration::from_millis(1));
        assert!(!fleet.is_vouched_for());
    }

    #[test]
    fn a_session_is_told_only_what_was_planned_with_its_report() {
        let (fleet, _) = fleet();
        let set = || Desired {
            set: DesiredSet { generation: Generation::default(), probes: Vec::new() },
            content: String::new(),
        };
        let sets = || BTreeMap::from([("a".to_owned(), set())]);
        let told = fleet.subscribe();
        fleet.joined(1, report("a"));
        let (_, seen) = fleet.reports();
        fleet.joined(2, report("a"));
        fleet.tell(sets(), seen);
        assert!(told.borrow().to("a", 1).is_some());
        assert!(told.borrow().to("a", 2).is_none(), "the pass did not know of this session");
        fleet.tell(sets(), fleet.reports().1);
        assert!(told.borrow().to("a", 2).is_some());
    }

    #[test]
    fn the_newest_session_of_a_node_counts_and_an_older_one_neither_speaks_nor_leaves_for_it() {
        let (fleet, _) = fleet();
        fleet.joined(1, report("a"));
        fleet.joined(2, report("a"));
        fleet.reported(1, NodeReport { boot_id: "old".to_owned(), ..report("a") });
        fleet.left("a", 1);
        let node = &fleet.nodes()["a"];
        assert_eq!((node.session, node.report.boot_id.as_str()), (Some(2), ""));
        fleet.left("a", 2);
        assert_eq!(fleet.nodes()["a"].session, None);
        assert_eq!(fleet.reports().0.len(), 1, "what it said last is remembered");
    }
}
