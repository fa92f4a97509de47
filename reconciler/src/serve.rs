//! A reconciler put together: store, sources, inventory, agents' listener, admin interface, loop.

use std::{io, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use faultline_core::{Cache, Defaults};
use faultline_policies::{Host, HostConfig, HostError};
use faultline_wire::{
    Address,
    server::{self, Listen, ListenError},
};
use tokio::{sync::Notify, task::JoinHandle, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, AdminAddress, Shown},
    agents::Fleet,
    clock::{Clock, SystemClock},
    converge::Execution,
    inventory::{Cgroups, Observer, Provider},
    metrics::Metrics,
    modules::{Background, Store},
    publish::Board,
    reconcile::Deps,
    record::Recorder,
    run::Loop,
    source::Directory,
    store::{self, StoreError},
};

/// How often cgroups are looked at: a new pod is a target within a second.
const CGROUP_POLL: Duration = Duration::from_millis(400);

/// How long a reconciler that was killed may take to be gone; with a node in its process, as long as an agent.
const TAKEOVER: Duration = Duration::from_secs(10);

/// What is to be served.
pub struct Settings {
    /// Where documents come from.
    pub sources: Vec<Directory>,
    /// What holds where nobody has said otherwise.
    pub defaults: Defaults,
    /// Where modules come from that are in no source.
    pub modules: Store,
    /// Where pods and nodes are observed.
    pub inventory: Provider,
    /// Where the ledger, the last plans and compiled modules are kept.
    pub state_dir: PathBuf,
    /// Where agents dial.
    pub listen: Listen,
    /// Where the admin interface listens.
    pub admin: AdminAddress,
    /// Where else metrics and health are served.
    pub metrics: Option<SocketAddr>,
    /// How long a lease lasts.
    pub lease_ttl: Duration,
}

/// Why a reconciler cannot start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The ledger cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Guardrails cannot be run.
    #[error(transparent)]
    Host(#[from] HostError),
    /// Agents cannot be listened to.
    #[error("cannot listen to agents")]
    Listen(#[from] ListenError),
    /// The listener of the agents failed.
    #[error("agents are served no more")]
    Agents(#[from] server::ServeError),
    /// It ended without a word, which is an error of ours.
    #[error("agents are served no more: their listener ended unexpectedly")]
    Unexpectedly,
    /// The admin interface or the metrics cannot be served.
    #[error("cannot serve at {address}")]
    Admin {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// A directory of ours cannot be made.
    #[error("cannot write to {}", path.display())]
    Folder {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A reconciler that listens and has not passed yet.
pub struct Server {
    looped: Loop,
    address: Address,
    agents: JoinHandle<Result<(), StartError>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Server {
    /// Opens and binds everything.
    ///
    /// # Errors
    /// Something is taken, damaged or refused; then nothing was told to anybody.
    pub async fn start(settings: Settings, stop: CancellationToken) -> Result<Self, StartError> {
        let Settings {
            sources,
            defaults,
            modules,
            inventory,
            state_dir,
            listen,
            admin,
            metrics: metrics_at,
            lease_ttl,
        } = settings;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let (metrics, board, wake) =
            (Arc::new(Metrics::new()), Arc::new(Board::default()), Arc::new(Notify::new()));
        let store = store::take_over(&state_dir, TAKEOVER).await?;
        let host = Host::new(HostConfig {
            compilation_cache: Some(state_dir.join("compiled")),
            ..HostConfig::default()
        })?;
        let recorder = Recorder::beneath(&state_dir)
            .map_err(|source| StartError::Folder { path: state_dir.clone(), source })?;
        let fleet = Arc::new(Fleet::new(Arc::clone(&clock), Arc::clone(&metrics), Arc::clone(&wake)));

        make_folder_of(&listen.address)?;
        let agents = server::Server::bind(listen).await?;
        let address = agents.address().clone();
        let shown =
            Shown { board: Arc::clone(&board), fleet: Arc::clone(&fleet), metrics: Arc::clone(&metrics) };
        let mut tasks = vec![serve_http(&admin, admin::router(shown.clone()), &stop).await?];
        if let Some(at) = metrics_at {
            tasks.push(serve_metrics(at, shown, &stop).await?);
        }
        let agents = tokio::spawn(serve_agents(agents, Arc::clone(&fleet), lease_ttl, stop.clone()));

        let mut watched: Vec<PathBuf> = sources.iter().map(|source| source.path().clone()).collect();
        match &inventory {
            Provider::File(path) => watched.push(path.clone()),
            Provider::Cgroups(cgroups) => {
                let polled = poll_cgroups(cgroups.clone(), Arc::clone(&clock), Arc::clone(&wake));
                tasks.push(until(polled, stop.clone()));
            }
        }
        let converge = Box::new(Execution::new(Box::new(store), Arc::clone(&fleet)));
        let modules = Background::new(modules, Arc::clone(&metrics), Arc::clone(&wake));
        let deps = Deps {
            clock,
            sources,
            modules: Box::new(modules),
            inventory: Observer::new(Some(inventory)),
            evaluator: Arc::new(host),
            cache: Cache::default(),
            defaults,
            converge,
        };
        tracing::info!(agents = %address, %admin, "listening");
        let looped = Loop { deps, fleet, metrics, board, recorder, wake, watched };
        Ok(Self { looped, address, agents, tasks })
    }

    /// Where agents dial; a port 0 has become a real one.
    #[must_use]
    pub const fn address(&self) -> &Address {
        &self.address
    }

    /// Passes until `stop` is cancelled, and closes what was opened.
    ///
    /// # Errors
    /// It ended by itself: agents could not be served any more. Then `stop` is cancelled too.
    pub async fn run(self, stop: CancellationToken) -> Result<(), StartError> {
        let Self { looped, address: _, agents, tasks } = self;
        looped.run(stop.cancelled()).await;
        for task in tasks {
            // A task that panicked has said so already.
            let _ended = task.await;
        }
        agents.await.unwrap_or(Err(StartError::Unexpectedly))
    }
}

/// A socket's directory is made where it is missing: `/run` is empty after every boot.
fn make_folder_of(address: &Address) -> Result<(), StartError> {
    match address {
        Address::Unix(path) => path.parent().map_or(Ok(()), |parent| {
            std::fs::create_dir_all(parent)
                .map_err(|source| StartError::Folder { path: parent.to_owned(), source })
        }),
        Address::Plain { .. } | Address::MutualTls { .. } => Ok(()),
    }
}

/// Without agents there is nothing to reconcile: however this ends, the rest is stopped with it.
async fn serve_agents(
    agents: server::Server,
    fleet: Arc<Fleet>,
    lease_ttl: Duration,
    stop: CancellationToken,
) -> Result<(), StartError> {
    let _stopped_with_it = stop.clone().drop_guard();
    agents.serve(fleet, lease_ttl, stop.clone().cancelled_owned()).await?;
    if stop.is_cancelled() { Ok(()) } else { Err(StartError::Unexpectedly) }
}

async fn serve_http(
    address: &AdminAddress,
    router: axum::Router,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, StartError> {
    let failed = |source| StartError::Admin { address: address.to_string(), source };
    admin::serve(address, router, stop.clone().cancelled_owned()).await.map_err(failed)
}

async fn serve_metrics(
    at: SocketAddr,
    shown: Shown,
    stop: &CancellationToken,
) -> Result<JoinHandle<()>, StartError> {
    let failed = |source| StartError::Admin { address: at.to_string(), source };
    let router = admin::metrics_router(shown);
    admin::serve_tcp(at, router, stop.clone().cancelled_owned()).await.map_err(failed)
}

/// Wakes the loop when cgroups come or go: the kernel's notifications stop at the first level.
async fn poll_cgroups(cgroups: Cgroups, clock: Arc<dyn Clock>, wake: Arc<Notify>) {
    let mut known = None;
    loop {
        let pods = cgroups.observe(clock.now()).map(|inventory| inventory.pods).ok();
        if pods != known {
            known = pods;
            wake.notify_one();
        }
        sleep(CGROUP_POLL).await;
    }
}

fn until(task: impl Future<Output = ()> + Send + 'static, stop: CancellationToken) -> JoinHandle<()> {
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            () = stop.cancelled() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn where_agents_are_served_no_more_everything_stops_and_the_error_is_kept() {
        let socket = tempfile::tempdir().unwrap();
        let address = Address::Unix(socket.path().join("agents.sock"));
        let agents = server::Server::bind(Listen { address, tls: None }).await.unwrap();
        let clock = Arc::new(SystemClock::new());
        let fleet = Arc::new(Fleet::new(clock, Arc::new(Metrics::new()), Arc::new(Notify::new())));
        let stop = CancellationToken::new();
        // The listener dies of a lease that it cannot grant.
        let served = serve_agents(agents, fleet, Duration::ZERO, stop.clone()).await;
        assert!(matches!(served, Err(StartError::Agents(server::ServeError::LeaseTtl))), "{served:?}");
        assert!(stop.is_cancelled());
    }
}
