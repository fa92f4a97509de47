//! The reconciler's side of sessions in the hands of a test, and something to say in them.
//!
//! The server is the real one. What this reconciler cannot do: it never speaks by itself, so that leases end unless
//! the test renews them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test that uses it")]

use std::{
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex},
    time::Duration,
};

use faultline_api::{CallChain, Fault, Frame, Percent};
use faultline_core::{
    desired::{DesiredSet, Probe, Target},
    ledger::{Generation, RunKey},
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{sleep, timeout},
};

use crate::{
    Address,
    message::Desired,
    server::{Listen, Refusal, RefusalReason, Server, Session, SessionHandler},
};

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that hands its sessions to the test and keeps whom it refused.
pub struct Reconciler {
    /// Where it listens; a port 0 has become a real one.
    pub address: Address,
    sessions: mpsc::UnboundedReceiver<Held>,
    handler: Arc<Handler>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Reconciler {
    /// Listens.
    pub async fn start(listen: Listen, lease_ttl: Duration) -> Self {
        let server = Server::bind(listen).await.unwrap();
        let address = server.address().clone();
        let (sender, sessions) = mpsc::unbounded_channel();
        let handler = Arc::new(Handler { sessions: sender, refusals: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&handler);
        let served = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or(()) };
            server.serve(serving, lease_ttl, stopped).await.unwrap();
        });
        Self { address, sessions, handler, stop, served }
    }

    /// The next session that is opened.
    pub async fn session(&mut self) -> Held {
        timeout(PATIENCE, self.sessions.recv()).await.unwrap().unwrap()
    }

    /// Waits for refusals: one in a handshake is counted a moment after the client saw it.
    pub async fn refusals_reach(&self, count: usize) {
        let refusals = || self.handler.refusals.lock().unwrap().clone();
        let reached = async {
            while refusals().len() < count {
                sleep(Duration::from_millis(10)).await;
            }
        };
        assert!(timeout(PATIENCE, reached).await.is_ok(), "refusals: {:?}", refusals());
    }

    /// Stops listening, waits for its sessions to end, and returns whom it refused.
    pub async fn stop(self) -> Vec<RefusalReason> {
        drop(self.sessions);
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.served).await.unwrap().unwrap();
        self.handler.refusals.lock().unwrap().clone()
    }
}

struct Handler {
    sessions: mpsc::UnboundedSender<Held>,
    refusals: Mutex<Vec<RefusalReason>>,
}

impl SessionHandler for Handler {
    async fn session(&self, session: Session) {
        let (done, dropped) = oneshot::channel();
        if self.sessions.send(Held { session, _done: done }).is_ok() {
            let _ = dropped.await;
        }
    }

    fn refused(&self, refusal: &Refusal) {
        self.refusals.lock().unwrap().push(refusal.reason);
    }
}

/// A session in the hands of the test; dropping it ends it.
pub struct Held {
    session: Session,
    _done: oneshot::Sender<()>,
}

impl Deref for Held {
    type Target = Session;
    fn deref(&self) -> &Session {
        &self.session
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Session {
        &mut self.session
    }
}

/// What makes every mount fail in container `main` of `default/POD`, in slot 0 of the first run of experiment
/// `default/NAME`. The cgroup is `victim`, and the pod's uid is its name.
#[must_use]
pub fn probe(name: &str, pod: &str) -> Probe {
    let key = format!("default/{name}#1");
    let Ok(run) = key.parse::<RunKey>() else { panic!("{key}: not a run") };
    Probe {
        id: format!("{run}/0/{pod}/main"),
        run,
        slot: 0,
        target: Target {
            namespace: "default".into(),
            pod: pod.into(),
            uid: pod.into(),
            container: "main".into(),
            container_id: None,
            cgroup: Some("victim".into()),
        },
        fault: Fault::Slab,
        call_chain: CallChain {
            frames: vec![Frame { function: "__x64_sys_mount".into(), predicate: None }],
            target: None,
        },
        probability: Percent::ALL,
        times: None,
        spent_elsewhere: 0,
        duration: None,
        ends: None,
    }
}

/// A set of generation `1.COUNTER`, in order, whose digest is its own for each counter.
#[must_use]
pub fn desired(counter: u64, probes: &[Probe]) -> Desired {
    let mut probes = probes.to_vec();
    probes.sort_by(|a, b| a.id.cmp(&b.id));
    let generation = Generation { epoch: 1, counter };
    Desired { set: DesiredSet { generation, probes }, content: format!("sha256:{counter:064x}") }
}
