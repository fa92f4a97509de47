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
        for (place, spent) in &mut now {
            let (node, run, ..) = place;
            let labels = InjectionLabels { experiment: run.experiment.to_string(), node: node.clone() };
            let before = self.0.get(place).copied().unwrap_or_default();
            metrics.injections.get_or_create(&labels).inc_by(spent.saturating_sub(before));
            *spent = before.max(*spent);
        }
        self.0.retain(|place, _| place.0 != report.node);
        self.0.extend(now);
    }
}

#[cfg(test)]
mod tests {
    use faultline_core::{
        inventory::KernelReport,
        ledger::Generation,
        report::{Counters, ProbeReport, ProbeState},
    };

    use super::*;

    fn report(probes: &[(&str, u32, &str, u64)]) -> NodeReport {
        let probe = |(run, slot, uid, spent): &(&str, u32, &str, u64)| ProbeReport {
            id: format!("{run}/{slot}/{uid}/main"),
            run: run.parse().unwrap(),
            slot: *slot,
            uid: (*uid).to_owned(),
            container: "main".to_owned(),
            state: ProbeState::Attached,
            attached_at: None,
            ends: None,
            times: None,
            spent: *spent,
            counters: Counters::default(),
        };
        NodeReport {
            node: "n".to_owned(),
            boot_id: String::new(),
            accepted: Generation::default(),
            kernel: KernelReport { release: String::new(), machine: String::new(), faults: BTreeMap::new() },
            probes: probes.iter().map(probe).collect(),
        }
    }

    #[test]
    fn what_is_spent_is_counted_once_over_slots_replacements_and_runs() {
        let (mut injections, metrics) = (Injections::default(), Metrics::new());
        let mut counted = |probes: &[(&str, u32, &str, u64)]| {
            injections.count(&report(probes), &metrics);
            let (experiment, node) = ("a/x".to_owned(), "n".to_owned());
            metrics.injections.get_or_create(&InjectionLabels { experiment, node }).get()
        };
        assert_eq!(counted(&[("a/x#1", 0, "u1", 3)]), 3);
        assert_eq!(counted(&[("a/x#1", 0, "u1", 3)]), 3, "the same report again");
        assert_eq!(counted(&[("a/x#1", 0, "u1", 5), ("a/x#1", 1, "u2", 2)]), 7);
        // A replacement in slot 0 goes on with the count of the slot, which both probes show.
        assert_eq!(counted(&[("a/x#1", 0, "u1", 6), ("a/x#1", 0, "u3", 6), ("a/x#1", 1, "u2", 2)]), 8);
        assert_eq!(
            counted(&[("a/x#2", 0, "u1", 4)]),
            12,
            "another run, and the agent has forgotten the first"
        );
    }
}
