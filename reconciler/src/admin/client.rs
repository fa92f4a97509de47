//! Asking a running reconciler.

use std::io;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, UnixStream},
};

use super::AdminAddress;

/// More than the plan of ten thousand experiments.
const MAX_BYTES: usize = 256 << 20;

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

/// Asks for `path`.
///
/// # Errors
/// There is no answer, or it is not of this shape.
pub async fn ask<T: DeserializeOwned>(address: &AdminAddress, path: &str) -> Result<T, AskError> {
    let not_there = |source| AskError::NotThere { address: address.to_string(), source };
    let bytes = match address {
        AdminAddress::Loopback(socket) => {
            request(TcpStream::connect(socket).await.map_err(not_there)?, path).await
        }
        AdminAddress::Unix(socket) => {
            request(UnixStream::connect(socket).await.map_err(not_there)?, path).await
        }
    }?;
    serde_json::from_slice(&bytes).map_err(|error| AskError::Unreadable(error.to_string()))
}

async fn request<S>(stream: S, path: &str) -> Result<Bytes, AskError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let unreadable = |error: &dyn std::fmt::Display| AskError::Unreadable(error.to_string());
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| unreadable(&error))?;
    tokio::spawn(connection);
    let request = Request::get(path).header("host", "localhost").body(Empty::<Bytes>::new());
    let response = sender
        .send_request(request.map_err(|error| unreadable(&error))?)
        .await
        .map_err(|error| unreadable(&error))?;
    let status = response.status();
    let body =
        Limited::new(response.into_body(), MAX_BYTES).collect().await.map_err(|error| unreadable(&error))?;
    let body = body.to_bytes();
    let said = || String::from_utf8_lossy(&body).trim().to_owned();
    match status {
        StatusCode::OK => Ok(body),
        StatusCode::NOT_FOUND => Err(AskError::NotFound(said())),
        StatusCode::SERVICE_UNAVAILABLE => Err(AskError::NotReady(said())),
        status => Err(AskError::Unreadable(format!("{status}: {}", said()))),
    }
}
