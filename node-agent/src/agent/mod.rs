//! The agent's decisions: a pure state machine. Messages, instants and what the kernel said come in; what is to be
//! done comes out as data, in the order in which it is to be done. There is no IO and no clock in here.

mod budgets;
mod exchange;
mod fence;
mod lease;
mod observe;
mod report;
mod want;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use faultline_core::{
    ledger::Generation,
    report::{AttachPoint, NodeReport},
};
use faultline_wire::{
    AgentMessage,
    client::Received,
    message::{Desired, Nack, NackReason, RenewAck, Welcome},
};
use jiff::Timestamp;

pub use budgets::Settled;
pub use exchange::{Action, Converged, Identity, Input, Observed, Purpose, Unattached};
pub use lease::Lease;
pub use want::Wanted;

use crate::{
    clock::Now,
    kernel::BootNanos,
    ledger::{BudgetName, Held, Ledger, Remembered, Tally},
    telemetry::Event,
};

/// When what is wanted is brought in force again though nothing was said: a probe that failed may attach by now, and
/// a container may be gone. As long as nothing changes the wait doubles, because trying is not for free.
const REFRESH: Duration = Duration::from_secs(5);

/// It doubles up to this, but not while a chain names a function of a module: modules come and go without a word.
const LONGEST_REFRESH: Duration = Duration::from_secs(60);

/// The state.
#[derive(Debug)]
pub struct Agent {
    identity: Identity,
    ledger: Ledger,
    lease: Lease,
    /// The open session, if there is one.
    session: Option<Link>,
    /// Attached probes and what they counted since.
    attached: BTreeMap<String, Tally>,
    /// What they are attached to.
    points: BTreeMap<String, Vec<AttachPoint>>,
    /// Runs of each attached program that the kernel passed over, as last observed.
    missed: BTreeMap<String, u64>,
    /// Why held probes are not attached.
    failures: BTreeMap<String, Unattached>,
    /// Ends by the boot clock, worked out once for each end, so that a step of the wall clock moves none.
    ends: BTreeMap<String, (Timestamp, BootNanos)>,
    refresh_at: BootNanos,
    refresh_after: Duration,
    /// The generation that is being tried, or was last.
    tried: Generation,
    /// An [`Action::Converge`] is being done. That can take seconds, and renewals do not wait for it.
    converging: bool,
    /// What is wanted changed meanwhile.
    again: bool,
    /// A desired set was accepted and is not acknowledged yet.
    ack_due: bool,
    stopping: bool,
}

/// The open session.
#[derive(Debug)]
struct Link {
    lease_ttl: Duration,
    /// When something was last sent.
    sent: BootNanos,
    /// What was last reported.
    reported: Option<NodeReport>,
    /// The kernel is being asked for a report. One is enough, however long it takes.
    reporting: bool,
}

impl Agent {
    /// A new process. `spent` is what the kernel says of the remembered budgets; what was lost with a reboot is
    /// forfeited here, and told.
    #[must_use]
    pub fn new(identity: Identity, ledger: Ledger, spent: &BTreeMap<BudgetName, u64>) -> (Self, Settled) {
        let mut agent = Self {
            identity,
            ledger,
            lease: Lease::default(),
            session: None,
            attached: BTreeMap::new(),
            points: BTreeMap::new(),
            missed: BTreeMap::new(),
            failures: BTreeMap::new(),
            ends: BTreeMap::new(),
            refresh_at: BootNanos::NEVER,
            refresh_after: REFRESH,
            tried: Generation::default(),
            converging: false,
            again: false,
            ack_due: false,
            stopping: false,
        };
        let settled = agent.settle(spent);
        (agent, settled)
    }

    /// Whether an [`Action::Converge`] has not been answered yet.
    #[must_use]
    pub const fn is_converging(&self) -> bool {
        self.converging
    }

    /// What is remembered.
    #[must_use]
    pub const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Decides. Whatever comes in, what is due by now happens first.
    pub fn handle(&mut self, input: Input, now: Now) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Converged(converged) => self.converged(converged, now, &mut actions),
            Input::Observed(observed, purpose) => self.observed(observed, purpose, now, &mut actions),
            input => {
                self.housekeeping(now, &mut actions);
                self.react(input, now, &mut actions);
            }
        }
        actions
    }

    fn react(&mut self, input: Input, now: Now, actions: &mut Vec<Action>) {
        match input {
            Input::Opened(welcome) => {
                let Welcome { version: _, lease_ttl, session } = welcome;
                self.session = Some(Link { lease_ttl, sent: now.boot, reported: None, reporting: false });
                actions.push(Action::Note(Event::SessionOpened { session, lease_ttl }));
            }
            Input::Closed => {
                self.session = None;
                self.ack_due = false;
            }
            Input::Received(received, heard) => self.received(received, heard, now, actions),
            Input::Look => actions.push(Action::Observe(Purpose::Look)),
            Input::Stop => {
                self.stopping = true;
                self.converge(now, actions);
            }
            Input::Rehearsed(rehearsals) => {
                self.send(AgentMessage::Rehearsals(rehearsals), now, actions);
            }
            Input::Tick | Input::Converged(_) | Input::Observed(..) => {}
        }
    }

    fn received(&mut self, received: Received, heard: BootNanos, now: Now, actions: &mut Vec<Action>) {
        match received {
            Received::Desired(desired) => self.desired(desired, heard, now, actions),
            Received::Malformed(malformed) => {
                let detail = malformed.error.to_string();
                self.refuse(malformed.generation, NackReason::Malformed, detail, now, actions);
            }
            Received::Renew(renew) => {
                if renew.generation == self.ledger.accepted() {
                    self.renew(heard, now, actions);
                }
                self.answer(renew.seq, now, actions);
            }
            Received::ReportRequest => self.report_soon(now, actions),
            Received::Rehearse(rehearse) => actions.push(Action::Rehearse(rehearse)),
        }
    }

    /// Fences a desired set and brings it in force.
    fn desired(&mut self, desired: Desired, heard: BootNanos, now: Now, actions: &mut Vec<Action>) {
        let generation = desired.set.generation;
        match fence::judge(self.ledger.held.as_ref(), &desired) {
            fence::Verdict::Newer => self.accept(desired, now, actions),
            fence::Verdict::Same => {}
            fence::Verdict::Refused(reason, detail) => {
                return self.refuse(Some(generation), reason, detail, now, actions);
            }
        }
        self.ack_due = true;
        self.extend(heard, now, actions);
        self.converge(now, actions);
    }

    fn accept(&mut self, desired: Desired, now: Now, actions: &mut Vec<Action>) {
        let Desired { set, content } = desired;
        actions.push(Action::Note(Event::DesiredAccepted {
            generation: set.generation,
            probes: set.probes.len(),
        }));
        for probe in &set.probes {
            let remembered =
                self.ledger.probes.entry(probe.id.clone()).or_insert_with(|| Remembered::new(probe));
            remembered.times = probe.times;
            remembered.dropped_at = None;
            remembered.fault = probe.fault;
            remembered.target = probe.target.clone();
        }
        self.ledger.held = Some(Held { set, content });
        self.refresh_after = REFRESH;
        self.drop_others(now);
        self.fit_budgets();
        self.failures.retain(|id, _| self.ledger.held_probe(id).is_some());
        actions.push(Action::Store);
    }

    /// Notes when probes left the desired set.
    fn drop_others(&mut self, now: Now) {
        let held: BTreeSet<_> = self.ledger.held_probes().iter().map(|probe| probe.id.clone()).collect();
        for (id, remembered) in &mut self.ledger.probes {
            if !held.contains(id) && remembered.dropped_at.is_none() {
                remembered.dropped_at = Some(now.wall);
            }
        }
    }

    fn refuse(
        &mut self,
        generation: Option<Generation>,
        reason: NackReason,
        detail: String,
        now: Now,
        actions: &mut Vec<Action>,
    ) {
        let accepted = self.ledger.accepted();
        actions.push(Action::Note(Event::DesiredRefused { reason, detail: detail.clone() }));
        self.send(AgentMessage::Nack(Nack { generation, reason, detail, accepted }), now, actions);
    }

    /// A renewal of what is held.
    fn renew(&mut self, heard: BootNanos, now: Now, actions: &mut Vec<Action>) {
        let was_live = self.lease.is_live(now.boot);
        self.extend(heard, now, actions);
        if !was_live && self.lease.is_live(now.boot) {
            self.converge(now, actions);
        }
    }

    /// The lease counts from the last that the reconciler heard of this agent, not from when its renewal arrives.
    fn extend(&mut self, heard: BootNanos, now: Now, actions: &mut Vec<Action>) {
        let Some(link) = &self.session else { return };
        let until = self.lease.renew(heard, link.lease_ttl, now.boot);
        actions.push(Action::SetLease(until));
    }

    /// Answers a renewal: at once while the kernel is at work, because the next one counts from this answer.
    fn answer(&mut self, seq: u64, now: Now, actions: &mut Vec<Action>) {
        if self.converging {
            let generation = self.ledger.accepted();
            self.send(AgentMessage::RenewAck(RenewAck { generation, seq }), now, actions);
        } else {
            actions.push(Action::Observe(Purpose::Answer { seq }));
        }
    }

    /// What is due by now: the lease's end, ends of probes, another try, a sign of life.
    fn housekeeping(&mut self, now: Now, actions: &mut Vec<Action>) {
        let lapsed = self.lease.lapses(now.boot);
        if lapsed {
            actions.push(Action::Note(Event::LeaseExpired { probes: self.attached.len() }));
        }
        let over = self.attached.keys().any(|id| self.is_over(id, now));
        if lapsed || over || now.boot >= self.refresh_at {
            self.converge(now, actions);
        }
        if self.session.as_ref().is_some_and(|link| now.boot >= link.silent_until()) {
            self.report_soon(now, actions);
        }
    }

    fn report_soon(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.converging {
            self.report_now(now, actions);
        } else if let Some(link) = &mut self.session
            && !std::mem::replace(&mut link.reporting, true)
        {
            actions.push(Action::Observe(Purpose::Report));
        }
    }

    /// When [`Input::Tick`] is to come at the latest.
    #[must_use]
    pub fn wake_at(&self) -> BootNanos {
        let silence = self.session.iter().filter(|link| !link.reporting).map(Link::silent_until);
        let always = silence.chain([self.lease.wake_at()]).min().unwrap_or(BootNanos::NEVER);
        if self.converging {
            return always;
        }
        let ends = self.attached.keys().filter_map(|id| self.ends.get(id)).map(|(_, boot)| *boot);
        ends.chain([self.refresh_at, always]).min().unwrap_or(BootNanos::NEVER)
    }

    fn send(&mut self, message: AgentMessage, now: Now, actions: &mut Vec<Action>) {
        if let Some(link) = &mut self.session {
            link.sent = now.boot;
            actions.push(Action::Send(message));
        }
    }
}

impl Link {
    /// Without a sign of life until then, the reconciler's next renewal would count from too long ago.
    fn silent_until(&self) -> BootNanos {
        lease::after(self.sent, self.lease_ttl / 2)
    }
}

#[cfg(test)]
mod tests;
