//! Accepting: who is at the other end is known before a byte of HTTP is read.

use std::{
    collections::BTreeSet,
    fmt,
    future::Future as _,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
    sync::{Semaphore, mpsc},
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;

use super::{
    Refusal, RefusalReason, SessionHandler,
    listen::{Bound, Listener},
    refusal::of_handshake,
};
use crate::{
    identity::node_names,
    io::Io,
    limits::{GREETING_TIMEOUT, MAX_HANDSHAKES},
};

/// After a failed accept (out of descriptors, mostly) it is tried again, but not in a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Length of the preface that begins every HTTP/2 connection, in bytes. From then on the server's own pings find out
/// whether anybody is there.
const PREFACE: usize = 24;

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A process on this machine, of this user or root.
    Unix {
        /// Its effective user.
        uid: u32,
        /// Its process id, where the system tells.
        pid: Option<i32>,
    },
    /// Someone on loopback.
    Loopback(SocketAddr),
    /// A verified certificate.
    MutualTls {
        /// Where it came from.
        address: SocketAddr,
        /// The nodes that it speaks for.
        nodes: Arc<BTreeSet<String>>,
    },
}

impl Peer {
    /// Whether it may speak for `node`. Processes of this machine are trusted with any name.
    #[must_use]
    pub fn speaks_for(&self, node: &str) -> bool {
        match self {
            Self::Unix { .. } | Self::Loopback(_) => true,
            Self::MutualTls { nodes, .. } => nodes.contains(node),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix { uid, pid: Some(pid) } => write!(f, "process {pid} of user {uid}"),
            Self::Unix { uid, pid: None } => write!(f, "a process of user {uid}"),
            Self::Loopback(address) | Self::MutualTls { address, .. } => write!(f, "{address}"),
        }
    }
}

/// Accepts for as long as the receiver is there.
pub(super) async fn accept<H: SessionHandler>(
    bound: Bound,
    handler: Arc<H>,
    accepted: mpsc::Sender<io::Result<Connection>>,
) {
    let slots = Arc::new(Semaphore::new(MAX_HANDSHAKES));
    while !accepted.is_closed() {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let greeting = match next(&bound.listener).await {
            Ok(greeting) => greeting,
            Err(_) => {
                sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (handler, accepted) = (Arc::clone(&handler), accepted.clone());
        tokio::spawn(async move {
            match greeting.verify().await {
                // Where the receiver is gone the server is stopping, and the connection is dropped.
                Ok(connection) => drop(accepted.send(Ok(connection)).await),
                Err(refusal) => handler.refused(&refusal),
            }
            drop(slot);
        });
    }
}

/// A connection that nothing is known of yet.
enum Greeting {
    Unix(UnixStream),
    Plain(TcpStream, SocketAddr),
    Tls(TcpStream, SocketAddr, TlsAcceptor),
}

async fn next(listener: &Listener) -> io::Result<Greeting> {
    match listener {
        Listener::Unix(listener) => listener.accept().await.map(|(stream, _)| Greeting::Unix(stream)),
        Listener::Plain(listener) => {
            listener.accept().await.map(|(stream, peer)| Greeting::Plain(stream, peer))
        }
        Listener::Tls(listener, acceptor) => {
            listener.accept().await.map(|(stream, peer)| Greeting::Tls(stream, peer, acceptor.clone()))
        }
    }
}

impl Greeting {
    async fn verify(self) -> Result<Connection, Refusal> {
        match self {
            Self::Unix(stream) => verify_user(stream),
            Self::Plain(stream, address) => {
                // Latency is the only reason to set it, so a failure is none to refuse.
                let _ = stream.set_nodelay(true);
                Ok(Connection::new(Box::new(stream), Peer::Loopback(address)))
            }
            Self::Tls(stream, address, acceptor) => verify_certificate(stream, address, acceptor).await,
        }
    }
}

fn verify_user(stream: UnixStream) -> Result<Connection, Refusal> {
    let refused = |peer: String, detail: String| Refusal { reason: RefusalReason::OtherUser, peer, detail };
    let credentials =
        stream.peer_cred().map_err(|error| refused("an unknown process".into(), error.to_string()))?;
    let (uid, ours) = (credentials.uid(), rustix::process::geteuid().as_raw());
    let peer = Peer::Unix { uid, pid: credentials.pid() };
    if uid != 0 && uid != ours {
        return Err(refused(peer.to_string(), format!("only user {ours} and root may connect")));
    }
    Ok(Connection::new(Box::new(stream), peer))
}

async fn verify_certificate(
    stream: TcpStream,
    address: SocketAddr,
    acceptor: TlsAcceptor,
) -> Result<Connection, Refusal> {
    let refused = |reason, detail| Refusal { reason, peer: address.to_string(), detail };
    let _ = stream.set_nodelay(true);
    let stream = timeout(GREETING_TIMEOUT, acceptor.accept(stream))
        .await
        .map_err(|_| refused(RefusalReason::Handshake, "the TLS handshake took too long".into()))?
        .map_err(|error| refused(of_handshake(&error), error.to_string()))?;
    let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
    let nodes = Arc::new(certificate.map(node_names).unwrap_or_default());
    Ok(Connection::new(Box::new(stream), Peer::MutualTls { address, nodes }))
}

/// A verified connection.
pub(super) struct Connection {
    io: Box<dyn Io>,
    peer: Peer,
    /// Until the preface is here.
    opening: Option<Opening>,
}

/// How much of the preface is yet to come, and until when it is waited for.
struct Opening {
    missing: usize,
    deadline: Pin<Box<Sleep>>,
}

impl Connection {
    fn new(io: Box<dyn Io>, peer: Peer) -> Self {
        let deadline = Box::pin(sleep(GREETING_TIMEOUT));
        Self { io, peer, opening: Some(Opening { missing: PREFACE, deadline }) }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;
    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buf) {
            let came = buf.filled().len() - before;
            self.opening.take_if(|opening| {
                opening.missing = opening.missing.saturating_sub(came);
                opening.missing == 0
            });
            return Poll::Ready(read);
        }
        match &mut self.opening {
            Some(opening) => opening.deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into())),
            None => Poll::Pending,
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
