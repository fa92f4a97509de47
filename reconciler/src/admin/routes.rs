//! What is served.

use std::{future::Future, io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use faultline_core::rehearsal::Chain;
use faultline_telemetry::{exposition, http};
use serde::Serialize;
use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinHandle,
};

use super::{AdminAddress, host::only_local, views};
use crate::{agents::Fleet, metrics::Metrics, publish::Board, reconcile::Pass};

/// What every answer says of who answers, as `Server`.
const SERVER: &str = "faultline";

/// What the routes show.
#[derive(Clone)]
pub struct Shown {
    /// The last pass.
    pub board: Arc<Board>,
    /// The agents.
    pub fleet: Arc<Fleet>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// Everything.
pub fn router(shown: Shown) -> Router {
    Router::new()
        .route("/v1/plan", get(plan))
        .route("/v1/experiments", get(experiments))
        .route("/v1/experiments/{namespace}/{name}", get(experiment))
        .route("/v1/experiments/{namespace}/{name}/rehearsal", get(rehearsal))
        .route("/v1/rehearsals", post(rehearsals))
        .route("/v1/runs", get(runs))
        .route("/v1/nodes", get(nodes))
        .route("/v1/guardrails", get(guardrails))
        .route("/v1/report", get(report))
        .with_state(shown.clone())
        .merge(metrics_router(shown))
}

/// Metrics and health, which may be served off loopback.
pub fn metrics_router(shown: Shown) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .with_state(shown)
}

/// Binds `address` and serves `router` there until `stop` completes. A socket is made for this user alone.
///
/// # Errors
/// The address is taken.
pub async fn serve(
    address: &AdminAddress,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    Ok(match address {
        AdminAddress::Loopback(address) => {
            serve_tcp(*address, only_local(router, address.ip()), stop).await?
        }
        AdminAddress::Unix(path) => {
            let listener = bind_socket(path)?;
            tokio::spawn(http::serve(listener, named(router), stop))
        }
    })
}

/// Binds a TCP address, also one off loopback, and serves `router` there until `stop` completes.
///
/// # Errors
/// The address is taken.
pub async fn serve_tcp(
    address: SocketAddr,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<JoinHandle<()>> {
    let listener = TcpListener::bind(address).await?;
    Ok(tokio::spawn(http::serve(listener, named(router), stop)))
}

/// Whether a reconciler answered, and not whoever else listens where one was expected.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    headers.get(header::SERVER).is_some_and(|server| server == SERVER)
}

fn named(router: Router) -> Router {
    router.layer(map_response(|mut response: Response| async {
        response.headers_mut().insert(header::SERVER, HeaderValue::from_static(SERVER));
        response
    }))
}

/// Binds under another name and moves it into place once its mode is set: at no moment can others connect.
fn bind_socket(path: &std::path::Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
    if std::fs::symlink_metadata(path).is_ok_and(|metadata| !metadata.file_type().is_socket()) {
        return Err(io::Error::other("something that is not a socket is in its place"));
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    let aside = path.with_extension(format!("{}", std::process::id()));
    let listener = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&aside, path)?;
    Ok(listener)
}

async fn plan(State(shown): State<Shown>) -> Response {
    with_pass(&shown, |pass| json_text(pass.plan.to_json()))
}

async fn experiments(State(shown): State<Shown>) -> Response {
    with_pass(&shown, |pass| json(&views::experiments(pass, &shown.fleet.nodes())))
}

async fn experiment(State(shown): State<Shown>, Path((namespace, name)): Path<(String, String)>) -> Response {
    with_pass(&shown, |pass| match views::explain(pass, &shown.fleet.nodes(), &namespace, &name) {
        Some(explanation) => json(&explanation),
        None => {
            (StatusCode::NOT_FOUND, format!("there is no experiment {namespace}/{name}\n")).into_response()
        }
    })
}

/// Asks the agents: what would come of these on each node?
async fn rehearsals(State(shown): State<Shown>, headers: HeaderMap, body: Bytes) -> Response {
    // A page of some site can have a browser send anything here but this type.
    if headers.get(header::CONTENT_TYPE).is_none_or(|of_type| of_type != "application/json") {
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, "expected application/json\n").into_response();
    }
    match serde_json::from_slice::<Vec<Chain>>(&body) {
        Ok(chains) => json(&shown.fleet.rehearse(&chains).await),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

/// The same of one experiment.
async fn rehearsal(State(shown): State<Shown>, Path((namespace, name)): Path<(String, String)>) -> Response {
    let pass = shown.board.read().pass;
    match pass.and_then(|pass| views::chain(&pass, &namespace, &name)) {
        Some(chain) => json(&shown.fleet.rehearse(&[chain]).await),
        None => {
            (StatusCode::NOT_FOUND, format!("there is no experiment {namespace}/{name}\n")).into_response()
        }
    }
}

async fn runs(State(shown): State<Shown>) -> Response {
    with_pass(&shown, |pass| json(&views::runs(pass, &shown.fleet.nodes())))
}

async fn nodes(State(shown): State<Shown>) -> Response {
    with_pass(&shown, |pass| json(&views::nodes(pass, &shown.fleet.nodes())))
}

async fn guardrails(State(shown): State<Shown>) -> Response {
    with_pass(&shown, |pass| json(&views::guardrails(pass)))
}

async fn report(State(shown): State<Shown>) -> Response {
    let error = shown.board.read().error;
    with_pass(&shown, |pass| json(&views::report(pass, error)))
}

async fn metrics(State(shown): State<Shown>, headers: HeaderMap) -> Response {
    exposition::answer(&headers, shown.metrics.page())
}

/// Alive: passes go through, or have not failed for long.
async fn healthy(State(shown): State<Shown>) -> Response {
    if shown.fleet.is_vouched_for() {
        "passes go through\n".into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "no pass has gone through for too long\n").into_response()
    }
}

/// Ready: the newest pass went through.
async fn ready(State(shown): State<Shown>) -> Response {
    match shown.board.read().error {
        None => with_pass(&shown, |_| "the newest pass went through\n".into_response()),
        Some(error) => (StatusCode::SERVICE_UNAVAILABLE, error + "\n").into_response(),
    }
}

fn with_pass(shown: &Shown, show: impl FnOnce(&Pass) -> Response) -> Response {
    let posted = shown.board.read();
    match (posted.pass, posted.error) {
        (Some(pass), _) => show(&pass),
        (None, error) => {
            let error = error.unwrap_or_else(|| "no pass has gone through yet".to_owned());
            (StatusCode::SERVICE_UNAVAILABLE, error + "\n").into_response()
        }
    }
}

fn json<T: Serialize>(value: &T) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => json_text(text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

fn json_text(text: String) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}
