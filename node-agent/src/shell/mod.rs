//! The thin shell around the state machine: it does what it is told, and decides nothing.

mod link;
mod parts;
mod perform;

use std::{future::Future, io, sync::Arc, time::Duration};

use faultline_wire::client::{Backoff, ConnectError, ConnectTo};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::{
    agent::{Agent, Identity, Input},
    attachments::Attachments,
    cgroups::NoCgroups,
    clock::Clock,
    config::AgentConfig,
    kernel::BootNanos,
    ledger::LedgerError,
    telemetry::{Endpoint, EndpointError, Event, Health, Metrics},
};

pub use parts::Parts;
pub(crate) use parts::engine_config;

use link::Link;
use perform::Performer;

/// Waits before dialling again: from at most this …
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// … to at most this. A lease is longer, so that a restarted reconciler finds its agents before theirs end.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// The loop looks at the clock at least this often: timers stand still while the machine sleeps.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
/// How long the last report may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// Why an agent does not run.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The address and the certificates do not go together.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// There is nothing to attach to.
    #[error(transparent)]
    NoCgroups(#[from] NoCgroups),
    /// The hierarchy cannot be opened.
    #[error("cannot open the cgroup hierarchy")]
    Cgroups(#[source] io::Error),
    /// The ledger cannot be opened or kept. Whatever was attached is detached.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Metrics cannot be served.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The boot id cannot be read.
    #[error("cannot read /proc/sys/kernel/random/boot_id")]
    BootId(#[source] io::Error),
    /// The thread that talks to the kernel is gone. Whatever was attached is detached.
    #[error("the kernel side of the agent ended unexpectedly")]
    KernelSide,
}

/// Runs the agent of this machine until `stop` completes; then everything is detached and reported.
///
/// # Errors
/// It cannot start, or cannot go on. Whatever was attached is detached.
pub async fn run(config: AgentConfig, stop: impl Future<Output = ()> + Send) -> Result<(), AgentError> {
    let mut stop = std::pin::pin!(stop);
    let parts = tokio::select! {
        biased;
        () = &mut stop => return Ok(()),
        parts = Parts::of_this_machine(&config) => parts?,
    };
    run_with(config, parts, stop).await
}

/// Runs an agent on other parts than this machine's.
///
/// # Errors
/// It cannot start, or cannot go on.
pub async fn run_with(
    config: AgentConfig,
    parts: Parts,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), AgentError> {
    let to = ConnectTo::new(config.connect.clone(), config.tls.clone())?;
    let metrics = Arc::new(Metrics::new(&config.node));
    let health = Arc::new(Health::default());
    let (look, looks) = mpsc::channel(4);
    let endpoint = match config.metrics_listen {
        Some(address) => Some(Endpoint::bind(address).await?),
        None => None,
    };
    let (ended, serve_until) = oneshot::channel::<()>();
    let serving = endpoint.map(|endpoint| {
        tracing::info!(address = %endpoint.address(), "serving metrics");
        let until = async { drop(serve_until.await) };
        tokio::spawn(endpoint.serve(Arc::clone(&metrics), Arc::clone(&health), look, until))
    });
    let result = Shell::start(&config.node, to, parts, metrics, health, looks).run(stop).await;
    drop(ended);
    if let Some(serving) = serving {
        // A scrape that hangs does not keep the process.
        let _ = timeout(FAREWELL, serving).await;
    }
    result
}

struct Shell {
    agent: Agent,
    performer: Performer,
    link: Link,
    clock: Arc<dyn Clock>,
    health: Arc<Health>,
    looks: mpsc::Receiver<oneshot::Sender<()>>,
    /// Who waits for the kernel to be asked.
    looking: Vec<oneshot::Sender<()>>,
    settled: Vec<Event>,
}

impl Shell {
    fn start(
        node: &str,
        to: ConnectTo,
        parts: Parts,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        looks: mpsc::Receiver<oneshot::Sender<()>>,
    ) -> Self {
        let Parts { kernel, cgroups, store, ledger, clock, boot_id } = parts;
        let attachments = Attachments::new(kernel, cgroups);
        let identity = Identity { node: node.into(), boot_id, kernel: attachments.report() };
        metrics.can(&identity.kernel);
        let spent = attachments.observe(ledger.budgets.keys()).spent;
        let (agent, settled) = Agent::new(identity, ledger, &spent);
        metrics.accept(agent.ledger().accepted());
        metrics.show(agent.series(clock.now()));
        // Any seed will do; agents that start at once on different nodes are to differ.
        let seed = crate::ledger::probe_id(node).0 ^ clock.now().boot.0;
        let link = Link::new(to, Backoff::new(FIRST_WAIT, LONGEST_WAIT, seed));
        let performer = Performer::new(attachments, store, metrics);
        let settled = settled.events().collect();
        Self { agent, performer, link, clock, health, looks, looking: vec![], settled }
    }

    async fn run(mut self, stop: impl Future<Output = ()> + Send) -> Result<(), AgentError> {
        let mut stop = std::pin::pin!(stop);
        for event in std::mem::take(&mut self.settled) {
            self.performer.note(&event);
        }
        self.performer.keep(&self.agent)?;
        loop {
            let pause = self.until_tick();
            let Self { agent, performer, link, looks, clock, .. } = &mut self;
            let step = tokio::select! {
                biased;
                () = &mut stop => Step::Stop,
                done = performer.done() => Step::Done(done?),
                Some(looked) = looks.recv() => Step::Look(looked),
                () = sleep(pause) => Step::Tick,
                happened = link.next(|| agent.report(clock.now()), &**clock) => Step::Link(happened),
            };
            match step {
                Step::Stop => return self.farewell().await,
                Step::Tick => self.feed(Input::Tick).await?,
                Step::Done(input) => self.done(input).await?,
                Step::Look(looked) => self.look(looked).await?,
                Step::Link(happened) => self.linked(happened).await?,
            }
        }
    }

    async fn done(&mut self, input: Option<Input>) -> Result<(), AgentError> {
        let Some(input) = input else { return Ok(()) };
        let observed = matches!(input, Input::Observed(..));
        self.feed(input).await?;
        if observed {
            for looked in self.looking.drain(..) {
                // Whoever looked may be gone.
                let _ = looked.send(());
            }
        }
        Ok(())
    }

    /// Someone is answered once the kernel was asked; at once, with what is known, while it is at work.
    async fn look(&mut self, looked: oneshot::Sender<()>) -> Result<(), AgentError> {
        if self.agent.is_converging() {
            let _ = looked.send(());
            return Ok(());
        }
        self.looking.push(looked);
        self.feed(Input::Look).await
    }

    async fn linked(&mut self, happened: link::Happened) -> Result<(), AgentError> {
        for event in happened.events {
            self.performer.note(&event);
        }
        if let Some(input) = happened.input {
            self.feed(input).await?;
        }
        self.health.set_ready(self.link.is_open());
        Ok(())
    }

    async fn feed(&mut self, input: Input) -> Result<(), AgentError> {
        self.performer.feed(&mut self.agent, &mut self.link, input, &*self.clock).await
    }

    /// At once where it is due, and never later than the boot clock may have moved unnoticed.
    fn until_tick(&self) -> Duration {
        let BootNanos(now) = self.clock.now().boot;
        let BootNanos(at) = self.agent.wake_at();
        Duration::from_nanos(at.saturating_sub(now)).min(LONGEST_SLEEP)
    }

    /// Detaches everything and says so.
    async fn farewell(mut self) -> Result<(), AgentError> {
        tracing::info!("stopping: everything is detached");
        self.feed(Input::Stop).await?;
        while self.agent.is_converging() || !self.performer.is_idle() {
            let input = self.performer.done().await?;
            self.done(input).await?;
        }
        self.link.close(FAREWELL).await;
        Ok(())
    }
}

enum Step {
    Stop,
    Tick,
    Done(Option<Input>),
    Look(oneshot::Sender<()>),
    Link(link::Happened),
}
