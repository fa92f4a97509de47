//! The reconciler's side: accepts agents, checks who they are, and hands their sessions to a [`SessionHandler`].
//!
//! Whoever is refused is refused for a [`RefusalReason`] of a closed set, and the handler is told, so that every
//! refusal can be counted, also those in a TLS handshake that no request ever comes out of.

mod accept;
mod listen;
mod refusal;
mod service;
mod session;

use std::{future::Future, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{sync::watch, time::sleep};
use tokio_stream::wrappers::ReceiverStream;

pub use accept::Peer;
pub use listen::{Listen, ListenError};
pub use refusal::{Refusal, RefusalReason};
pub use session::{Session, SessionClosed};

use crate::{
    limits::{MAX_HANDSHAKES, MAX_LEASE_TTL, MAX_MESSAGE_BYTES, MIN_LEASE_TTL},
    pb::agents_server::AgentsServer,
};

/// How long connections may take to close once the server stops: longer than a handler may take to return.
const CLOSE_GRACE: Duration = Duration::from_secs(3);

/// What the reconciler does with sessions.
pub trait SessionHandler: Send + Sync + 'static {
    /// Holds one session; when this returns the session is closed. It is to return once [`Session::receive`] gives
    /// `None`. A node may open a new session while an old one still hangs: the newest counts.
    fn session(&self, session: Session) -> impl Future<Output = ()> + Send;

    /// A connection or session was refused. Called from many tasks; must not block.
    fn refused(&self, refusal: &Refusal);
}

/// Why serving ended before it was told to.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The lease is too short or too long.
    #[error("a lease lasts from 500 ms to 10 minutes")]
    LeaseTtl,
    /// The HTTP server failed.
    #[error("the agents' server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// A bound listener that does not accept yet.
#[derive(Debug)]
pub struct Server {
    bound: listen::Bound,
}

impl Server {
    /// Binds. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is taken or not allowed, or the TLS files are not usable.
    pub async fn bind(listen: Listen) -> Result<Self, ListenError> {
        listen::Bound::new(listen).await.map(|bound| Self { bound })
    }

    /// Where agents dial; a port 0 has become a real one.
    #[must_use]
    pub fn address(&self) -> &crate::Address {
        self.bound.address()
    }

    /// Accepts agents until `stop` completes, then closes all sessions and returns. Connections that are still open
    /// three seconds later are not waited for.
    ///
    /// # Errors
    /// `lease_ttl` is out of range, or the HTTP server failed.
    pub async fn serve<H: SessionHandler>(
        self,
        handler: Arc<H>,
        lease_ttl: Duration,
        stop: impl Future<Output = ()> + Send,
    ) -> Result<(), ServeError> {
        if !(MIN_LEASE_TTL..=MAX_LEASE_TTL).contains(&lease_ttl) {
            return Err(ServeError::LeaseTtl);
        }
        // Sessions never end by themselves: they are told to before the HTTP server waits for them.
        let (stopping, stopped) = watch::channel(false);
        let overdue = overdue(stopped.clone());
        let service = service::Service::new(Arc::clone(&handler), lease_ttl, stopped);
        let service = AgentsServer::new(service)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        let (accepted, incoming) = tokio::sync::mpsc::channel(MAX_HANDSHAKES);
        let accepting = tokio::spawn(accept::accept(self.bound, handler, accepted));
        let serving = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(Duration::from_secs(10)))
            .http2_keepalive_timeout(Some(Duration::from_secs(10)))
            // One stream is all that an agent needs.
            .max_concurrent_streams(4)
            .serve_with_incoming_shutdown(service, ReceiverStream::new(incoming), async {
                stop.await;
                stopping.send_replace(true);
            });
        let served = tokio::select! {
            served = serving => served,
            () = overdue => Ok(()),
        };
        accepting.abort();
        Ok(served?)
    }
}

/// Completes once all had the time to end since serving was stopped.
async fn overdue(mut stopped: watch::Receiver<bool>) {
    // An error means that the server is gone, and nothing waits for this any more.
    drop(stopped.wait_for(|stopped| *stopped).await);
    sleep(CLOSE_GRACE).await;
}
