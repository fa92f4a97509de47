//! The reconciler's side of the socket, in the hands of the test.

use std::{path::Path, sync::Arc, time::Duration};

use faultline_api::{Fault, Frame, Percent};
use faultline_core::{
    desired::{DesiredSet, Probe, Target},
    ledger::{Generation, RunKey},
    report::NodeReport,
};
use faultline_wire::{
    Address, AgentMessage, ReconcilerMessage,
    message::{Ack, Desired, Nack, Renew},
    server::{Listen, Refusal, Server, Session, SessionHandler},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

struct Handler(mpsc::UnboundedSender<(Session, oneshot::Sender<()>)>);

impl SessionHandler for Handler {
    async fn session(&self, session: Session) {
        let (held, dropped) = oneshot::channel();
        if self.0.send((session, held)).is_ok() {
            let _ = dropped.await;
        }
    }

    fn refused(&self, refusal: &Refusal) {
        panic!("{refusal:?}");
    }
}

/// A session; dropping it ends it.
pub(crate) struct Held {
    session: Session,
    _held: oneshot::Sender<()>,
}

impl std::ops::Deref for Held {
    type Target = Session;
    fn deref(&self) -> &Session {
        &self.session
    }
}

impl std::ops::DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

pub(crate) struct Reconciler {
    sessions: mpsc::UnboundedReceiver<(Session, oneshot::Sender<()>)>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Reconciler {
    pub(crate) async fn start(socket: &Path, lease_ttl: Duration) -> Self {
        let listen = Listen { address: Address::Unix(socket.into()), tls: None };
        let server = Server::bind(listen).await.unwrap();
        let (sender, sessions) = mpsc::unbounded_channel();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or(()) };
            server.serve(Arc::new(Handler(sender)), lease_ttl, stopped).await.unwrap();
        });
        Self { sessions, stop, served }
    }

    pub(crate) async fn session(&mut self) -> Held {
        let next = tokio::time::timeout(Duration::from_secs(10), self.sessions.recv());
        let (session, held) = next.await.unwrap().unwrap();
        Held { session, _held: held }
    }

    pub(crate) async fn stop(self) {
        drop(self.sessions);
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), self.served).await.unwrap().unwrap();
    }
}

/// The next message of a kind; others are passed over.
async fn next<T>(session: &mut Session, kind: fn(AgentMessage) -> Option<T>) -> T {
    let wanted = async {
        loop {
            let message = session.receive().await.unwrap();
            if let Some(wanted) = kind(message) {
                return wanted;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wanted).await.unwrap()
}

pub(crate) async fn ack(session: &mut Session) -> Ack {
    next(session, |message| if let AgentMessage::Ack(ack) = message { Some(ack) } else { None }).await
}

pub(crate) async fn nack(session: &mut Session) -> Nack {
    next(session, |message| if let AgentMessage::Nack(nack) = message { Some(nack) } else { None }).await
}

pub(crate) async fn report(session: &mut Session) -> NodeReport {
    next(session, |message| if let AgentMessage::Report(report) = message { Some(report) } else { None })
        .await
}

/// Renews and waits for an answer of any kind.
pub(crate) async fn renew(session: &mut Session, counter: u64) {
    let renew = Renew { generation: Generation { epoch: 1, counter }, seq: 1 };
    session.send(ReconcilerMessage::Renew(renew)).await.unwrap();
    next(session, |message| {
        matches!(message, AgentMessage::Report(_) | AgentMessage::RenewAck(_)).then_some(())
    })
    .await;
}

pub(crate) fn probe(times: Option<u64>) -> Probe {
    let run: RunKey = "default/a#1".parse().unwrap();
    Probe {
        id: format!("{run}/0/uid/main"),
        run,
        slot: 0,
        target: Target {
            namespace: "default".into(),
            pod: "pod".into(),
            uid: "uid".into(),
            container: "main".into(),
            container_id: None,
            cgroup: Some("victim".into()),
        },
        fault: Fault::Slab,
        call_chain: vec![Frame { function: "__x64_sys_mount".into() }],
        probability: Percent::ALL,
        times,
        spent_elsewhere: 0,
        duration: None,
        ends: None,
    }
}

pub(crate) fn set(counter: u64, probes: &[Probe]) -> Desired {
    let set = DesiredSet { generation: Generation { epoch: 1, counter }, probes: probes.to_vec() };
    Desired { set, content: format!("sha256:{counter:064x}") }
}
