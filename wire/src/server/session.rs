//! One accepted session, as the handler sees it.

use thiserror::Error;
use tokio::sync::mpsc;
use tonic::Status;

use super::Peer;
use crate::{
    AgentMessage, ReconcilerMessage,
    message::{Hello, Welcome},
};

/// A session whose Hello was believed and answered.
#[derive(Debug)]
pub struct Session {
    /// What the agent said of itself.
    pub hello: Hello,
    /// Who it is.
    pub peer: Peer,
    /// What it was answered.
    pub welcome: Welcome,
    pub(super) inbound: mpsc::Receiver<AgentMessage>,
    pub(super) outbound: mpsc::Sender<Result<ReconcilerMessage, Status>>,
}

/// The agent is gone, or the server is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the session is closed")]
pub struct SessionClosed;

impl Session {
    /// The next message; `None` once the session is over. Never a second Hello.
    pub async fn receive(&mut self) -> Option<AgentMessage> {
        self.inbound.recv().await
    }

    /// Sends; waits where the agent does not keep up.
    ///
    /// # Errors
    /// The session is over.
    pub async fn send(&self, message: ReconcilerMessage) -> Result<(), SessionClosed> {
        self.outbound.send(Ok(message)).await.map_err(|_| SessionClosed)
    }

    /// Ends the session, and says why to an agent that still listens.
    pub fn close(self, reason: &str) {
        // One whose queue is full does not listen.
        drop(self.outbound.try_send(Err(Status::aborted(reason))));
    }
}
