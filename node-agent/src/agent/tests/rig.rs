//! An agent, a fake kernel, a ledger that survives crashes, and a clock that the test moves.

use std::collections::VecDeque;

use faultline_api::GoDuration;
use faultline_core::{
    desired::Probe,
    report::{ProbeReport, ProbeState},
};
pub(super) use faultline_wire::testing::{desired as set, probe};
use faultline_wire::{
    Version,
    message::{Rehearsals, Rehearse, Renew},
};
use tempfile::TempDir;

use super::super::*;
use crate::{
    attachments::Attachments,
    cgroups::Cgroups,
    inert::InertKernel,
    kernel::{FakeKernel, Kernel, SharedKernel, Unusable},
    ledger::{LedgerStore as _, VolatileLedger, probe_id},
};

pub(super) const TTL: Duration = Duration::from_secs(15);
pub(super) const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Rig {
    pub(super) agent: Agent,
    pub(super) kernel: SharedKernel,
    pub(super) store: VolatileLedger,
    pub(super) now: Now,
    pub(super) sent: Vec<AgentMessage>,
    pub(super) events: Vec<Event>,
    pub(super) settled: Settled,
    attachments: Attachments,
    boot_id: String,
    tree: TempDir,
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(FakeKernel::new())
    }

    pub(super) fn with(kernel: FakeKernel) -> Self {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("victim")).unwrap();
        let now = Now { wall: "2026-01-01T00:00:00Z".parse().unwrap(), boot: BootNanos(1_000_000_000_000) };
        let kernel = SharedKernel::new(kernel);
        Self::start(kernel, VolatileLedger::default(), now, "boot-1".into(), tree)
    }

    fn start(kernel: SharedKernel, store: VolatileLedger, now: Now, boot_id: String, tree: TempDir) -> Self {
        let opened = Box::new(kernel.clone());
        Self::start_on(opened, kernel, store, now, boot_id, tree)
    }

    /// On a kernel that may be another than the one that the test holds.
    fn start_on(
        opened: Box<dyn Kernel>,
        kernel: SharedKernel,
        store: VolatileLedger,
        now: Now,
        boot_id: String,
        tree: TempDir,
    ) -> Self {
        let cgroups = Cgroups::open(tree.path(), None).unwrap();
        let attachments = Attachments::new(opened, cgroups);
        let identity = identity(&boot_id, &attachments);
        let spent = attachments.observe(store.kept.budgets.keys()).spent;
        let (agent, settled) = Agent::new(identity, store.kept.clone(), &spent);
        let (sent, events) = (vec![], settled.events().collect());
        let mut rig = Self { agent, kernel, store, now, sent, events, settled, attachments, boot_id, tree };
        rig.store.store(rig.agent.ledger()).unwrap();
        rig
    }

    pub(super) fn identity(&self) -> Identity {
        identity(&self.boot_id, &self.attachments)
    }

    /// The process dies without a word, and another takes its place.
    pub(super) fn crash(self) -> Self {
        let Self { kernel, store, now, boot_id, tree, attachments, .. } = self;
        drop(attachments);
        kernel.crash();
        Self::start(kernel, store, now, boot_id, tree)
    }

    /// The process dies without a word, and the engine does not open for the one that takes its place.
    pub(super) fn crash_and_lose_the_engine(self) -> Self {
        let Self { kernel, store, now, boot_id, tree, attachments, .. } = self;
        drop(attachments);
        kernel.crash();
        let mut preflight = kernel.preflight();
        for verdict in &mut preflight.faults {
            verdict.mechanism = Err(Unusable::Engine { reason: "no bpf file system".into() });
        }
        Self::start_on(Box::new(InertKernel::new(preflight)), kernel, store, now, boot_id, tree)
    }

    /// The machine dies, and comes back with nothing but its disk.
    pub(super) fn reboot(self) -> Self {
        let Self { store, now, boot_id, tree, .. } = self;
        let now = Now { boot: BootNanos(20_000_000_000), ..now };
        Self::start(SharedKernel::default(), store, now, boot_id + "+", tree)
    }

    pub(super) fn feed(&mut self, input: Input) {
        let mut actions: VecDeque<_> = self.agent.handle(input, self.now).into();
        while let Some(action) = actions.pop_front() {
            let Some(input) = self.perform(action) else { continue };
            for action in self.agent.handle(input, self.now).into_iter().rev() {
                actions.push_front(action);
            }
        }
    }

    /// Does what was held back, and whatever it brings about.
    pub(super) fn perform_later(&mut self, action: Action) {
        if let Some(input) = self.perform(action) {
            self.feed(input);
        }
    }

    fn perform(&mut self, action: Action) -> Option<Input> {
        let budgets: Vec<_> = self.agent.ledger().budgets.keys().cloned().collect();
        match action {
            Action::Store => self.store.store(self.agent.ledger()).unwrap(),
            Action::SetLease(until) => self.attachments.set_lease(until),
            Action::Forget(key) => self.attachments.forget(key),
            Action::Send(message) => self.sent.push(message),
            Action::Note(event) => self.events.push(event),
            Action::Rehearse(Rehearse { seq, chains }) => {
                let rehearsals = self.attachments.rehearse(&chains);
                return Some(Input::Rehearsed(Rehearsals { seq, rehearsals }));
            }
            Action::Converge(wanted) => {
                return Some(Input::Converged(self.attachments.converge(&wanted, budgets.iter())));
            }
            Action::Observe(purpose) => {
                return Some(Input::Observed(self.attachments.observe(budgets.iter()), purpose));
            }
        }
        None
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now.boot = lease::after(self.now.boot, time);
        self.now.wall = self.now.wall.checked_add(time).unwrap();
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.pass(time);
        self.feed(Input::Tick);
    }

    pub(super) fn open(&mut self) {
        self.feed(Input::Opened(Welcome { version: Version::OURS, lease_ttl: TTL, session: 1 }));
    }

    pub(super) fn desire(&mut self, desired: &Desired) {
        self.feed(Input::Received(Received::Desired(desired.clone()), self.now.boot));
    }

    pub(super) fn renew(&mut self) {
        self.renew_heard(self.now.boot);
    }

    /// A renewal by someone who heard of the agent last at `heard`.
    pub(super) fn renew_heard(&mut self, heard: BootNanos) {
        let generation = self.agent.ledger().accepted();
        self.feed(Input::Received(Received::Renew(Renew { generation, seq: 1 }), heard));
    }

    /// The target's container ends; where it has ended, another takes its place.
    pub(super) fn swap_container(&self) {
        let victim = self.tree.path().join("victim");
        if std::fs::remove_dir(&victim).is_err() {
            std::fs::create_dir(&victim).unwrap();
        }
    }

    /// A task in scope reaches the target that often; how often it failed.
    pub(super) fn hammer(&mut self, id: &str, times: u64) -> u64 {
        let mut kernel = self.kernel.lock();
        let failed = (0..times).filter(|_| kernel.inject(probe_id(id), self.now.boot)).count();
        u64::try_from(failed).unwrap()
    }

    pub(super) fn attached(&self) -> usize {
        self.kernel.lock().attached().count()
    }

    pub(super) fn report_of(&self, id: &str) -> ProbeReport {
        let report = self.agent.report(self.now);
        report.probes.into_iter().find(|probe| probe.id == id).unwrap()
    }

    pub(super) fn state_of(&self, id: &str) -> ProbeState {
        self.report_of(id).state
    }

    pub(super) fn last_ack(&self) -> &faultline_wire::message::Ack {
        let acks = self.sent.iter().rev().filter_map(|message| match message {
            AgentMessage::Ack(ack) => Some(ack),
            _ => None,
        });
        acks.into_iter().next().unwrap()
    }

    pub(super) fn last_nack(&self) -> &Nack {
        match self.sent.last() {
            Some(AgentMessage::Nack(nack)) => nack,
            other => panic!("no refusal: {other:?}"),
        }
    }

    pub(super) fn expiries(&self) -> usize {
        self.events.iter().filter(|event| matches!(event, Event::LeaseExpired { .. })).count()
    }
}

fn identity(boot_id: &str, attachments: &Attachments) -> Identity {
    Identity { node: "node-a".into(), boot_id: boot_id.into(), kernel: attachments.report() }
}

pub(super) fn times(name: &str, pod: &str, times: u64) -> Probe {
    Probe { times: Some(times), ..probe(name, pod) }
}

pub(super) fn lasting(name: &str, pod: &str, seconds: u64) -> Probe {
    Probe { duration: Some(GoDuration::from_secs(seconds)), ..probe(name, pod) }
}
