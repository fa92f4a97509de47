//! One agent's session.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use faultline_core::ledger::Generation;
use faultline_wire::{
    AgentMessage, ReconcilerMessage,
    message::{Desired, Nack, Rehearsals, Rehearse, Renew},
    server::{Refusal, Session, SessionHandler},
};
use tokio::time::{MissedTickBehavior, interval};

use super::{Fleet, rehearsals::Question};
use crate::metrics::{NodeLabels, ReasonLabels};

/// Renewals within one lease: two may be lost.
const RENEWALS_PER_LEASE: u32 = 3;

impl SessionHandler for Fleet {
    async fn session(&self, session: Session) {
        let (node, id) = (session.hello.report.node.clone(), session.welcome.session);
        tracing::info!(node, session = id, peer = %session.peer, "agent connected");
        self.joined(id, session.hello.report.clone());
        // Left, too, where the server drops this future.
        let left = Left { fleet: self, node: &node, id };
        let held = Held { fleet: self, node: &node, id, session, sent: None, seq: 0, asked: BTreeMap::new() };
        held.hold().await;
        drop(left);
    }

    fn refused(&self, refusal: &Refusal) {
        tracing::warn!(reason = %refusal.reason, peer = refusal.peer, detail = refusal.detail, "peer refused");
        self.metrics.peers_refused.get_or_create(&ReasonLabels { reason: refusal.reason.as_str() }).inc();
    }
}

struct Left<'a> {
    fleet: &'a Fleet,
    node: &'a str,
    id: u64,
}

impl Drop for Left<'_> {
    fn drop(&mut self) {
        tracing::info!(node = self.node, session = self.id, "agent disconnected");
        self.fleet.left(self.node, self.id);
    }
}

struct Held<'a> {
    fleet: &'a Fleet,
    node: &'a str,
    id: u64,
    session: Session,
    /// What it was last told.
    sent: Option<Arc<Desired>>,
    /// Of the last renewal or question.
    seq: u64,
    /// Questions that are not answered yet, by their numbers.
    asked: BTreeMap<u64, Question>,
}

impl Held<'_> {
    /// Until the agent has said its last, or opens another session.
    async fn hold(mut self) {
        let mut told = self.fleet.subscribe();
        told.mark_changed();
        let mut renewals = interval(renewal_period(self.session.welcome.lease_ttl));
        renewals.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut questions = self.fleet.questions.subscribe();
        while self.fleet.is_newest(self.node, self.id) {
            tokio::select! {
                message = self.session.receive() => match message {
                    Some(message) => self.heard(message).await,
                    None => return,
                },
                Ok(()) = told.changed() => {
                    let desired = told.borrow_and_update().to(self.node, self.id).cloned();
                    self.tell(desired).await;
                }
                _ = renewals.tick() => self.renew().await,
                Ok(question) = questions.recv() => self.ask(question).await,
            }
        }
        self.taken_over();
    }

    /// Another session took its place.
    fn taken_over(self) {
        let (node, peer) = (self.node, self.session.peer.to_string());
        let now = self.fleet.clock.monotonic();
        if let Some(other) = self.fleet.takeovers.happened(node, peer.clone(), now) {
            tracing::warn!(
                node,
                one = other,
                another = peer,
                "agents take one another's place: are there two that are called alike? \
                 give each node's agent its own name with --node"
            );
        }
        self.session.close(&format!(
            "a later session of node {node} took its place; unless this agent opened it, another one has its name"
        ));
    }

    /// Says something. An agent that does not listen any more may still be saying its last.
    async fn say(&self, message: ReconcilerMessage) -> bool {
        self.session.send(message).await.is_ok()
    }

    /// Says what is desired, if it is not what was said last.
    async fn tell(&mut self, desired: Option<Arc<Desired>>) {
        let Some(desired) = desired else { return };
        let known = self.sent.as_ref().is_some_and(|sent| sent.set.generation == desired.set.generation);
        if !known && self.say(ReconcilerMessage::Desired((*desired).clone())).await {
            self.sent = Some(desired);
        }
    }

    async fn renew(&mut self) {
        let Some(generation) = self.sent.as_ref().map(|sent| sent.set.generation) else { return };
        if !self.fleet.is_vouched_for() {
            tracing::error!(node = self.node, "lease not renewed: no pass has gone through for too long");
            return;
        }
        self.seq += 1;
        if self.say(ReconcilerMessage::Renew(Renew { generation, seq: self.seq })).await {
            self.fleet.metrics.lease_renewals.get_or_create(&NodeLabels { node: self.node.to_owned() }).inc();
        }
    }

    async fn ask(&mut self, question: Question) {
        self.seq += 1;
        // Whoever asked has gone.
        self.asked.retain(|_, question| !question.answer.is_closed());
        let chains = question.chains.to_vec();
        self.asked.insert(self.seq, question);
        self.say(ReconcilerMessage::Rehearse(Rehearse { seq: self.seq, chains })).await;
    }

    fn answered(&mut self, Rehearsals { seq, rehearsals }: Rehearsals) {
        if let Some(question) = self.asked.remove(&seq) {
            drop(question.answer.send((self.node.to_owned(), rehearsals)));
        }
    }

    async fn heard(&mut self, message: AgentMessage) {
        match message {
            AgentMessage::Report(report) if report.node == self.node => self.fleet.reported(self.id, report),
            AgentMessage::Report(report) => {
                tracing::error!(
                    node = self.node,
                    other = report.node,
                    "a report about another node is dropped"
                );
            }
            // How each probe fared, and what is being spent, is in the report.
            AgentMessage::Ack(_) => drop(self.say(ReconcilerMessage::ReportRequest).await),
            AgentMessage::Nack(nack) => self.refused_by_agent(&nack),
            AgentMessage::RenewAck(ack) => {
                self.fleet.heard(self.node, self.id);
                self.compare(ack.generation).await;
            }
            AgentMessage::Rehearsals(rehearsals) => self.answered(rehearsals),
            // The wire lets no second one through.
            AgentMessage::Hello(_) => {}
        }
    }

    /// The agent holds something newer, or other content: the next pass raises the generation above it.
    fn refused_by_agent(&mut self, nack: &Nack) {
        let (reason, detail) = (nack.reason.as_str(), &nack.detail);
        tracing::error!(node = self.node, reason, detail, accepted = %nack.accepted, "the agent refused its desired set");
        self.fleet.metrics.sets_refused.get_or_create(&ReasonLabels { reason }).inc();
        self.fleet.amend(self.node, self.id, |report| report.accepted = nack.accepted);
    }

    /// Says again what the agent is not at: it did not get it, or lost its memory.
    async fn compare(&mut self, at: Generation) {
        if let Some(sent) = self.sent.as_ref().filter(|sent| at < sent.set.generation) {
            self.say(ReconcilerMessage::Desired((**sent).clone())).await;
        }
    }
}

fn renewal_period(lease_ttl: Duration) -> Duration {
    lease_ttl / RENEWALS_PER_LEASE
}

#[cfg(test)]
mod tests;
