//! What agents said of the probes of every run.

use std::collections::{BTreeMap, BTreeSet};

use faultline_api::GoDuration;
use faultline_core::{
    activity::Activity,
    ledger::RunKey,
    plan::PlannedRun,
    report::{AttachPoint, Counters, ProbeReport, ProbeState},
    select::SlotTarget,
};
use jiff::Timestamp;

use crate::{agents::NodeStatus, reconcile::Pass};

/// What agents are known, by node.
pub type Nodes = BTreeMap<String, NodeStatus>;

/// What agents said of probes, by run.
pub struct Probes<'a> {
    pass: &'a Pass,
    nodes: &'a Nodes,
    planned: BTreeMap<&'a RunKey, &'a PlannedRun>,
    reported: BTreeMap<&'a RunKey, Vec<(&'a NodeStatus, &'a ProbeReport)>>,
}

/// One probe of a run, as far as it is known.
pub struct ProbeStatus<'a> {
    /// Its slot.
    pub slot: u32,
    /// Its node.
    pub node: &'a str,
    /// `namespace/pod/container`; of a pod that is gone, its uid and the container.
    pub container: String,
    /// How the node's kernel injects; `None`: not known.
    pub mechanism: Option<&'a str>,
    /// The node's agent; `None`: it never connected since this process began.
    pub agent: Option<&'a NodeStatus>,
    /// What the agent last said of the probe.
    pub report: Option<&'a ProbeReport>,
    /// How far it has come, by that.
    pub activity: Activity,
}

impl<'a> Probes<'a> {
    /// Of all runs.
    #[must_use]
    pub fn of(pass: &'a Pass, nodes: &'a Nodes) -> Self {
        let mut reported: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for status in nodes.values() {
            for probe in &status.report.probes {
                reported.entry(&probe.run).or_default().push((status, probe));
            }
        }
        let planned = pass.plan.runs.iter().map(|planned| (&planned.key, planned)).collect();
        Self { pass, nodes, planned, reported }
    }

    /// One for each target that a run has; where it has none any more, those that agents remember. Ordered by slot.
    #[must_use]
    pub fn of_run(&self, key: &RunKey) -> Vec<ProbeStatus<'a>> {
        match self.planned.get(key) {
            Some(planned) if planned.selection.is_some() => self.of_targets(planned).collect(),
            _ => self.remembered(key),
        }
    }

    /// One for each target of a planned run.
    pub fn of_targets(&self, planned: &'a PlannedRun) -> impl Iterator<Item = ProbeStatus<'a>> {
        let targets = planned.selection.iter().flat_map(|selection| &selection.targets);
        targets.map(|target| self.of_target(&planned.key, target))
    }

    fn of_target(&self, key: &RunKey, slot: &'a SlotTarget) -> ProbeStatus<'a> {
        let SlotTarget { slot, node, target, mechanism, labels: _ } = slot;
        let is_it = |status: &NodeStatus, probe: &ProbeReport| {
            (&status.report.node, &probe.slot, &probe.uid, &probe.container)
                == (node, slot, &target.uid, &target.container)
        };
        let mut reported = self.reported.get(key).into_iter().flatten();
        let report = reported.find(|(status, probe)| is_it(status, probe)).map(|(_, probe)| *probe);
        ProbeStatus {
            slot: *slot,
            node,
            container: format!("{}/{}/{}", target.namespace, target.pod, target.container),
            mechanism: mechanism.as_deref(),
            agent: self.nodes.get(node),
            report,
            activity: report.map_or(Activity::Pending, |report| self.activity(node, report)),
        }
    }

    fn remembered(&self, key: &RunKey) -> Vec<ProbeStatus<'a>> {
        let reported = self.reported.get(key).into_iter().flatten();
        let once_attached = reported.filter(|(_, report)| report.attached_at.is_some());
        let status = |(agent, report): &(&'a NodeStatus, &'a ProbeReport)| ProbeStatus {
            slot: report.slot,
            node: &agent.report.node,
            container: self.container(report),
            mechanism: None,
            agent: Some(agent),
            report: Some(report),
            activity: self.activity(&agent.report.node, report),
        };
        let mut remembered: Vec<_> = once_attached.map(status).collect();
        remembered.sort_by_key(|probe| probe.slot);
        remembered
    }

    fn activity(&self, node: &str, report: &ProbeReport) -> Activity {
        let slots = self.pass.ledger.runs.get(&report.run).map(|run| &run.slots);
        let slot = slots.and_then(|slots| slots.get(usize::try_from(report.slot).ok()?));
        Activity::of(report, slot.map_or(0, |slot| slot.spent_elsewhere(node, &report.container)))
    }

    fn container(&self, ProbeReport { uid, container, .. }: &ProbeReport) -> String {
        let pods = self.pass.inputs.inventory.iter().flat_map(|inventory| &inventory.pods);
        match pods.into_iter().find(|pod| pod.uid == *uid) {
            Some(pod) => format!("{}/{}/{container}", pod.namespace, pod.name),
            None => format!("pod {uid}/{container}"),
        }
    }
}

impl ProbeStatus<'_> {
    /// Whether its agent holds a session. Otherwise what is known is what was last heard.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.agent.is_some_and(|agent| agent.session.is_some())
    }

    /// What it counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.report.map(|report| report.counters).unwrap_or_default()
    }

    /// What is wrong with what was counted: exits and whole runs that went unseen.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let points = self.report.map(|report| report.attach_points.as_slice()).unwrap_or_default();
        let warnings = [self.counters().warning(), missed_runs(points)];
        warnings.into_iter().flatten().reduce(|one, other| format!("{one}; {other}"))
    }

    /// Why its agent says nothing new; `None`: it is connected.
    #[must_use]
    pub fn silence(&self) -> Option<String> {
        let node = self.node;
        match self.agent {
            None => Some(format!("no agent of node {node} has connected")),
            Some(NodeStatus { session: None, .. }) => {
                Some(format!("the agent of node {node} is not connected"))
            }
            Some(_) => None,
        }
    }

    /// What it waits for on its node, such as a module; `None`: for nothing there.
    #[must_use]
    pub fn waiting(&self) -> Option<String> {
        match &self.report?.state {
            ProbeState::Pending { reason } => Some(format!("waiting: {reason}")),
            ProbeState::Attached | ProbeState::Failed { .. } | ProbeState::Detached => None,
        }
    }

    /// What there is to say of it at `now`, in words.
    #[must_use]
    pub fn in_words(&self, now: Timestamp) -> String {
        let known = match self.report {
            None => self.silence().unwrap_or_else(|| self.unattached()),
            Some(report) => self.reported(report, now),
        };
        match (self.report.and(self.agent), self.silence()) {
            (Some(agent), Some(silence)) => format!("{known}; last heard at {}, {silence}", agent.heard),
            _ => known,
        }
    }

    fn unattached(&self) -> String {
        let unsaid = || format!("the agent of node {} has not said that it attached", self.node);
        self.waiting().unwrap_or_else(unsaid)
    }

    fn reported(&self, report: &ProbeReport, now: Timestamp) -> String {
        let counted = report.counters != Counters::default();
        let words = report.counters.in_words();
        match (self.activity, &report.state) {
            (_, ProbeState::Failed { error }) if counted => format!("not attached: {error}; before, {words}"),
            (_, ProbeState::Failed { error }) => format!("not attached: {error}"),
            (Activity::Pending, _) if counted => format!("{}; before, {words}", self.unattached()),
            (Activity::Pending, _) => self.unattached(),
            (Activity::Exhausted, _) => {
                format!("{}; its budget is used up; {words}", self.armed(report, now))
            }
            _ => format!("{}; {words}", self.armed(report, now)),
        }
    }

    /// Whether it is attached, and since when. Of one whose agent is gone that is known up to the last word.
    fn armed(&self, report: &ProbeReport, now: Timestamp) -> String {
        let until = self.agent.filter(|agent| agent.session.is_none()).map_or(now, |agent| agent.heard);
        match (&report.state, report.attached_at) {
            (ProbeState::Attached, Some(since)) => {
                let seconds = u64::try_from(until.duration_since(since).as_secs()).unwrap_or(0);
                format!("attached for {}", GoDuration::from_secs(seconds))
            }
            (ProbeState::Attached, None) => "attached".to_owned(),
            _ => "detached".to_owned(),
        }
    }
}

/// What it means that the kernel passed over runs of programs; `None`: it did not.
fn missed_runs(points: &[AttachPoint]) -> Option<String> {
    let missed = points.iter().filter(|point| point.missed_runs > 0);
    let missed: Vec<_> = missed.map(|point| format!("{} on {}", point.missed_runs, point.function)).collect();
    (!missed.is_empty()).then(|| {
        let runs = missed.join(", ");
        format!(
            "missed runs: the kernel passed over runs of our programs, whoever called ({runs}); what is missed in scope is \
             not injected, so injections may be below the stated probability"
        )
    })
}

/// What keeps a run from being attached: for whose agents it waits.
#[must_use]
pub fn waits(probes: &[ProbeStatus<'_>]) -> BTreeSet<String> {
    probes.iter().map(|probe| probe.silence().unwrap_or_else(|| probe.unattached())).collect()
}
