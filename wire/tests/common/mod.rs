//! What agents show a server: certificates, hellos, and messages that no agent of ours would send.

use std::{sync::Arc, time::Duration};

use faultline_core::{inventory::KernelReport, ledger::Generation, report::NodeReport};
use faultline_wire::{
    Address, AgentMessage, Version,
    certs::{self, Request},
    message::Hello,
    pb::{self, agents_client::AgentsClient},
    server::Listen,
    testing::Reconciler,
    tls::TlsFiles,
};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{net::TcpStream, sync::mpsc};
use tokio_rustls::{
    TlsConnector,
    rustls::{
        ClientConfig, RootCertStore,
        pki_types::{CertificateDer, ServerName, pem::PemObject},
    },
};
use tonic::{Status, Streaming};

pub(crate) const LEASE_TTL: Duration = Duration::from_secs(3);

pub(crate) async fn start(listen: Listen) -> Reconciler {
    Reconciler::start(listen, LEASE_TTL).await
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
    let kernel =
        KernelReport { release: "6.1.0".into(), machine: "x86_64".into(), ..KernelReport::default() };
    let report = NodeReport {
        node: node.into(),
        boot_id: "0f1e".into(),
        accepted: Generation::default(),
        kernel,
        probes: vec![],
    };
    Hello { version: Version::OURS, report }
}
