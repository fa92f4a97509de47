//! How often each experiment injected, from what the agents say that their kernels counted.
//!
//! Not from what is spent: what a reboot forfeits is spent as well, and was never injected.

use std::collections::{BTreeMap, BTreeSet};

use faultline_core::{
    ledger::{Generation, RunKey},
    report::NodeReport,
};

use crate::metrics::{InjectionLabels, Metrics};

/// Probes by their names, by node.
#[derive(Debug, Default)]
pub(super) struct Injections(BTreeMap<String, BTreeMap<String, Counted>>);

/// What was counted of one probe.
#[derive(Debug)]
struct Counted {
    run: RunKey,
    injections: u64,
}

impl Injections {
    /// Counts what has been added since each probe was last reported. An agent's count outlives the agent, so it
    /// never falls; a probe that is missing from a report may be in the next, and is not counted again.
    pub(super) fn count(&mut self, report: &NodeReport, metrics: &Metrics) {
        let node = &report.node;
        let known = self.0.entry(node.clone()).or_default();
        if report.accepted == Generation::default() {
            // Such an agent has no memory, or lost it: it counts from nothing.
            known.clear();
        }
        for probe in &report.probes {
            let counted = known
                .entry(probe.id.clone())
                .or_insert_with(|| Counted { run: probe.run.clone(), injections: 0 });
            let more = probe.counters.injections.saturating_sub(counted.injections);
            counted.injections += more;
            let labels = InjectionLabels { experiment: probe.run.experiment.to_string(), node: node.clone() };
            metrics.injections.get_or_create(&labels).inc_by(more);
        }
        forget(known, report);
    }
}

/// Forgets probes that the agent says nothing of while it has a later run of their experiment.
fn forget(known: &mut BTreeMap<String, Counted>, report: &NodeReport) {
    let reported: BTreeSet<&str> = report.probes.iter().map(|probe| probe.id.as_str()).collect();
    // Runs ascend, so the last one of each experiment stays.
    let runs: BTreeSet<&RunKey> = report.probes.iter().map(|probe| &probe.run).collect();
    let newest: BTreeMap<_, _> = runs.iter().map(|run| (&run.experiment, run.activation)).collect();
    known.retain(|id, Counted { run, .. }| {
        let later = newest.get(&run.experiment).is_some_and(|newest| *newest > run.activation);
        reported.contains(id.as_str()) || !later
    });
}

#[cfg(test)]
mod tests {
    use faultline_core::{
        inventory::KernelReport,
        report::{Counters, ProbeReport, ProbeState},
    };

    use super::*;

    /// Runs, pods, and how often each injected.
    type Probes<'a> = [(&'a str, &'a str, u64)];

    /// By an agent that has accepted something; `forfeited` is spent beyond what was injected.
    fn report(probes: &Probes<'_>, forfeited: u64) -> NodeReport {
        let probe = |(run, uid, injections): &(&str, &str, u64)| ProbeReport {
            id: format!("{run}/0/{uid}/main"),
            run: run.parse().unwrap(),
            slot: 0,
            uid: (*uid).to_owned(),
            container: "main".to_owned(),
            state: ProbeState::Attached,
            attach_points: Vec::new(),
            attached_at: None,
            ends: None,
            times: None,
            spent: injections + forfeited,
            counters: Counters { injections: *injections, ..Counters::default() },
        };
        NodeReport {
            node: "n".to_owned(),
            boot_id: String::new(),
            accepted: Generation { epoch: 1, counter: 1 },
            kernel: KernelReport::default(),
            probes: probes.iter().map(probe).collect(),
        }
    }

    #[derive(Default)]
    struct Count {
        injections: Injections,
        metrics: Metrics,
    }

    impl Count {
        /// The count of `a/x` after this report.
        fn after(&mut self, report: &NodeReport) -> u64 {
            self.injections.count(report, &self.metrics);
            let labels = InjectionLabels { experiment: "a/x".to_owned(), node: "n".to_owned() };
            self.metrics.injections.get_or_create(&labels).get()
        }

        fn with(&mut self, probes: &Probes<'_>) -> u64 {
            self.after(&report(probes, 0))
        }

        fn remembered(&self) -> usize {
            self.injections.0.values().map(BTreeMap::len).sum()
        }
    }

    #[test]
    fn every_injection_is_counted_once_over_targets_replacements_and_runs() {
        let mut count = Count::default();
        assert_eq!(count.with(&[("a/x#1", "u1", 3)]), 3);
        assert_eq!(count.with(&[("a/x#1", "u1", 3)]), 3, "the same report again");
        assert_eq!(count.with(&[("a/x#1", "u1", 5), ("a/x#1", "u2", 2)]), 7);
        assert_eq!(count.with(&[("a/x#1", "u1", 6), ("a/x#1", "u2", 2), ("a/x#2", "u1", 4)]), 12);
        assert_eq!(count.with(&[("b/other#1", "u1", 9)]), 12, "another experiment");
    }

    #[test]
    fn what_is_forfeited_is_no_injection() {
        let mut count = Count::default();
        assert_eq!(count.after(&report(&[("a/x#1", "u1", 2)], 0)), 2);
        assert_eq!(count.after(&report(&[("a/x#1", "u1", 2)], 5)), 2);
    }

    #[test]
    fn a_probe_that_leaves_a_report_and_returns_is_not_counted_again() {
        let mut count = Count::default();
        assert_eq!(count.with(&[("a/x#1", "u1", 3)]), 3);
        assert_eq!(count.with(&[]), 3);
        assert_eq!(count.with(&[("a/x#1", "u1", 4)]), 4);
    }

    #[test]
    fn a_probe_is_forgotten_when_it_is_gone_and_a_later_run_of_its_experiment_is_there() {
        let mut count = Count::default();
        count.with(&[("a/x#9", "u1", 3), ("a/y#1", "u1", 1)]);
        count.with(&[("a/x#9", "u1", 3), ("a/x#10", "u1", 1)]);
        assert_eq!(count.remembered(), 3, "the earlier run is still reported");
        assert_eq!((count.with(&[("a/x#10", "u1", 2)]), count.remembered()), (5, 2));
    }

    #[test]
    fn an_agent_that_lost_its_memory_is_counted_from_nothing() {
        let mut count = Count::default();
        assert_eq!(count.with(&[("a/x#1", "u1", 3)]), 3);
        count.after(&NodeReport { accepted: Generation::default(), ..report(&[], 0) });
        assert_eq!(count.with(&[("a/x#1", "u1", 2)]), 5);
    }
}
