//! The gRPC service: greets an agent, then moves messages between its stream and the handler.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, watch},
    time::{sleep, timeout},
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tonic::{Request, Response, Status, Streaming};

use super::{Peer, Refusal, RefusalReason, Session, SessionHandler};
use crate::{
    AgentMessage, ReconcilerMessage, Version, WireError,
    limits::{GREETING_TIMEOUT, QUEUE},
    message::{Hello, Welcome},
    pb,
};

/// How long a handler may take to return once its session ended because the server stops.
const STOP_GRACE: Duration = Duration::from_secs(2);

pub(super) struct Service<H> {
    handler: Arc<H>,
    lease_ttl: Duration,
    stopped: watch::Receiver<bool>,
    sessions: AtomicU64,
}

impl<H: SessionHandler> Service<H> {
    pub(super) fn new(handler: Arc<H>, lease_ttl: Duration, stopped: watch::Receiver<bool>) -> Self {
        Self { handler, lease_ttl, stopped, sessions: AtomicU64::new(0) }
    }

    /// The first message, if it is a Hello that may be believed, and the boot time it carries.
    async fn greet(
        &self,
        peer: &Peer,
        stream: &mut Streaming<pb::AgentMessage>,
    ) -> Result<(Hello, u64), (RefusalReason, Status)> {
        let bad = |why: String| (RefusalReason::BadHello, Status::invalid_argument(why));
        let first = timeout(GREETING_TIMEOUT, stream.message())
            .await
            .map_err(|_| bad("no Hello came in time".into()))?
            .map_err(|status| bad(status.message().into()))?
            .ok_or_else(|| bad("the stream ended without a Hello".into()))?;
        // The version goes first: of another major nothing else can be relied upon.
        if let Some(theirs) = other_major(&first) {
            let why = format!("the agent speaks {theirs}, this reconciler speaks {}", Version::OURS);
            return Err((RefusalReason::OtherMajor, Status::failed_precondition(why)));
        }
        let (message, boot_ns) = decode(first).map_err(|error| bad(error.to_string()))?;
        let Some(AgentMessage::Hello(hello)) = message else {
            return Err(bad("the first message is not a Hello".into()));
        };
        if !peer.speaks_for(&hello.report.node) {
            let why = format!("the certificate does not speak for node {}", hello.report.node);
            return Err((RefusalReason::OtherNode, Status::permission_denied(why)));
        }
        Ok((hello, boot_ns))
    }
}

/// The version of a Hello that is of another major.
fn other_major(message: &pb::AgentMessage) -> Option<Version> {
    let Some(pb::agent_message::Body::Hello(hello)) = &message.body else { return None };
    let version = hello.version?;
    let version = Version { major: version.major?, minor: version.minor? };
    (!Version::OURS.understands(version)).then_some(version)
}

/// `None`: a kind of message that this version does not know.
fn decode(message: pb::AgentMessage) -> Result<(Option<AgentMessage>, u64), WireError> {
    let boot_ns = message.boot_ns.ok_or(WireError::Missing { field: "boot_ns" })?;
    Ok((message.body.map(AgentMessage::try_from).transpose()?, boot_ns))
}

type Outgoing = Pin<Box<dyn Stream<Item = Result<pb::ReconcilerMessage, Status>> + Send>>;

#[tonic::async_trait]
impl<H: SessionHandler> pb::agents_server::Agents for Service<H> {
    type SessionStream = Outgoing;

    async fn session(
        &self,
        request: Request<Streaming<pb::AgentMessage>>,
    ) -> Result<Response<Outgoing>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let peer = peer.ok_or_else(|| Status::internal("a connection without a peer"))?;
        let mut stream = request.into_inner();
        let (hello, boot_ns) = self.greet(&peer, &mut stream).await.map_err(|(reason, status)| {
            let detail = status.message().to_owned();
            self.handler.refused(&Refusal { reason, peer: peer.to_string(), detail });
            status
        })?;
        let session = self.sessions.fetch_add(1, Ordering::Relaxed) + 1;
        let welcome = Welcome { version: Version::OURS, lease_ttl: self.lease_ttl, session };
        let heard = Arc::new(AtomicU64::new(boot_ns));
        let (to_handler, inbound) = mpsc::channel(QUEUE);
        let (outbound, to_agent) = mpsc::channel(QUEUE);
        let incoming = Incoming {
            newer: hello.version > Version::OURS,
            peer: peer.clone(),
            heard: Arc::clone(&heard),
            handler: Arc::clone(&self.handler),
        };
        let session = Session { hello, peer, welcome, inbound, outbound };
        let mut stopped = self.stopped.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = incoming.pump(stream, to_handler) => {}
                _ = stopped.wait_for(|stopped| *stopped) => {}
            }
        });
        let (handler, mut stopped) = (Arc::clone(&self.handler), self.stopped.clone());
        tokio::spawn(async move {
            let overdue = async {
                // An error means that the server is gone, which is as good as stopped.
                let _ = stopped.wait_for(|stopped| *stopped).await;
                sleep(STOP_GRACE).await;
            };
            tokio::select! {
                () = handler.session(session) => {}
                () = overdue => {}
            }
        });
        let first = tokio_stream::once(Ok(ReconcilerMessage::Welcome(welcome)));
        let messages = first.chain(ReceiverStream::new(to_agent)).map(move |message| {
            message.map(|message| pb::ReconcilerMessage {
                heard_boot_ns: Some(heard.load(Ordering::Acquire)),
                body: Some((&message).into()),
            })
        });
        Ok(Response::new(Box::pin(messages)))
    }
}

/// The agent's half of a session.
struct Incoming<H> {
    /// The agent's minor is newer: what it says beyond ours is skipped.
    newer: bool,
    peer: Peer,
    heard: Arc<AtomicU64>,
    handler: Arc<H>,
}

impl<H: SessionHandler> Incoming<H> {
    /// Moves messages until the stream ends, breaks, or holds one that cannot be read.
    async fn pump(self, mut stream: Streaming<pb::AgentMessage>, to_handler: mpsc::Sender<AgentMessage>) {
        while let Ok(Some(message)) = stream.message().await {
            let (message, boot_ns) = match decode(message) {
                Ok((Some(AgentMessage::Hello(_)), _)) => return self.malformed("a second Hello".into()),
                Ok((None, _)) if !self.newer => return self.malformed("a message without a body".into()),
                Err(error) => return self.malformed(error.to_string()),
                Ok(decoded) => decoded,
            };
            self.heard.fetch_max(boot_ns, Ordering::AcqRel);
            let Some(message) = message else { continue };
            if to_handler.send(message).await.is_err() {
                return;
            }
        }
    }

    fn malformed(&self, detail: String) {
        let reason = RefusalReason::Malformed;
        self.handler.refused(&Refusal { reason, peer: self.peer.to_string(), detail });
    }
}
