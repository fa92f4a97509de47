//! Doing what the state machine says, in its order.

use std::{collections::VecDeque, sync::Arc};

use tokio::task::spawn_blocking;

use super::{AgentError, link::Link};
use crate::{
    agent::{Action, Agent, Input},
    attachments::Attachments,
    clock::Clock,
    ledger::{BudgetName, LedgerStore},
    telemetry::{Event, Metrics},
};

pub(super) struct Performer {
    /// `None` while the kernel is being talked to.
    attachments: Option<Attachments>,
    store: Box<dyn LedgerStore>,
    metrics: Arc<Metrics>,
}

impl Performer {
    pub(super) fn new(attachments: Attachments, store: Box<dyn LedgerStore>, metrics: Arc<Metrics>) -> Self {
        Self { attachments: Some(attachments), store, metrics }
    }

    pub(super) fn note(&self, event: &Event) {
        event.emit(&self.metrics);
    }

    pub(super) fn keep(&mut self, agent: &Agent) -> Result<(), AgentError> {
        Ok(self.store.store(agent.ledger())?)
    }

    /// Feeds the machine, and everything that its actions bring about.
    pub(super) async fn feed(
        &mut self,
        agent: &mut Agent,
        link: &mut Link,
        input: Input,
        clock: &dyn Clock,
    ) -> Result<(), AgentError> {
        let mut actions: VecDeque<_> = agent.handle(input, clock.now()).into();
        while let Some(action) = actions.pop_front() {
            if let Some(input) = self.perform(action, agent, link, clock).await? {
                // What an answer brings about comes before what was planned to follow.
                for action in agent.handle(input, clock.now()).into_iter().rev() {
                    actions.push_front(action);
                }
                self.metrics.show(agent.series(clock.now()));
            }
        }
        Ok(())
    }

    async fn perform(
        &mut self,
        action: Action,
        agent: &Agent,
        link: &mut Link,
        clock: &dyn Clock,
    ) -> Result<Option<Input>, AgentError> {
        match action {
            Action::Store => self.keep(agent)?,
            Action::Note(event) => self.note(&event),
            Action::Send(message) => link.send(&message, clock).await,
            Action::SetLease(until) => self.attachments()?.set_lease(until),
            Action::Forget(budget) => self.attachments()?.forget(budget),
            Action::Converge(wanted) => {
                let budgets: Vec<BudgetName> = agent.ledger().budgets.keys().cloned().collect();
                let converge =
                    move |attachments: &mut Attachments| attachments.converge(&wanted, budgets.iter());
                return self.in_kernel(converge).await.map(|converged| Some(Input::Converged(converged)));
            }
            Action::Observe(purpose) => {
                let budgets: Vec<BudgetName> = agent.ledger().budgets.keys().cloned().collect();
                let observe = move |attachments: &mut Attachments| attachments.observe(budgets.iter());
                let observed = self.in_kernel(observe).await?;
                return Ok(Some(Input::Observed(observed, purpose)));
            }
        }
        Ok(None)
    }

    /// Programs are verified and attached on a thread of their own: that can take seconds.
    async fn in_kernel<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Attachments) -> T + Send + 'static,
    ) -> Result<T, AgentError> {
        let mut attachments = self.attachments.take().ok_or(AgentError::KernelSide)?;
        let worked = spawn_blocking(move || {
            let result = work(&mut attachments);
            (attachments, result)
        });
        let (attachments, result) = worked.await.map_err(|_| AgentError::KernelSide)?;
        self.attachments = Some(attachments);
        Ok(result)
    }

    fn attachments(&mut self) -> Result<&mut Attachments, AgentError> {
        self.attachments.as_mut().ok_or(AgentError::KernelSide)
    }
}
