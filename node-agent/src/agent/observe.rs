//! What the kernel said.

use std::collections::BTreeSet;

use faultline_wire::{
    AgentMessage,
    message::{Ack, ProbeAck, RenewAck},
};

use super::{Action, Agent, Converged, Observed, Purpose, REFRESH, Unattached, lease};
use crate::{clock::Now, telemetry::Event};

impl Agent {
    /// A set was tried: notes what is attached, what is not and why, and what the detached ones came to.
    pub(super) fn converged(&mut self, converged: Converged, now: Now, actions: &mut Vec<Action>) {
        let Converged { before, outcomes, after: Observed { counters, spent, missed } } = converged;
        self.missed = missed;
        self.converging = false;
        let again = std::mem::take(&mut self.again);
        self.charge(&spent);
        let attached: BTreeSet<_> =
            outcomes.iter().filter(|(_, result)| result.is_ok()).map(|(id, _)| id.clone()).collect();
        for id in self.attached.keys().cloned().collect::<Vec<_>>() {
            if !attached.contains(&id) {
                let last = self.attached.remove(&id).unwrap_or_default();
                self.points.remove(&id);
                self.fold(&id, before.get(&id).copied().unwrap_or(last));
                let injections = self.ledger.probes.get(&id).map_or(0, |known| known.tally.injections);
                actions.push(Action::Note(Event::Detached { id, injections }));
            }
        }
        let tried: BTreeSet<_> = outcomes.keys().cloned().collect();
        let mut began = false;
        for (id, result) in outcomes {
            match result {
                Ok(points) => {
                    self.points.insert(id.clone(), points);
                    began |= self.is_attached(id, now, actions);
                }
                Err(why) => self.has_failed(id, why, now, actions),
            }
        }
        for (id, tally) in counters {
            if let Some(known) = self.attached.get_mut(&id) {
                *known = tally;
            }
        }
        self.release(&spent);
        self.forget(actions);
        actions.push(Action::Store);
        let waiting = self.wants_more(&tried, now);
        // What was accepted while the kernel was at work is acknowledged when it was tried itself.
        if !waiting && self.tried == self.ledger.accepted() {
            self.tell(now, actions);
        }
        if again || waiting || began {
            self.converge(now, actions);
        }
    }

    /// True where a duration begins now: until then the kernel had an end that was worked out too early.
    fn is_attached(&mut self, id: String, now: Now, actions: &mut Vec<Action>) -> bool {
        let failed_before = self.failures.remove(&id).is_some();
        if !self.attached.contains_key(&id) {
            actions.push(Action::Note(Event::Attached { id: id.clone() }));
        }
        if failed_before {
            self.refresh_after = REFRESH;
        }
        let duration = self.ledger.held_probe(&id).and_then(|probe| probe.duration);
        let mut began = false;
        if let Some(known) = self.ledger.probes.get_mut(&id)
            && known.attached_at.is_none()
        {
            known.attached_at = Some(now.wall);
            let ends = duration.and_then(|duration| now.wall.checked_add(duration.as_std()).ok());
            began = known.ends.is_none() && ends.is_some();
            known.ends = known.ends.or(ends);
        }
        self.attached.entry(id).or_default();
        began
    }

    fn has_failed(&mut self, id: String, why: Unattached, now: Now, actions: &mut Vec<Action>) {
        if self.failures.get(&id) != Some(&why) {
            self.refresh_after = REFRESH;
            self.refresh_at = self.refresh_at.min(lease::after(now.boot, REFRESH));
            let error = why.reason().to_owned();
            actions.push(Action::Note(Event::Failed { id: id.clone(), error }));
        }
        self.failures.insert(id, why);
    }

    /// Acknowledges what was accepted, or reports what changed by itself.
    fn tell(&mut self, now: Now, actions: &mut Vec<Action>) {
        if std::mem::take(&mut self.ack_due) {
            let probes = self.ledger.held_probes().iter().map(|probe| ProbeAck {
                id: probe.id.clone(),
                state: self.state_of(&probe.id, now),
                attached_at: self.ledger.probes.get(&probe.id).and_then(|known| known.attached_at),
            });
            let ack = Ack { generation: self.ledger.accepted(), probes: probes.collect() };
            self.send(AgentMessage::Ack(ack), now, actions);
        } else {
            self.report_if_news(now, actions);
        }
    }

    /// Takes in what was asked for, and answers.
    pub(super) fn observed(
        &mut self,
        observed: Observed,
        purpose: Purpose,
        now: Now,
        actions: &mut Vec<Action>,
    ) {
        let Observed { counters, spent, missed } = observed;
        self.missed = missed;
        self.charge(&spent);
        for (id, tally) in counters {
            if let Some(known) = self.attached.get_mut(&id) {
                *known = tally;
            }
        }
        match purpose {
            Purpose::Look => {}
            Purpose::Report => {
                if let Some(link) = &mut self.session {
                    link.reporting = false;
                }
                actions.push(Action::Store);
                self.report_now(now, actions);
            }
            Purpose::Answer { seq } => {
                actions.push(Action::Store);
                if !self.report_if_news(now, actions) {
                    let generation = self.ledger.accepted();
                    self.send(AgentMessage::RenewAck(RenewAck { generation, seq }), now, actions);
                }
            }
        }
    }
}
