//! What is reported, and what is shown as metrics.

use std::collections::BTreeMap;

use faultline_core::report::{AttachPoint, NodeReport, ProbeReport, ProbeState};
use faultline_wire::AgentMessage;

use super::{Action, Agent};
use crate::{
    clock::Now,
    ledger::{Remembered, Tally},
    telemetry::Series,
};

impl Agent {
    /// The effective state, as it was last observed.
    #[must_use]
    pub fn report(&self, now: Now) -> NodeReport {
        NodeReport {
            node: self.identity.node.clone(),
            boot_id: self.identity.boot_id.clone(),
            accepted: self.ledger.accepted(),
            kernel: self.identity.kernel.clone(),
            probes: self.ledger.probes.iter().map(|(id, known)| self.probe_report(id, known, now)).collect(),
        }
    }

    fn probe_report(&self, id: &str, known: &Remembered, now: Now) -> ProbeReport {
        let budget = self.ledger.budgets.get(&known.budget());
        ProbeReport {
            id: id.to_owned(),
            run: known.run.clone(),
            slot: known.slot,
            uid: known.target.uid.clone(),
            container: known.target.container.clone(),
            state: self.state_of(id, now),
            attach_points: self.points_of(id),
            attached_at: known.attached_at,
            ends: known.ends,
            times: known.times,
            spent: budget.map_or(0, crate::ledger::Budget::charged),
            counters: self.tally_of(id, known).into(),
        }
    }

    /// What it is attached to, with what the programs there missed as last observed.
    fn points_of(&self, id: &str) -> Vec<AttachPoint> {
        let points = self.points.get(id).into_iter().flatten();
        let missed = |function: &str| {
            self.missed.iter().filter(|(name, _)| is_on(name, function)).map(|(_, n)| n).sum()
        };
        points.map(|point| AttachPoint { missed_runs: missed(&point.function), ..point.clone() }).collect()
    }

    fn tally_of(&self, id: &str, known: &Remembered) -> Tally {
        known.tally.plus(self.attached.get(id).copied().unwrap_or_default())
    }

    /// What a remembered probe is doing.
    pub(super) fn state_of(&self, id: &str, now: Now) -> ProbeState {
        let Some(probe) = self.ledger.held_probe(id) else { return ProbeState::Detached };
        if self.attached.contains_key(id) {
            return ProbeState::Attached;
        }
        if let Some(why) = self.failures.get(id) {
            return why.clone().into();
        }
        let ended = self.is_over(id, now) || probe.ends.is_some_and(|ends| ends <= now.wall);
        let known = self.ledger.probes.get(id);
        let ended = ended || known.and_then(|known| known.ends).is_some_and(|ends| ends <= now.wall);
        let budget = known.and_then(|known| self.ledger.budgets.get(&known.budget()));
        if ended || budget.is_some_and(|budget| budget.allowed_in_this_boot() == Some(0)) {
            return ProbeState::Detached;
        }
        // Not detached: it is wanted, and may spend as soon as it can.
        let error = match (self.stopping, self.lease.is_live(now.boot)) {
            (true, _) => "the agent is stopping",
            (false, true) => "it is being attached",
            (false, false) => "the node has no lease",
        };
        ProbeState::Failed { error: error.into() }
    }

    pub(super) fn report_now(&mut self, now: Now, actions: &mut Vec<Action>) {
        let report = self.report(now);
        if let Some(link) = &mut self.session {
            link.reported = Some(report.clone());
        }
        self.send(AgentMessage::Report(report), now, actions);
    }

    /// Whether there was anything that the reconciler does not know.
    pub(super) fn report_if_news(&mut self, now: Now, actions: &mut Vec<Action>) -> bool {
        let report = self.report(now);
        let news = self.session.as_ref().is_some_and(|link| link.reported.as_ref() != Some(&report));
        if news {
            self.report_now(now, actions);
        }
        news
    }

    /// Runs that the kernel passed over, by program.
    #[must_use]
    pub fn missed(&self) -> &BTreeMap<String, u64> {
        &self.missed
    }

    /// What the metrics show: one entry for each remembered probe.
    #[must_use]
    pub fn series(&self, now: Now) -> Vec<Series> {
        let series = self.ledger.probes.iter().map(|(id, known)| Series {
            experiment: known.run.experiment.to_string(),
            run: known.run.activation.0,
            namespace: known.target.namespace.clone(),
            pod: known.target.pod.clone(),
            container: known.target.container.clone(),
            fault: known.fault,
            held: self.ledger.held_probe(id).is_some(),
            attached: self.attached.contains_key(id),
            state: self.state_of(id, now),
            tally: self.tally_of(id, known),
        });
        series.collect()
    }
}

/// Whether the program of that name, such as `fentry/path_mount`, is on the function.
fn is_on(program: &str, function: &str) -> bool {
    program.split_once('/').is_some_and(|(_, on)| on == function)
}
