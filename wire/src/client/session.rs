//! A session, as the agent sees it.

use std::{io, time::Duration};

use thiserror::Error;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

use super::ConnectTo;
use crate::{
    Address, AgentMessage, Version, WireError,
    error::MalformedDesired,
    limits::{GREETING_TIMEOUT, MAX_MESSAGE_BYTES, QUEUE},
    message::{Desired, Hello, Rehearse, Renew, Welcome},
    pb::{self, agents_client::AgentsClient},
    tls::TlsError,
};

/// Why there is no session. All but the first two may pass, so it is tried again.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// `https://` without certificates.
    #[error("{0} needs the certificate of an authority, a certificate and a key")]
    NoTls(Address),
    /// Certificates that would not be used.
    #[error("certificates are given and {0} does not speak TLS: use https://")]
    UnusedTls(Address),
    /// The certificates are not usable.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// Nobody answers.
    #[error("cannot reach {address}")]
    Unreachable {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// The socket belongs to someone else.
    #[error("{address} is served by user {uid}: only root and this process's user are trusted")]
    OtherUser {
        /// Where.
        address: Address,
        /// Whose it is.
        uid: u32,
    },
    /// TLS failed.
    #[error("no TLS session with {address}")]
    Handshake {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
    /// HTTP/2 failed.
    #[error("no HTTP/2 session with {address}")]
    Transport {
        /// Where.
        address: Address,
        /// Why.
        source: tonic::transport::Error,
    },
    /// The reconciler said no.
    #[error("the reconciler refused the session: {0}")]
    Refused(String),
    /// The reconciler speaks another major version.
    #[error("the reconciler speaks {theirs}, this agent speaks {}", Version::OURS)]
    OtherMajor {
        /// What it speaks.
        theirs: Version,
    },
    /// It did not say Welcome.
    #[error("the reconciler's greeting is not valid")]
    Greeting(#[source] WireError),
    /// It said nothing, or the connection broke.
    #[error("the reconciler ended the session before it began: {0}")]
    Broken(String),
}

/// The session is over.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("the session ended: {0}")]
pub struct SessionEnded(String);

/// What the reconciler says once it has said Welcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// The desired set.
    Desired(Desired),
    /// A desired set that cannot be read.
    Malformed(MalformedDesired),
    /// Extends the lease.
    Renew(Renew),
    /// Asks for a report now.
    ReportRequest,
    /// Asks what would come of experiments.
    Rehearse(Rehearse),
}

/// An open session.
#[derive(Debug)]
pub struct Session {
    /// How the reconciler answered.
    pub welcome: Welcome,
    outbound: mpsc::Sender<pb::AgentMessage>,
    inbound: Streaming<pb::ReconcilerMessage>,
}

/// Dials and greets. `boot_ns` is the present by `CLOCK_BOOTTIME`.
///
/// # Errors
/// The reconciler is not to be reached, or refuses.
pub async fn connect(to: &ConnectTo, hello: Hello, boot_ns: u64) -> Result<Session, ConnectError> {
    let mut client = AgentsClient::new(to.channel().await?)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let (outbound, messages) = mpsc::channel(QUEUE);
    let hello = encode(&AgentMessage::Hello(hello), boot_ns);
    // The queue is new and holds more than one.
    outbound.try_send(hello).map_err(|error| ConnectError::Broken(error.to_string()))?;
    let greet = async {
        let mut inbound = client.session(ReceiverStream::new(messages)).await?.into_inner();
        let first = inbound.message().await?;
        Ok::<_, Status>((inbound, first))
    };
    let (inbound, first) = timeout(GREETING_TIMEOUT, greet)
        .await
        .map_err(|_| ConnectError::Broken("no answer in time".into()))?
        .map_err(refused)?;
    let welcome = welcome(first)?;
    Ok(Session { welcome, outbound, inbound })
}

fn refused(status: Status) -> ConnectError {
    match status.code() {
        Code::FailedPrecondition | Code::PermissionDenied | Code::InvalidArgument => {
            ConnectError::Refused(status.message().into())
        }
        _ => ConnectError::Broken(describe(&status)),
    }
}

fn welcome(first: Option<pb::ReconcilerMessage>) -> Result<Welcome, ConnectError> {
    let body = first.and_then(|message| message.body);
    let Some(pb::reconciler_message::Body::Welcome(welcome)) = body else {
        return Err(ConnectError::Greeting(WireError::Missing { field: "welcome" }));
    };
    if let Some(pb::Version { major: Some(major), minor: Some(minor) }) = welcome.version {
        let theirs = Version { major, minor };
        if !Version::OURS.understands(theirs) {
            return Err(ConnectError::OtherMajor { theirs });
        }
    }
    welcome.try_into().map_err(ConnectError::Greeting)
}

impl Session {
    /// Sends; waits where the reconciler does not keep up. `boot_ns` is the present by `CLOCK_BOOTTIME`.
    ///
    /// # Errors
    /// The session is over.
    pub async fn send(&self, message: &AgentMessage, boot_ns: u64) -> Result<(), SessionEnded> {
        let closed = |_| SessionEnded("the reconciler is gone".into());
        self.outbound.send(encode(message, boot_ns)).await.map_err(closed)
    }

    /// The next message, and the `boot_ns` of the last message of ours that the reconciler had heard when it sent
    /// it. May be cancelled without losing a message.
    ///
    /// # Errors
    /// The session is over, or the reconciler broke the protocol.
    pub async fn receive(&mut self) -> Result<(Received, u64), SessionEnded> {
        loop {
            let message = self.inbound.message().await.map_err(|status| SessionEnded(describe(&status)))?;
            let message = message.ok_or_else(|| SessionEnded("the reconciler closed it".into()))?;
            if let Some(received) = self.decode(message)? {
                return Ok(received);
            }
        }
    }

    /// Says no more, and waits until the reconciler has closed the session, which it does once it has read all; but
    /// no longer than `patience`.
    pub async fn close(self, patience: Duration) {
        let Self { welcome: _, outbound, mut inbound } = self;
        drop(outbound);
        let _ = timeout(patience, async { while let Ok(Some(_)) = inbound.message().await {} }).await;
    }

    /// `None`: a kind of message that only a newer minor knows.
    fn decode(&self, message: pb::ReconcilerMessage) -> Result<Option<(Received, u64)>, SessionEnded> {
        use pb::reconciler_message::Body;
        let broke = |error: WireError| SessionEnded(format!("the reconciler broke the protocol: {error}"));
        let heard = message.heard_boot_ns.ok_or(WireError::Missing { field: "heard_boot_ns" });
        let heard = heard.map_err(broke)?;
        let received = match message.body {
            Some(Body::Desired(desired)) => match Desired::try_from(desired) {
                Ok(desired) => Received::Desired(desired),
                Err(malformed) => Received::Malformed(malformed),
            },
            Some(Body::Renew(renew)) => Received::Renew(renew.try_into().map_err(broke)?),
            Some(Body::ReportRequest(pb::ReportRequest {})) => Received::ReportRequest,
            Some(Body::Rehearse(rehearse)) => Received::Rehearse(rehearse.try_into().map_err(broke)?),
            Some(Body::Welcome(_)) => return Err(SessionEnded("a second Welcome".into())),
            None if self.welcome.version > Version::OURS => return Ok(None),
            None => return Err(broke(WireError::Missing { field: "body" })),
        };
        Ok(Some((received, heard)))
    }
}

fn encode(message: &AgentMessage, boot_ns: u64) -> pb::AgentMessage {
    pb::AgentMessage { boot_ns: Some(boot_ns), body: Some(message.into()) }
}

/// The status with its causes, which for a broken connection hold the only useful words.
fn describe(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
