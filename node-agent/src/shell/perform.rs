//! Doing what the state machine says, in its order.
//!
//! The kernel is talked to on a thread of its own, one thing at a time: programs are verified and attached there,
//! which can take seconds, and renewals are answered meanwhile. What they extend is told to the kernel when it is
//! done: if it takes longer than the lease, injections pause until then, and if it hangs they end.

use std::{collections::VecDeque, sync::Arc};

use faultline_wire::message::{Rehearsals, Rehearse};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{AgentError, link::Link};
use crate::{
    agent::{Action, Agent, Input, Purpose, Wanted},
    attachments::Attachments,
    clock::Clock,
    kernel::{BootNanos, BudgetKey},
    ledger::{BudgetName, LedgerStore},
    telemetry::{Event, Metrics},
};

pub(super) struct Performer {
    kernel: KernelSide,
    /// What the kernel is to do next.
    queue: VecDeque<Work>,
    /// The end of the lease, where it could not be set yet because the kernel was at work.
    lease: Option<BootNanos>,
    store: Box<dyn LedgerStore>,
    metrics: Arc<Metrics>,
}

enum KernelSide {
    Idle(Box<Attachments>),
    Busy(JoinHandle<(Box<Attachments>, Option<Input>)>),
    Gone,
}

/// Something that only the kernel can do.
enum Work {
    Converge(Vec<Wanted>, Vec<BudgetName>),
    Observe(Purpose, Vec<BudgetName>),
    Forget(BudgetKey),
    Rehearse(Rehearse),
}

impl Performer {
    pub(super) fn new(attachments: Attachments, store: Box<dyn LedgerStore>, metrics: Arc<Metrics>) -> Self {
        let kernel = KernelSide::Idle(Box::new(attachments));
        Self { kernel, queue: VecDeque::new(), lease: None, store, metrics }
    }

    pub(super) fn note(&self, event: &Event) {
        event.emit(&self.metrics);
    }

    pub(super) fn keep(&mut self, agent: &Agent) -> Result<(), AgentError> {
        Ok(self.store.store(agent.ledger())?)
    }

    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.kernel, KernelSide::Idle(_))
    }

    /// Feeds the machine and does what it says. What the kernel does goes on after this.
    pub(super) async fn feed(
        &mut self,
        agent: &mut Agent,
        link: &mut Link,
        input: Input,
        clock: &dyn Clock,
    ) -> Result<(), AgentError> {
        for action in agent.handle(input, clock.now()) {
            match action {
                Action::Store => self.keep(agent)?,
                Action::Note(event) => self.note(&event),
                Action::Send(message) => link.send(&message, clock).await,
                Action::SetLease(until) => self.lease = Some(until),
                Action::Forget(budget) => self.queue.push_back(Work::Forget(budget)),
                Action::Rehearse(rehearse) => self.queue.push_back(Work::Rehearse(rehearse)),
                Action::Converge(wanted) => self.queue.push_back(Work::Converge(wanted, budgets(agent))),
                Action::Observe(purpose) => self.queue.push_back(Work::Observe(purpose, budgets(agent))),
            }
            self.set_about();
        }
        self.metrics.show(agent.series(clock.now()));
        self.metrics.show_missed(agent.missed().clone());
        Ok(())
    }

    /// The next thing that the kernel is done with; waits for ever while it does nothing. Dropped in the middle, it
    /// loses nothing.
    pub(super) async fn done(&mut self) -> Result<Option<Input>, AgentError> {
        let KernelSide::Busy(job) = &mut self.kernel else { return std::future::pending().await };
        let (attachments, input) = match job.await {
            Ok(done) => done,
            Err(_) => {
                self.kernel = KernelSide::Gone;
                return Err(AgentError::KernelSide);
            }
        };
        self.kernel = KernelSide::Idle(attachments);
        self.set_about();
        Ok(input)
    }

    /// Lets the kernel do what waits for it, unless it is at work.
    fn set_about(&mut self) {
        let KernelSide::Idle(attachments) = &mut self.kernel else { return };
        if let Some(until) = self.lease.take() {
            attachments.set_lease(until);
        }
        let Some(work) = self.queue.pop_front() else { return };
        if let KernelSide::Idle(mut attachments) = std::mem::replace(&mut self.kernel, KernelSide::Gone) {
            self.kernel = KernelSide::Busy(spawn_blocking(move || {
                let input = work.on(&mut attachments);
                (attachments, input)
            }));
        }
    }
}

impl Work {
    fn on(self, attachments: &mut Attachments) -> Option<Input> {
        match self {
            Self::Converge(wanted, budgets) => {
                Some(Input::Converged(attachments.converge(&wanted, budgets.iter())))
            }
            Self::Observe(purpose, budgets) => {
                Some(Input::Observed(attachments.observe(budgets.iter()), purpose))
            }
            Self::Rehearse(Rehearse { seq, chains }) => {
                let rehearsals = attachments.rehearse(&chains);
                Some(Input::Rehearsed(Rehearsals { seq, rehearsals }))
            }
            Self::Forget(budget) => {
                attachments.forget(budget);
                None
            }
        }
    }
}

fn budgets(agent: &Agent) -> Vec<BudgetName> {
    agent.ledger().budgets.keys().cloned().collect()
}
