//! Asking a running reconciler.

use std::{io, time::Duration};

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    body::Bytes,
    client::conn::http1,
    header::{CONTENT_TYPE, HOST, HeaderValue},
    http::uri::InvalidUri,
};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
    time::timeout,
};

use super::{AdminAddress, routes::is_ours};

/// More than the plan of ten thousand experiments.
const MAX_BYTES: usize = 256 << 20;

/// How long an answer may take: all of them are in memory.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Nobody listens.
    #[error("no reconciler answers at {address} (is `faultline run` or `faultline up` running there?)")]
    NotThere {
        /// Where.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// Somebody listens and does not answer.
    #[error("no answer came from {address} within {} s", PATIENCE.as_secs())]
    Silent {
        /// Where.
        address: String,
    },
    /// Somebody else answers.
    #[error("what answers at {address} is no Faultline reconciler")]
    NotOurs {
        /// Where.
        address: String,
    },
    /// It does not know what was asked for.
    #[error("{0}")]
    NotFound(String),
    /// It has no answer yet.
    #[error("the reconciler has no answer: {0}")]
    NotReady(String),
    /// The answer was cut off or cannot be read.
    #[error("the answer of the reconciler cannot be read: {0}")]
    Unreadable(String),
}

/// Asks for `path`, and waits for at most ten seconds.
///
/// # Errors
/// There is no answer, or it is not of this shape.
pub async fn ask<T: DeserializeOwned>(address: &AdminAddress, path: &str) -> Result<T, AskError> {
    ask_about(address, path, None).await
}

/// The same about `what`, as JSON; nothing of it stays.
///
/// # Errors
/// There is no answer, or it is not of this shape.
pub async fn ask_about<T: DeserializeOwned>(
    address: &AdminAddress,
    path: &str,
    what: Option<String>,
) -> Result<T, AskError> {
    let answered = timeout(PATIENCE, answer(address, path, what)).await;
    let bytes = answered.map_err(|_| AskError::Silent { address: address.to_string() })??;
    serde_json::from_slice(&bytes).map_err(|error| AskError::Unreadable(error.to_string()))
}

async fn answer(address: &AdminAddress, path: &str, what: Option<String>) -> Result<Bytes, AskError> {
    let not_there = |source| AskError::NotThere { address: address.to_string(), source };
    let uri: Uri = path.parse().map_err(|error: InvalidUri| AskError::Unreadable(error.to_string()))?;
    let Answer { ours, status, body } = match address {
        AdminAddress::Loopback(socket) => {
            request(TcpStream::connect(socket).await.map_err(not_there)?, uri, what).await
        }
        AdminAddress::Unix(socket) => {
            request(UnixStream::connect(socket).await.map_err(not_there)?, uri, what).await
        }
    }
    .map_err(|error| unreadable(address, &error))?;
    let body = match body {
        Ok(body) if ours => body,
        Err(error) if ours => return Err(AskError::Unreadable(error)),
        _ => return Err(AskError::NotOurs { address: address.to_string() }),
    };
    let said = || String::from_utf8_lossy(&body).trim().to_owned();
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::NOT_FOUND => Err(AskError::NotFound(said())),
        StatusCode::SERVICE_UNAVAILABLE => Err(AskError::NotReady(said())),
        status => Err(AskError::Unreadable(format!("{status}: {}", said()))),
    }
}

/// What does not even speak HTTP is somebody else.
fn unreadable(address: &AdminAddress, error: &hyper::Error) -> AskError {
    if error.is_parse() {
        AskError::NotOurs { address: address.to_string() }
    } else {
        AskError::Unreadable(error.to_string())
    }
}

struct Answer {
    /// Whether a reconciler says that it is one.
    ours: bool,
    status: StatusCode,
    body: Result<Bytes, String>,
}

async fn request<S>(stream: S, uri: Uri, what: Option<String>) -> Result<Answer, hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let method = if what.is_some() { Method::POST } else { Method::GET };
    let mut request = Request::new(Full::<Bytes>::from(what.unwrap_or_default()));
    (*request.method_mut(), *request.uri_mut()) = (method, uri);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
    let response = sender.send_request(request).await?;
    let (ours, status) = (is_ours(response.headers()), response.status());
    // Nobody else's is read: it could be anything, and endless.
    let most = if ours { MAX_BYTES } else { 0 };
    let body = Limited::new(response.into_body(), most).collect().await;
    let body = body.map(|body| body.to_bytes()).map_err(|error| error.to_string());
    Ok(Answer { ours, status, body })
}
