use std::future::pending;

use faultline_core::{inventory::KernelReport, report::NodeReport};
use faultline_wire::{
    Address, Version, client,
    message::{Hello, RenewAck},
    server::{Listen, Server},
};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

use super::*;
use crate::{clock::ManualClock, metrics::Metrics};

const LEASE: Duration = Duration::from_millis(900);
/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

struct Stage {
    fleet: Arc<Fleet>,
    clock: Arc<ManualClock>,
    to: client::ConnectTo,
    _socket: TempDir,
}

impl Stage {
    async fn new() -> Self {
        let socket = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        let fleet = Arc::new(Fleet::new(clock.clone(), Arc::new(Metrics::new()), Arc::new(Notify::new())));
        let address = Address::Unix(socket.path().join("agents.sock"));
        let server = Server::bind(Listen { address: address.clone(), tls: None }).await.unwrap();
        tokio::spawn(server.serve(Arc::clone(&fleet), LEASE, pending()));
        Self { fleet, clock, to: client::ConnectTo::new(address, None).unwrap(), _socket: socket }
    }

    /// An agent that is called `n`.
    async fn agent(&self) -> client::Session {
        let kernel = KernelReport { release: "6".into(), machine: "m".into(), ..KernelReport::default() };
        let accepted = Generation { epoch: 1, counter: 1 };
        let report =
            NodeReport { node: "n".into(), boot_id: "b".into(), accepted, kernel, probes: Vec::new() };
        client::connect(&self.to, Hello { version: Version::OURS, report }, 1).await.unwrap()
    }

    fn heard(&self) -> Option<i64> {
        Some(self.fleet.nodes().get("n")?.heard.as_second())
    }

    async fn eventually(&self, mut wanted: impl FnMut() -> bool) {
        let waited = timeout(PATIENCE, async {
            while !wanted() {
                sleep(Duration::from_millis(10)).await;
            }
        });
        assert!(waited.await.is_ok(), "it never came to be: {:?}", self.fleet.nodes());
    }
}

#[tokio::test]
async fn an_answer_to_a_renewal_is_heard() {
    let stage = Stage::new().await;
    let agent = stage.agent().await;
    stage.eventually(|| stage.heard() == Some(0)).await;
    stage.clock.advance(Duration::from_secs(7));
    let answer = RenewAck { generation: Generation { epoch: 1, counter: 1 }, seq: 1 };
    agent.send(&AgentMessage::RenewAck(answer), 2).await.unwrap();
    stage.eventually(|| stage.heard() == Some(7)).await;
}

#[tokio::test]
async fn an_agent_whose_place_another_took_is_told() {
    let stage = Stage::new().await;
    let mut first = stage.agent().await;
    stage.eventually(|| stage.heard().is_some()).await;
    let _second = stage.agent().await;
    let ended = timeout(PATIENCE, first.receive()).await.unwrap().unwrap_err().to_string();
    assert!(ended.contains("a later session of node n took its place"), "{ended}");
}
