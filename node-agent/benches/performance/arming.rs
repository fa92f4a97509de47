//! From the start of an apply to armed, in an agent that runs, and what the agent takes of memory.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use faultline_core::desired::Probe;
use faultline_wire::server::Listen;
use faultline_wire::testing::{Held, Reconciler, desired, probe};
use faultline_wire::{Address, AgentMessage, ReconcilerMessage};
use tempfile::TempDir;

use crate::ground::Ground;
use crate::table::{self, millions};
use crate::worker::Worker;

/// Applies that are averaged: the kernel tells user from kernel time by what its ticks interrupt, 250 times in
/// 1,000 M instructions, so one would tell little.
const APPLIES: u32 = 6;

/// The longest there is, and longer than the measurement.
const LEASE: Duration = Duration::from_secs(600);

/// What arming came to.
pub(crate) struct Armed {
    /// The start of the agent, until it speaks with the reconciler.
    start: Cost,
    /// The first apply: nothing is known of its chain.
    pub(crate) first: Cost,
    /// The mean of several more of the same.
    again: Cost,
    pub(crate) memory: Memory,
}

/// Prints two tables.
pub(crate) fn measure(ground: &Ground) {
    let Armed { start, first, again, memory } = arm(ground);
    table::print(
        "Arming a chain of one",
        &["the agent", "instructions", "in user space", "in the kernel"],
        &[
            start.row("its start, with a trial of every gate"),
            first.row("an apply, start to armed"),
            again.row("the same again, disarmed meanwhile"),
        ],
    );
    table::print("The agent's memory", &["while armed", "MiB"], &memory.rows("`faultline-agent`"));
}

/// Runs the agent, and has it arm and disarm the same probe again and again.
pub(crate) fn arm(ground: &Ground) -> Armed {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = TempDir::new().unwrap();
        let socket = folder.path().join("wire.sock");
        let listen = Listen { address: Address::Unix(socket.clone()), tls: None };
        let mut reconciler = Reconciler::start(listen, LEASE).await;
        let own = ground.cgroup("agent");
        let agent = Agent::start(&own, &ground.pins(), &folder, &socket);
        let session = reconciler.session().await;
        let start = Cost::of(&own);
        let cgroup = ground.cgroup("armed");
        let mut applies = Applies { session, counter: 0, agent: &own, target: Worker::start(&cgroup) };
        let path = cgroup.strip_prefix("/sys/fs/cgroup").unwrap().display().to_string();
        let (first, again) = applies.measure(&path).await;
        let memory = Memory::of(agent.0.id());
        Armed { start, first, again, memory }
    })
}

struct Applies<'a> {
    session: Held,
    counter: u64,
    agent: &'a Path,
    target: Worker,
}

impl Applies<'_> {
    /// The first, and the mean of the others. Ends armed.
    async fn measure(&mut self, cgroup: &str) -> (Cost, Cost) {
        let first = self.arm(cgroup).await;
        let mut sum = Cost::default();
        for _ in 0..APPLIES {
            sum = sum + self.arm(cgroup).await;
        }
        (first, sum / f64::from(APPLIES))
    }

    /// From disarmed to armed.
    async fn arm(&mut self, cgroup: &str) -> Cost {
        let mut armed = probe("bench", "armed");
        armed.target.cgroup = Some(cgroup.to_owned());
        self.apply(&[]).await;
        assert!(!self.target.lacks_memory_for_a_mount(), "nothing is armed");
        let before = Cost::of(self.agent);
        self.apply(&[armed]).await;
        let cost = Cost::of(self.agent) - before;
        assert!(self.target.lacks_memory_for_a_mount(), "the probe is armed");
        cost
    }

    /// Returns when the agent says that it is done.
    async fn apply(&mut self, probes: &[Probe]) {
        self.counter += 1;
        let desired = desired(self.counter, probes);
        self.session.send(ReconcilerMessage::Desired(desired)).await.unwrap();
        loop {
            match self.session.receive().await.expect("the agent is there") {
                AgentMessage::Ack(ack) if ack.generation.counter == self.counter => return,
                AgentMessage::Nack(nack) => panic!("{nack:?}"),
                _ => {}
            }
        }
    }
}

struct Agent(Child);

impl Agent {
    fn start(cgroup: &Path, pins: &Path, folder: &TempDir, socket: &Path) -> Self {
        fs::create_dir_all(pins).unwrap();
        // From memory: while the guest waits for a file of the host its clock leaps, and every patience ends.
        let program = folder.path().join("faultline-agent");
        fs::copy(env!("CARGO_BIN_EXE_faultline-agent"), &program).unwrap();
        let mut agent = within(cgroup, &[&program.display().to_string()]);
        agent.env("FAULTLINE_LOG", "warn").args([
            "--node",
            "lab",
            "--metrics-listen",
            "127.0.0.1:0",
            "--connect",
        ]);
        agent.arg(format!("unix:{}", socket.display()));
        agent.arg("--state-dir").arg(folder.path().join("state")).arg("--bpffs").arg(pins);
        Self(agent.spawn().unwrap())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command in a cgroup of its own, so that the kernel accounts for it apart.
pub(crate) fn within(cgroup: &Path, command: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "echo 0 > \"$0\" && exec \"$@\""]).arg(cgroup.join("cgroup.procs")).args(command);
    shell
}

/// Instructions of the processes of a cgroup, as its processor time has them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    pub(crate) total: f64,
    user: f64,
    system: f64,
}

impl Cost {
    pub(crate) fn of(cgroup: &Path) -> Self {
        let text = fs::read_to_string(cgroup.join("cpu.stat")).unwrap();
        let instructions = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("in every cgroup");
            line.trim().parse::<f64>().unwrap() * 1000.0
        };
        Self {
            total: instructions("usage_usec"),
            user: instructions("user_usec"),
            system: instructions("system_usec"),
        }
    }

    pub(crate) fn row(self, name: &str) -> Vec<String> {
        vec![name.to_owned(), millions(self.total), millions(self.user), millions(self.system)]
    }

    fn map(self, other: Self, with: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            total: with(self.total, other.total),
            user: with(self.user, other.user),
            system: with(self.system, other.system),
        }
    }
}

impl std::ops::Add for Cost {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.map(other, |a, b| a + b)
    }
}

impl std::ops::Sub for Cost {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self.map(other, |a, b| a - b)
    }
}

impl std::ops::Div<f64> for Cost {
    type Output = Self;
    fn div(self, by: f64) -> Self {
        self.map(self, |a, _| a / by)
    }
}

/// Of one process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Memory {
    /// Resident, in KiB.
    pub(crate) resident: f64,
    /// The most that was resident, in KiB.
    pub(crate) peak: f64,
}

impl Memory {
    pub(crate) fn of(process: u32) -> Self {
        let text = fs::read_to_string(PathBuf::from(format!("/proc/{process}/status"))).unwrap();
        let kib = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("in every kernel");
            line.trim().trim_end_matches(" kB").parse().unwrap()
        };
        Self { resident: kib("VmRSS:"), peak: kib("VmHWM:") }
    }

    pub(crate) fn rows(self, name: &str) -> Vec<Vec<String>> {
        let row = |what: &str, kib: f64| vec![format!("{name}, {what}"), format!("{:.1}", kib / 1024.0)];
        vec![row("resident", self.resident), row("peak", self.peak)]
    }
}
