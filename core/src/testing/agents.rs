//! Agents without kernels.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{
    desired::{DesiredSet, Probe},
    inventory::KernelReport,
    ledger::{Generation, RunKey},
    report::{Counters, NodeReport, ProbeReport, ProbeState},
};

/// The agents of all nodes, those that are connected and those that are not.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    /// By node.
    pub all: BTreeMap<String, Agent>,
}

/// One agent.
#[derive(Clone, Debug, Default)]
pub struct Agent {
    /// Whether it hears and is heard. It goes on injecting when it is not: its lease is another matter.
    pub connected: bool,
    /// What is still being read of it, while it has gone on: reports take time.
    late: Option<NodeReport>,
    accepted: Generation,
    wanted: BTreeMap<String, Probe>,
    remembered: BTreeMap<String, ProbeReport>,
}

impl Agents {
    /// Connected agents on these nodes.
    #[must_use]
    pub fn on(nodes: &[&str]) -> Self {
        let agent = || Agent { connected: true, ..Agent::default() };
        Self { all: nodes.iter().map(|node| ((*node).to_owned(), agent())).collect() }
    }

    /// What is known of the connected ones, and of those whose last report was late.
    #[must_use]
    pub fn reports(&self) -> Vec<NodeReport> {
        let known = |(node, agent): (&String, &Agent)| match &agent.late {
            Some(late) => Some(late.clone()),
            None => agent.connected.then(|| agent.report(node)),
        };
        self.all.iter().filter_map(known).collect()
    }

    /// From now on this is what is read of a node, or no longer.
    pub fn delay(&mut self, node: &str) {
        if let Some(agent) = self.all.get_mut(node) {
            agent.late = if agent.late.is_none() { Some(agent.report(node)) } else { None };
        }
    }

    /// What was spent in every slot, by run, slot and container, over all nodes.
    #[must_use]
    pub fn spent(&self) -> BTreeMap<(RunKey, u32, String), u64> {
        let mut spent = BTreeMap::new();
        let mut counted = BTreeSet::new();
        for (node, agent) in &self.all {
            for probe in agent.remembered.values() {
                let slot = (probe.run.clone(), probe.slot, probe.container.clone());
                // Several pods of a node may have held the slot; each repeats the slot's count on that node.
                if counted.insert((node.clone(), slot.clone())) {
                    *spent.entry(slot).or_default() += probe.spent;
                }
            }
        }
        spent
    }

    /// Every probe that is attached, connected or not.
    pub fn attached(&self) -> impl Iterator<Item = &ProbeReport> {
        let remembered = self.all.values().flat_map(|agent| agent.remembered.values());
        remembered.filter(|probe| probe.state == ProbeState::Attached)
    }
}

impl Agent {
    /// Takes a desired set, unless it is an older one. The same generation must have the same content.
    ///
    /// # Panics
    /// A generation came again with other content: the reconciler broke the fence.
    #[expect(clippy::panic, reason = "a broken fence is a failed test")]
    pub fn accept(&mut self, set: &DesiredSet, now: Timestamp) {
        if !self.connected || set.generation < self.accepted {
            return;
        }
        let wanted: BTreeMap<_, _> =
            set.probes.iter().map(|probe| (probe.id.clone(), probe.clone())).collect();
        if set.generation == self.accepted && wanted != self.wanted && self.accepted != Generation::default()
        {
            panic!("generation {} came with two contents", set.generation);
        }
        (self.accepted, self.wanted) = (set.generation, wanted);
        for remembered in self.remembered.values_mut() {
            remembered.state = ProbeState::Detached;
        }
        for probe in self.wanted.clone().into_values() {
            self.attach(&probe, now);
        }
    }

    fn attach(&mut self, probe: &Probe, now: Timestamp) {
        let spent = self.spent(probe);
        let report = self.remembered.entry(probe.id.clone()).or_insert_with(|| new_report(probe, spent));
        report.attached_at = report.attached_at.or(Some(now));
        report.times = probe.times;
        report.ends = probe.ends;
        report.state = ProbeState::Attached;
    }

    /// What the slot has spent on this node.
    fn spent(&self, probe: &Probe) -> u64 {
        let same = |report: &&ProbeReport| {
            (&report.run, report.slot, &report.container) == (&probe.run, probe.slot, &probe.target.container)
        };
        self.remembered.values().find(same).map_or(0, |report| report.spent)
    }

    /// Injects up to `count` times in each probe, within its budget.
    pub fn inject(&mut self, count: u64) {
        for probe in self.wanted.clone().into_values() {
            let spent = self.spent(&probe);
            let most = probe.times.map_or(u64::MAX, |times| times.saturating_sub(probe.spent_elsewhere));
            let now_spent = (spent + count).min(most.max(spent));
            for report in self.remembered.values_mut() {
                if (&report.run, report.slot, &report.container)
                    == (&probe.run, probe.slot, &probe.target.container)
                {
                    report.spent = now_spent;
                }
            }
        }
    }

    fn report(&self, node: &str) -> NodeReport {
        NodeReport {
            node: node.to_owned(),
            boot_id: "boot".to_owned(),
            accepted: self.accepted,
            kernel: KernelReport {
                release: "6.12.0".to_owned(),
                machine: "x86_64".to_owned(),
                faults: BTreeMap::new(),
                ..KernelReport::default()
            },
            probes: self.remembered.values().cloned().collect(),
        }
    }
}

fn new_report(probe: &Probe, spent: u64) -> ProbeReport {
    ProbeReport {
        id: probe.id.clone(),
        run: probe.run.clone(),
        slot: probe.slot,
        uid: probe.target.uid.clone(),
        container: probe.target.container.clone(),
        state: ProbeState::Detached,
        attach_points: Vec::new(),
        attached_at: None,
        ends: None,
        times: probe.times,
        spent,
        counters: Counters::default(),
    }
}
