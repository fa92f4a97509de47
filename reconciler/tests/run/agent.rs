//! An agent that attaches nothing and says that it did.

use std::time::Duration;

use faultline_api::Fault;
use faultline_core::{
    inventory::{Injectability, KernelReport},
    ledger::Generation,
    rehearsal::{Chain, Rehearsal, Rehearsed},
    report::{Counters, NodeReport, ProbeReport, ProbeState},
};
use faultline_wire::{
    Address, AgentMessage, Version,
    client::{ConnectTo, Received, Session, connect},
    message::{Ack, Desired, Hello, Nack, NackReason, ProbeAck, Rehearsals, Rehearse, RenewAck},
};
use jiff::Timestamp;
use tokio::time::{sleep, timeout};

use super::stage::PATIENCE;

pub(crate) struct FakeAgent {
    session: Session,
    /// What it holds and remembers; survives sessions.
    pub(crate) report: NodeReport,
    /// Since when it holds what it holds.
    attached_at: Timestamp,
}

/// The report of a node that never was told anything.
pub(crate) fn fresh() -> NodeReport {
    let can = |fault| (fault, Injectability::Yes { mechanism: "fmod_ret".to_owned() });
    NodeReport {
        node: "n1".to_owned(),
        boot_id: "boot".to_owned(),
        accepted: Generation::default(),
        kernel: KernelReport {
            release: "6.1.0".to_owned(),
            machine: "x86_64".to_owned(),
            faults: Fault::ALL.into_iter().map(can).collect(),
            ..KernelReport::default()
        },
        probes: Vec::new(),
    }
}

/// Its kernel has every function but those whose names begin with `no_`.
fn rehearsal(chain: &Chain) -> Rehearsal {
    let at = |function: &str| {
        let is_there = !function.starts_with("no_");
        Rehearsed {
            function: function.to_owned(),
            symbol: is_there.then(|| function.to_owned()),
            mechanism: is_there.then(|| "fentry/fexit".to_owned()),
            problem: (!is_there).then(|| format!("there is no {function}")),
        }
    };
    Rehearsal {
        frames: chain.call_chain.frames.iter().map(|frame| at(&frame.function)).collect(),
        target: at(chain.fault.target_function()),
        problems: Vec::new(),
    }
}

impl FakeAgent {
    /// Dials until the reconciler answers.
    pub(crate) async fn dial(address: &Address, report: NodeReport) -> Self {
        let to = ConnectTo::new(address.clone(), None).unwrap();
        let dialled = timeout(PATIENCE, async {
            loop {
                let hello = Hello { version: Version::OURS, report: report.clone() };
                match connect(&to, hello, 1).await {
                    Ok(session) => return session,
                    Err(_) => sleep(Duration::from_millis(20)).await,
                }
            }
        });
        let session = dialled.await.expect("the reconciler listens");
        #[expect(clippy::disallowed_methods, reason = "an agent has a clock")]
        let attached_at = Timestamp::now();
        Self { session, report, attached_at }
    }

    pub(crate) async fn receive(&mut self) -> Received {
        timeout(PATIENCE, self.session.receive())
            .await
            .expect("a message in time")
            .expect("an open session")
            .0
    }

    /// Whether the session ends.
    pub(crate) async fn ends(&mut self) -> bool {
        timeout(PATIENCE, async { while self.session.receive().await.is_ok() {} }).await.is_ok()
    }

    /// The next set, with renewals acknowledged and reports given meanwhile. Not yet accepted.
    pub(crate) async fn desired(&mut self) -> Desired {
        loop {
            match self.receive().await {
                Received::Desired(desired) => return desired,
                Received::Renew(renew) => {
                    let ack = RenewAck { generation: self.report.accepted, seq: renew.seq };
                    self.say(AgentMessage::RenewAck(ack)).await;
                }
                Received::ReportRequest => self.say(AgentMessage::Report(self.report.clone())).await,
                Received::Rehearse(Rehearse { seq, chains }) => {
                    let rehearsals = chains.iter().map(rehearsal).collect();
                    self.say(AgentMessage::Rehearsals(Rehearsals { seq, rehearsals })).await;
                }
                Received::Malformed(malformed) => panic!("a malformed set: {malformed:?}"),
            }
        }
    }

    /// The next set that `wanted` accepts; those before it are accepted and reported too.
    pub(crate) async fn desired_that(&mut self, wanted: impl Fn(&Desired) -> bool) -> Desired {
        loop {
            let desired = self.desired().await;
            self.accept(&desired).await;
            if wanted(&desired) {
                return desired;
            }
        }
    }

    /// Attaches what is desired, remembers what is not any more, and says so.
    pub(crate) async fn accept(&mut self, desired: &Desired) {
        assert!(desired.set.generation >= self.report.accepted, "never an older generation");
        self.report.accepted = desired.set.generation;
        for probe in &mut self.report.probes {
            probe.state = ProbeState::Detached;
        }
        for probe in &desired.set.probes {
            let (spent, counters) = self.counted(&probe.id);
            self.report.probes.retain(|known| known.id != probe.id);
            self.report.probes.push(ProbeReport {
                id: probe.id.clone(),
                run: probe.run.clone(),
                slot: probe.slot,
                uid: probe.target.uid.clone(),
                container: probe.target.container.clone(),
                state: ProbeState::Attached,
                attach_points: Vec::new(),
                attached_at: Some(self.attached_at),
                ends: probe.ends,
                times: probe.times,
                spent,
                counters,
            });
        }
        let acks = desired.set.probes.iter().map(|probe| ProbeAck {
            id: probe.id.clone(),
            state: ProbeState::Attached,
            attached_at: Some(self.attached_at),
        });
        let ack = Ack { generation: desired.set.generation, probes: acks.collect() };
        self.say(AgentMessage::Ack(ack)).await;
    }

    pub(crate) async fn refuse(&mut self, desired: &Desired, accepted: Generation) {
        self.report.accepted = accepted;
        let (reason, detail) = (NackReason::Older, "a newer one was accepted".to_owned());
        let nack = Nack { generation: Some(desired.set.generation), reason, detail, accepted };
        self.say(AgentMessage::Nack(nack)).await;
    }

    /// Injects, as its next report says.
    pub(crate) async fn spend(&mut self, count: u64) {
        for probe in &mut self.report.probes {
            probe.spent += count;
            probe.counters.injections += count;
        }
        self.say(AgentMessage::Report(self.report.clone())).await;
    }

    /// Counts, as its next report says.
    pub(crate) async fn count(&mut self, counters: Counters) {
        for probe in &mut self.report.probes {
            (probe.spent, probe.counters) = (counters.injections, counters);
        }
        self.say(AgentMessage::Report(self.report.clone())).await;
    }

    fn counted(&self, id: &str) -> (u64, Counters) {
        let known = self.report.probes.iter().find(|probe| probe.id == id);
        known.map(|probe| (probe.spent, probe.counters)).unwrap_or_default()
    }

    async fn say(&self, message: AgentMessage) {
        self.session.send(&message, 1).await.expect("an open session");
    }
}
