//! A machine: a fake kernel, a cgroup tree, a state directory, and agents that come and go.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use faultline_node_agent::{
    AgentConfig, AgentError, Parts,
    cgroups::Cgroups,
    clock::{Clock, SystemClock},
    kernel::SharedKernel,
    ledger::{DurableLedger, probe_id},
    run_with,
};
use faultline_wire::Address;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
};

pub(crate) struct Machine {
    kernel: SharedKernel,
    tree: TempDir,
    pub(crate) state: TempDir,
    pub(crate) socket: PathBuf,
    _sockets: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("victim")).unwrap();
        let sockets = tempfile::tempdir().unwrap();
        let socket = sockets.path().join("agents.sock");
        let state = tempfile::tempdir().unwrap();
        Self { kernel: SharedKernel::default(), tree, state, socket, _sockets: sockets }
    }

    pub(crate) fn agent(&self) -> Agent {
        let (store, ledger) = DurableLedger::open(self.state.path()).unwrap();
        let parts = Parts {
            kernel: Box::new(self.kernel.clone()),
            cgroups: Cgroups::open(self.tree.path(), None).unwrap(),
            store: Box::new(store),
            ledger,
            clock: Arc::new(SystemClock),
            boot_id: "boot".into(),
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let metrics = listener.local_addr().unwrap();
        drop(listener);
        let config = AgentConfig {
            metrics_listen: Some(metrics),
            ..AgentConfig::new(Address::Unix(self.socket.clone()), "node-a")
        };
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap_or(()) };
        Agent { metrics, stop, running: tokio::spawn(run_with(config, parts, stopped)) }
    }

    /// What the end of a process takes from the kernel.
    pub(crate) fn crash(&self) {
        self.kernel.crash();
    }

    pub(crate) fn attached(&self) -> usize {
        self.kernel.lock().attached().count()
    }

    /// How many of so many hits failed.
    pub(crate) fn hammer(&self, id: &str, times: usize) -> usize {
        let now = SystemClock.now().boot;
        let mut kernel = self.kernel.lock();
        (0..times).filter(|_| kernel.inject(probe_id(id), now)).count()
    }

    pub(crate) async fn eventually(&self, holds: impl Fn(&Self) -> bool) {
        for _ in 0..1000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("never came to hold");
    }
}

pub(crate) struct Agent {
    metrics: SocketAddr,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), AgentError>>,
}

impl Agent {
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), self.running).await.unwrap().unwrap().unwrap();
    }

    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.unwrap_err().is_cancelled());
    }

    /// The value of the only line of the metrics that begins so.
    pub(crate) async fn metric(&self, start: &str) -> f64 {
        let (status, page) = self.get("/metrics").await;
        assert_eq!(status, 200);
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with(start)).collect();
        let [line] = lines[..] else { panic!("{start}: {lines:?} in\n{page}") };
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.metrics).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
    }
}
