//! Cgroups, a socket, and the agent as a process of its own.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use faultline_core::{
    desired::Probe,
    report::{NodeReport, ProbeState},
};
use faultline_wire::{
    Address,
    server::{Listen, Server},
    testing::desired,
};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::{task::JoinHandle, time::timeout};

use crate::{reconciler::Reconciler, victim::Victim};

/// Where the lab says that it is one.
const LAB: &str = "FAULTLINE_LAB";

/// How long anything may take: emulated machines are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// Agents see each other's programs, so tests take turns.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

pub(crate) struct Stage {
    reconciler: Arc<Reconciler>,
    served: JoinHandle<()>,
    root: PathBuf,
    folder: TempDir,
    metrics: SocketAddr,
    counter: u64,
    sessions: u64,
    _turn: tokio::sync::MutexGuard<'static, ()>,
}

impl Stage {
    /// Absent, loudly, outside the lab.
    pub(crate) async fn new(name: &str, lease: Duration) -> Option<Self> {
        if std::env::var_os(LAB).is_none() {
            eprintln!("SKIPPED: needs a real kernel: cargo lab test -p faultline-node-agent --test session");
            return None;
        }
        let turn = TURN.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let root = Path::new("/sys/fs/cgroup").join(format!("session-{name}-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let listen = Listen { address: Address::Unix(folder.path().join("wire.sock")), tls: None };
        let server = Server::bind(listen).await.unwrap();
        let reconciler = Reconciler::new(lease);
        let handler = Arc::clone(&reconciler);
        let served = tokio::spawn(async move {
            server.serve(handler, lease, std::future::pending()).await.unwrap();
        });
        let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        Some(Self { reconciler, served, root, folder, metrics, counter: 0, sessions: 0, _turn: turn })
    }

    /// A cgroup and a victim in it.
    pub(crate) fn container(&self, name: &str) -> Victim {
        let cgroup = self.root.join(name);
        fs::create_dir(&cgroup).unwrap();
        Victim::start(&cgroup)
    }

    pub(crate) fn agent(&self) -> Agent {
        self.agent_with(&[])
    }

    /// With more on its command line.
    pub(crate) fn agent_with(&self, switches: &[&str]) -> Agent {
        let pins = Path::new("/sys/fs/bpf").join(self.root.file_name().unwrap());
        fs::create_dir_all(&pins).unwrap();
        let log = self.folder.path().join("agent.log");
        let log = fs::OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = Command::new("faultline-agent")
            .args(["--connect".into(), format!("unix:{}", self.folder.path().join("wire.sock").display())])
            .args(["--node", "lab", "--state-dir"])
            .arg(self.folder.path().join("state"))
            .arg("--bpffs")
            .arg(pins)
            .args(["--metrics-listen".into(), self.metrics.to_string()])
            .args(switches)
            .stderr(log)
            .spawn()
            .unwrap();
        Agent(child)
    }

    /// Waits for a session that was not there at the last call.
    pub(crate) async fn connected(&mut self) {
        let mut sessions = self.reconciler.sessions.subscribe();
        let before = self.sessions;
        let newer = sessions.wait_for(|sessions| *sessions > before);
        self.sessions = *self.patiently(newer).await.unwrap();
    }

    /// Tells the agent and waits until it has acknowledged.
    pub(crate) async fn desire(&mut self, probes: &[Probe]) {
        self.desire_soon(probes);
        let counter = self.counter;
        let mut heard = self.reconciler.heard.subscribe();
        let acked =
            heard.wait_for(|heard| heard.ack.as_ref().is_some_and(|ack| ack.generation.counter == counter));
        drop(self.patiently(acked).await);
    }

    /// Tells the agent. Containers are named by their pods.
    pub(crate) fn desire_soon(&mut self, probes: &[Probe]) {
        self.counter += 1;
        let beneath = self.root.strip_prefix("/sys/fs/cgroup").unwrap();
        let mut probes = probes.to_vec();
        for probe in &mut probes {
            probe.target.cgroup = Some(beneath.join(&probe.target.pod).display().to_string());
        }
        self.reconciler.desired.send_replace(Some(desired(self.counter, &probes)));
    }

    /// What the agent reports now.
    pub(crate) async fn report(&self) -> NodeReport {
        let mut heard = self.reconciler.heard.subscribe();
        let before = heard.borrow().reports;
        self.reconciler.ask.send_modify(|asked| *asked += 1);
        let newer = heard.wait_for(|heard| heard.reports > before);
        let report = self.patiently(newer).await.unwrap().report.clone();
        report.unwrap()
    }

    pub(crate) async fn state(&self, probe: usize) -> ProbeState {
        self.report().await.probes.remove(probe).state
    }

    /// Waits until the only probe is in this state.
    pub(crate) async fn reaches(&self, state: &ProbeState) {
        let reached = async {
            while self.state(0).await != *state {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        self.patiently(reached).await;
    }

    pub(crate) fn renewals(&self, on: bool) {
        self.reconciler.renewing.store(on, Ordering::Relaxed);
    }

    /// The value of the only line of the agent's metrics that begins so.
    pub(crate) async fn metric(&self, start: &str) -> String {
        let metrics = self.metrics;
        let page = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(metrics).unwrap();
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
            let mut page = String::new();
            stream.read_to_string(&mut page).unwrap();
            page
        });
        let page = page.await.unwrap();
        let lines: Vec<_> = page.lines().filter(|line| line.starts_with(start)).collect();
        let [line] = lines[..] else { panic!("{start}: {lines:?} in\n{page}") };
        line.rsplit(' ').next().unwrap().to_owned()
    }

    async fn patiently<T>(&self, what: impl Future<Output = T>) -> T {
        timeout(PATIENCE, what).await.unwrap_or_else(|_| {
            let log = fs::read_to_string(self.folder.path().join("agent.log"));
            panic!("waited for nothing; the agent's log:\n{}", log.unwrap_or_default())
        })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.served.abort();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("agent.log")).unwrap_or_default();
            eprintln!("the agent's log:\n{log}");
        }
    }
}

/// Killed when the test is done with it.
pub(crate) struct Agent(Child);

impl Agent {
    pub(crate) fn kill(&mut self) -> std::io::Result<()> {
        self.0.kill()
    }

    pub(crate) fn wait(&mut self) -> std::io::Result<std::process::ExitStatus> {
        self.0.wait()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn signal(agent: &Agent, signal: Signal) {
    kill_process(Pid::from_child(&agent.0), signal).unwrap();
}
