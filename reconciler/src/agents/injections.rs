//! How often each experiment injected, from what the agents say was spent.

use std::collections::BTreeMap;

use faultline_core::{ledger::RunKey, report::NodeReport};

use crate::metrics::{InjectionLabels, Metrics};

/// A place in which injections are charged: node, run, slot, container.
type Place = (String, RunKey, u32, String);

/// The last count of each place. A pod that takes another's slot goes on in the same place.
#[derive(Debug, Default)]
pub(super) struct Injections(BTreeMap<Place, u64>);

impl Injections {
    /// Counts what has been added since the last report. An agent's count outlives the agent, so it never falls; what
    /// the agent has forgotten is forgotten here.
    pub(super) fn count(&mut self, report: &NodeReport, metrics: &Metrics) {
        let mut now: BTreeMap<Place, u64> = BTreeMap::new();
        for probe in &report.probes {
            let place = (report.node.clone(), probe.run.clone(), probe.slot, probe.container.clone());
            let spent = now.entry(place).or_default();
            *spent = probe.spent.max(*spent);
        }
        for (place, spent) in &now {
            let (node, run, ..) = place;
            let labels = InjectionLabels {
                namespace: run.experiment.namespace.clone(),
                experiment: run.experiment.name.clone(),
                node: node.clone(),
            };
            let before = self.0.get(place).copied().unwrap_or_default();
            metrics.injections.get_or_create(&labels).inc_by(spent.saturating_sub(before));
        }
        self.0.retain(|place, _| place.0 != report.node);
        self.0.extend(now);
    }
}
