//! A reconciler as a process of its own, with its directories.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use faultline_wire::Address;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// The lease that the reconciler grants.
pub(crate) const LEASE: Duration = Duration::from_millis(1500);
/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Stage {
    root: TempDir,
    metrics: SocketAddr,
    reconciler: Option<Child>,
    /// What is logged.
    pub(crate) logged: &'static str,
}

impl Stage {
    /// Directories without a reconciler yet.
    pub(crate) fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["experiments", "platform"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        // Free a moment ago, and nobody else here asks for a port by number.
        let metrics = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stage = Self { root, metrics, reconciler: None, logged: "info" };
        stage.write(
            "inventory.yaml",
            "observedAt: 2026-01-01T00:00:00Z\nnodes: { n1: {} }\nnamespaces: { shop: {} }\npods:\n\
             - { namespace: shop, name: web, uid: u1, node: n1, phase: Running, containers: [{ name: main, cgroup: a }] }\n",
        );
        stage
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.path().join(relative)
    }

    /// Writes aside and renames, as Git does.
    pub(crate) fn write(&self, relative: &str, text: &str) {
        let aside = self.path("aside");
        fs::write(&aside, text).unwrap();
        fs::rename(aside, self.path(relative)).unwrap();
    }

    pub(crate) fn start(&mut self) {
        let child = self
            .faultline("run")
            .arg(format!("--source=experiments={}", self.path("experiments").display()))
            .arg(format!("--platform=platform={}", self.path("platform").display()))
            .arg(format!("--inventory={}", self.path("inventory.yaml").display()))
            .arg(format!("--state-dir={}", self.path("state").display()))
            .arg(format!("--listen={}", self.agents()))
            .arg(format!("--admin-listen={}", self.admin()))
            .arg(format!("--metrics-listen={}", self.metrics))
            .arg(format!("--lease-ttl={}ms", LEASE.as_millis()))
            .env("FAULTLINE_LOG", self.logged)
            .stderr(Stdio::from(
                fs::File::options().create(true).append(true).open(self.path("log")).unwrap(),
            ))
            .spawn()
            .unwrap();
        self.reconciler = Some(child);
    }

    /// Sends a signal, waits for the end, and returns the exit code, if it was not the signal that ended it.
    pub(crate) fn stop(&mut self, signal: Signal) -> Option<i32> {
        let mut child = self.reconciler.take().expect("it is running");
        kill_process(Pid::from_child(&child), signal).unwrap();
        child.wait().unwrap().code()
    }

    pub(crate) fn agents(&self) -> Address {
        Address::Unix(self.path("agents.sock"))
    }

    pub(crate) fn admin(&self) -> String {
        format!("unix:{}", self.path("admin.sock").display())
    }

    pub(crate) fn faultline(&self, command: &str) -> Command {
        let mut faultline = Command::new(env!("CARGO_BIN_EXE_faultline"));
        faultline.arg(command).env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
        // Credentials that are those of this stage, and no proxy on the way to its registry.
        faultline.env("DOCKER_CONFIG", self.path("")).env("NO_PROXY", "*");
        faultline
    }

    /// Asks the running reconciler.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        self.faultline(arguments[0])
            .args(&arguments[1..])
            .arg(format!("--admin={}", self.admin()))
            .output()
            .unwrap()
    }

    /// State and reason of every run, by its key.
    pub(crate) fn runs(&self) -> Vec<(String, String, String)> {
        let output = self.ask(&["get", "runs", "-o", "json"]);
        let runs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        let text = |run: &serde_json::Value, field: &str| run[field].as_str().unwrap_or_default().to_owned();
        let of = |run: &serde_json::Value| (text(run, "run"), text(run, "state"), text(run, "reason"));
        runs.as_array().into_iter().flatten().map(of).collect()
    }

    /// Status line and body of a page of the metrics' address.
    pub(crate) fn page(&self, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(self.metrics).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {}\r\n\r\n", self.metrics).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The records of plans, oldest first.
    pub(crate) fn records(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("state/plans")).unwrap().map(|entry| entry.unwrap().path());
        let mut records: Vec<_> = entries.filter(|path| !path.ends_with("unfinished")).collect();
        records.sort();
        records
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(child) = &mut self.reconciler {
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

/// An experiment on `shop/web`; `request` lines go under `failKernRequest`.
pub(crate) fn experiment(name: &str, spec: &str, request: &str) -> String {
    format!(
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: {{ name: {name}, namespace: chaos }}\nspec:\n  \
         mode: one\n  selector: {{ namespaces: [shop] }}\n{spec}  failKernRequest:\n    \
         callchain: [{{ funcname: __x64_sys_mount }}]\n    failtype: 0\n{request}"
    )
}

/// Whether `path` is the same file of bytes as `text`.
pub(crate) fn holds(path: &Path, text: &[u8]) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes == text)
}
