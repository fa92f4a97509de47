//! `/metrics`, `/healthz` and `/readyz`.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::get,
};
use faultline_telemetry::{exposition, http};
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
    time::timeout,
};

use super::Metrics;

/// How long a scrape waits for the kernel's counts before it shows the last ones. Below Prometheus' own limit of 10 s.
const LOOK_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether the agent has a session.
#[derive(Debug, Default)]
pub struct Health {
    ready: AtomicBool,
}

impl Health {
    /// Whether there is a session with the reconciler.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Relaxed);
    }
}

/// Why the endpoint cannot be served.
#[derive(Debug, Error)]
#[error("cannot serve metrics on {address}")]
pub struct EndpointError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub source: io::Error,
}

/// A bound endpoint.
#[derive(Debug)]
pub struct Endpoint {
    listener: TcpListener,
    address: SocketAddr,
}

#[derive(Clone)]
struct Shared {
    metrics: Arc<Metrics>,
    health: Arc<Health>,
    look: mpsc::Sender<oneshot::Sender<()>>,
}

impl Endpoint {
    /// Binds.
    ///
    /// # Errors
    /// The address is taken or not there.
    pub async fn bind(address: SocketAddr) -> Result<Self, EndpointError> {
        let failed = |source| EndpointError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it is; a port 0 has become a real one.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` completes. Whoever receives from `look` is asked to bring the metrics up to date before
    /// each scrape.
    pub async fn serve(
        self,
        metrics: Arc<Metrics>,
        health: Arc<Health>,
        look: mpsc::Sender<oneshot::Sender<()>>,
        stop: impl Future<Output = ()> + Send + 'static,
    ) {
        let router = Router::new()
            .route("/metrics", get(page))
            .route("/healthz", get(healthy))
            .route("/readyz", get(ready))
            .with_state(Shared { metrics, health, look });
        http::serve(self.listener, router, stop).await;
    }
}

async fn page(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    // Where the loop is busy the last counts are shown: stale, and never wrong.
    shared.look().await;
    match shared.metrics.page() {
        Ok(page) => exposition::answer(&headers, page),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The loop answers.
async fn healthy(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.look().await { (StatusCode::OK, "ok\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "stuck\n") }
}

/// There is a session.
async fn ready(State(shared): State<Shared>) -> (StatusCode, &'static str) {
    if shared.health.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no session with the reconciler\n")
    }
}

impl Shared {
    /// Whether the loop brought the metrics up to date in time.
    async fn look(&self) -> bool {
        let look = async {
            let (done, looked) = oneshot::channel();
            self.look.send(done).await.is_ok() && looked.await.is_ok()
        };
        timeout(LOOK_TIMEOUT, look).await.unwrap_or(false)
    }
}
