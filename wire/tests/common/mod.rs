//! A server that hands its sessions to the test, and certificates to reach it with.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use faultline_api::{ExperimentId, Fault, Frame, Kind, Percent};
use faultline_core::{
    desired::{DesiredSet, Probe, Target},
    inventory::KernelReport,
    ledger::{Activation, Generation, RunKey},
    report::NodeReport,
};
use faultline_wire::{
    Address, AgentMessage, Version,
    certs::{self, Request},
    message::{Desired, Hello},
    pb::{self, agents_client::AgentsClient},
    server::{Listen, Refusal, RefusalReason, Server, Session, SessionHandler},
    tls::TlsFiles,
};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tonic::{Status, Streaming};

pub(crate) const LEASE_TTL: Duration = Duration::from_secs(3);

/// Passes sessions on and keeps refusals.
pub(crate) struct Recorder {
    sessions: mpsc::UnboundedSender<(Session, oneshot::Sender<()>)>,
    refusals: Mutex<Vec<RefusalReason>>,
}

impl Recorder {
    pub(crate) async fn until_closed(mut held: Held) {
        while held.receive().await.is_some() {}
    }
}

impl SessionHandler for Recorder {
    async fn session(&self, session: Session) {
        let (done, dropped) = oneshot::channel();
        self.sessions.send((session, done)).unwrap();
        let _ = dropped.await;
    }

    fn refused(&self, refusal: &Refusal) {
        self.refusals.lock().unwrap().push(refusal.reason);
    }
}

/// A session in the hands of the test; dropping it ends it.
pub(crate) struct Held {
    session: Session,
    _done: oneshot::Sender<()>,
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

pub(crate) struct Running {
    pub(crate) address: Address,
    sessions: mpsc::UnboundedReceiver<(Session, oneshot::Sender<()>)>,
    recorder: Arc<Recorder>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<()>,
}

impl Running {
    pub(crate) async fn start(listen: Listen) -> Self {
        let server = Server::bind(listen).await.unwrap();
        let address = server.address().clone();
        let (sender, sessions) = mpsc::unbounded_channel();
        let recorder = Arc::new(Recorder { sessions: sender, refusals: Mutex::default() });
        let (stop, stopped) = oneshot::channel();
        let handler = Arc::clone(&recorder);
        let served = tokio::spawn(async move {
            let stopped = async { stopped.await.unwrap_or(()) };
            server.serve(handler, LEASE_TTL, stopped).await.unwrap();
        });
        Self { address, sessions, recorder, stop, served }
    }

    pub(crate) async fn session(&mut self) -> Held {
        let (session, done) = self.sessions.recv().await.unwrap();
        Held { session, _done: done }
    }

    /// A refusal in a handshake is counted a moment after the client saw it.
    pub(crate) async fn refusals_reach(&self, count: usize) {
        for _ in 0..500 {
            if self.recorder.refusals.lock().unwrap().len() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("refusals: {:?}", self.recorder.refusals.lock().unwrap());
    }

    /// Stops the server and returns whom it refused.
    pub(crate) async fn stop(self) -> Vec<RefusalReason> {
        self.stop.send(()).unwrap();
        drop(self.sessions);
        tokio::time::timeout(Duration::from_secs(20), self.served).await.unwrap().unwrap();
        self.recorder.refusals.lock().unwrap().clone()
    }
}

pub(crate) fn plain() -> Listen {
    Listen { address: Address::Plain { host: "127.0.0.1".into(), port: 0 }, tls: None }
}

/// A folder of certificates.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) fn new(nodes: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let request = Request {
            nodes: nodes.iter().map(|&node| node.into()).collect(),
            server_names: vec!["localhost".into(), "127.0.0.1".into()],
            ..request(&dir, now())
        };
        certs::init(&request).unwrap();
        Self(dir)
    }

    pub(crate) fn issue_expired(&self, node: &str) {
        let past = now() - Duration::from_secs(2 * 86_400);
        certs::init(&Request { nodes: vec![node.into()], ..request(&self.0, past) }).unwrap();
    }

    pub(crate) fn of(&self, name: &str) -> TlsFiles {
        let path = |file: String| self.0.path().join(file);
        TlsFiles {
            ca: path("ca.crt".into()),
            cert: path(format!("{name}.crt")),
            key: path(format!("{name}.key")),
        }
    }

    pub(crate) fn listen(&self) -> Listen {
        let address = Address::MutualTls { host: "127.0.0.1".into(), port: 0 };
        Listen { address, tls: Some(self.of("reconciler")) }
    }
}

fn request(dir: &TempDir, now: Timestamp) -> Request {
    Request {
        dir: dir.path().into(),
        nodes: vec![],
        server_names: vec![],
        validity: Duration::from_secs(86_400),
        now,
        force: false,
    }
}

#[expect(clippy::disallowed_methods, reason = "certificates are verified by the real clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// A client that trusts the reconciler and shows nothing of itself.
pub(crate) async fn handshake_without_certificate(address: &Address, certificates: &Certificates) {
    let Address::MutualTls { host, port } = address else { panic!("not TLS") };
    let mut roots = RootCertStore::empty();
    let pem = std::fs::read(certificates.of("ca").ca).unwrap();
    roots.add(CertificateDer::from_pem_slice(&pem).unwrap()).unwrap();
    let config =
        ClientConfig::builder_with_provider(Arc::new(tokio_rustls::rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    let stream = TcpStream::connect((host.as_str(), *port)).await.unwrap();
    let name = ServerName::try_from(host.clone()).unwrap();
    // With TLS 1.3 the client is done before the server has looked at its certificate.
    let _ = TlsConnector::from(Arc::new(config)).connect(name, stream).await;
}

/// A session of messages as they are, well formed or not.
pub(crate) async fn raw(
    address: &Address,
    version: Version,
    messages: Vec<pb::AgentMessage>,
) -> (Streaming<pb::ReconcilerMessage>, mpsc::Sender<pb::AgentMessage>) {
    let hello = AgentMessage::Hello(Hello { version, ..hello("node-a") });
    let hello = pb::AgentMessage { boot_ns: Some(1), body: Some((&hello).into()) };
    open(address, std::iter::once(hello).chain(messages).collect()).await.unwrap()
}

pub(crate) async fn raw_hello(address: &Address, hello: pb::Hello) -> Result<(), Status> {
    let body = Some(pb::agent_message::Body::Hello(hello));
    open(address, vec![pb::AgentMessage { boot_ns: Some(1), body }]).await.map(drop)
}

async fn open(
    address: &Address,
    messages: Vec<pb::AgentMessage>,
) -> Result<(Streaming<pb::ReconcilerMessage>, mpsc::Sender<pb::AgentMessage>), Status> {
    let mut client = AgentsClient::connect(address.to_string()).await.unwrap();
    let (sender, receiver) = mpsc::channel(16);
    for message in messages {
        sender.send(message).await.unwrap();
    }
    let stream = client.session(tokio_stream::wrappers::ReceiverStream::new(receiver)).await?.into_inner();
    Ok((stream, sender))
}

pub(crate) fn hello(node: &str) -> Hello {
    let kernel = KernelReport { release: "6.1.0".into(), machine: "x86_64".into(), faults: [].into() };
    let report = NodeReport {
        node: node.into(),
        boot_id: "0f1e".into(),
        accepted: Generation::default(),
        kernel,
        probes: vec![],
    };
    Hello { version: Version::OURS, report }
}

pub(crate) fn desired(generation: Generation) -> Desired {
    let experiment =
        ExperimentId { kind: Kind::KernelChaos, namespace: "default".into(), name: "mount".into() };
    let probe = Probe {
        id: "default/mount#1/0/uid/main".into(),
        run: RunKey { experiment, activation: Activation(1) },
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
        times: Some(7),
        spent_elsewhere: 0,
        duration: None,
        ends: None,
    };
    Desired {
        set: DesiredSet { generation, probes: vec![probe] },
        content: format!("sha256:{}", "ab".repeat(32)),
    }
}
