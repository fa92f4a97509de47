//! A stage for a story: a repository, a reconciler, an agent, and containers with a victim in each.
//!
//! Everything is real: two processes over a Unix socket, cgroups, a file system on a block device. Only the inventory
//! is a file, written here.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use crate::{
    http,
    metrics::Page,
    process::Process,
    tally::{self, Attempt, boot_ns},
};

/// Name of the node.
pub const NODE: &str = "lab";
/// Namespace of the containers.
pub const NAMESPACE: &str = "chaos-mount";
/// The lease that a stage's reconciler grants where nothing else is said: the product's own default.
const LEASE: Duration = Duration::from_secs(15);
/// How long anything may take before a story gives up on it. Emulated machines are slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// One stage in a folder of its own.
#[derive(Debug)]
pub struct Stage {
    root: PathBuf,
    cgroups: PathBuf,
    port: u16,
    lease: Duration,
}

impl Stage {
    /// Sets up an empty stage. `name` keeps stages of one machine apart, `port` and the one above it serve metrics.
    ///
    /// # Errors
    /// A folder or a cgroup cannot be made.
    pub fn new(name: &str, port: u16) -> io::Result<Self> {
        let root = std::env::temp_dir().join(format!("stage-{name}"));
        for folder in ["experiments", "guardrails/modules", "state", "agent"] {
            fs::create_dir_all(root.join(folder))?;
        }
        let cgroups = Path::new("/sys/fs/cgroup").join(format!("stage-{name}"));
        fs::create_dir_all(&cgroups)?;
        Ok(Self { root, cgroups, port, lease: LEASE })
    }

    /// The same with another lease, in whole seconds.
    #[must_use]
    pub fn with_lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// A path on the stage.
    #[must_use]
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// Where the agent serves its metrics.
    #[must_use]
    pub fn agent_metrics(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// Where the reconciler serves its metrics and its admin interface.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port + 1).into()
    }

    /// Commits an experiment: written aside and renamed into place, as Git does it. Returns when rename(2) was called.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn commit(&self, file: &str, text: &str) -> io::Result<u64> {
        let aside = self.path("aside");
        fs::write(&aside, text)?;
        let renamed = boot_ns();
        fs::rename(&aside, self.path("experiments").join(file))?;
        Ok(renamed)
    }

    /// Removes an experiment's file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn remove(&self, file: &str) -> io::Result<()> {
        fs::remove_file(self.path("experiments").join(file))
    }

    /// Writes the inventory: one pod with one container for each name, in cgroups of the same names.
    ///
    /// # Errors
    /// A file or a cgroup cannot be made.
    pub fn inventory(&self, pods: &[&str]) -> io::Result<()> {
        let mut text = format!(
            "observedAt: 2026-01-01T00:00:00Z\nnodes: {{ {NODE}: {{}} }}\nnamespaces: {{ {NAMESPACE}: {{}} }}\npods:\n"
        );
        for pod in pods {
            fs::create_dir_all(self.cgroup(pod))?;
            let cgroup = self.cgroup(pod);
            let beneath = cgroup.strip_prefix("/sys/fs/cgroup").unwrap_or(&cgroup).display().to_string();
            text += &format!(
                "- {{ namespace: {NAMESPACE}, name: {pod}, uid: uid-{pod}, node: {NODE}, phase: Running, \
                 containers: [{{ name: main, cgroup: {beneath} }}] }}\n"
            );
        }
        fs::write(self.path("inventory.yaml"), text)
    }

    /// The cgroup directory of a pod's container.
    #[must_use]
    pub fn cgroup(&self, pod: &str) -> PathBuf {
        self.cgroups.join(pod)
    }

    /// Starts the reconciler.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn reconciler(&self) -> io::Result<Process> {
        let mut command = Command::new("faultline");
        command
            .arg("run")
            .args(["--source".into(), format!("experiments={}", self.path("experiments").display())])
            .args(["--platform".into(), format!("guardrails={}", self.path("guardrails").display())])
            .arg("--inventory")
            .arg(self.path("inventory.yaml"))
            .arg("--state-dir")
            .arg(self.path("state"))
            .args(["--listen".into(), format!("unix:{}", self.path("wire.sock").display())])
            .args(["--admin-listen".into(), self.admin().to_string()])
            .args(["--lease-ttl".into(), format!("{}s", self.lease.as_secs())]);
        Process::start(&mut command, &self.path("reconciler.log"))
    }

    /// Starts the agent.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn agent(&self) -> io::Result<Process> {
        let mut command = Command::new("faultline-agent");
        command
            .args(["--connect".into(), format!("unix:{}", self.path("wire.sock").display())])
            .args(["--node", NODE])
            .arg("--state-dir")
            .arg(self.path("agent"))
            .args(["--metrics-listen".into(), self.agent_metrics().to_string()]);
        Process::start(&mut command, &self.path("agent.log"))
    }

    /// Starts a victim in a pod's cgroup; what happens to it is in [`Self::attempts`].
    ///
    /// # Errors
    /// It cannot be started.
    pub fn victim(&self, pod: &str, arguments: &[&str]) -> io::Result<Process> {
        let mut command = Command::new("victim");
        command
            .arg("--cgroup")
            .arg(self.cgroup(pod))
            .arg("--at")
            .arg(self.path(&format!("mnt-{pod}")))
            .arg("--tally")
            .arg(self.tally(pod))
            .args(arguments);
        Process::start(&mut command, &self.path(&format!("{pod}.log")))
    }

    /// What has happened to a pod's victims since an offset into their tally, and the offset behind it.
    ///
    /// # Errors
    /// The tally cannot be read.
    pub fn attempts_since(&self, pod: &str, offset: u64) -> io::Result<(Vec<Attempt>, u64)> {
        tally::read_from(&self.tally(pod), offset)
    }

    /// What has happened to a pod's victims so far.
    ///
    /// # Errors
    /// The tally cannot be read.
    pub fn attempts(&self, pod: &str) -> io::Result<Vec<Attempt>> {
        tally::read(&self.tally(pod))
    }

    /// How many attempts of a pod's victims ended with `errno`; 0 before there is a tally.
    #[must_use]
    pub fn count(&self, pod: &str, errno: i32) -> usize {
        self.attempts(pod).map_or(0, |attempts| tally::count(&attempts, errno))
    }

    /// The agent's metrics.
    ///
    /// # Errors
    /// They cannot be fetched.
    pub fn page(&self) -> io::Result<Page> {
        Page::fetch(self.agent_metrics())
    }

    /// Every run that the reconciler remembers, as its admin interface has it in JSON; empty while it does not answer.
    #[must_use]
    pub fn runs(&self) -> String {
        http::get(self.admin(), "/v1/runs").unwrap_or_default()
    }

    /// Runs `faultline` with the admin interface of this stage and returns what it prints.
    ///
    /// # Errors
    /// It cannot be run.
    pub fn faultline(&self, arguments: &[&str]) -> io::Result<std::process::Output> {
        Command::new("faultline").args(arguments).args(["--admin".into(), self.admin().to_string()]).output()
    }

    /// The logs of reconciler and agent, for a failure's message.
    #[must_use]
    pub fn logs(&self) -> String {
        let read = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        format!("── reconciler\n{}\n── agent\n{}", read("reconciler.log"), read("agent.log"))
    }

    fn tally(&self, pod: &str) -> PathBuf {
        self.path(&format!("{pod}.tally"))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Cgroups stay behind while a process of a failed story is in them; the machine is thrown away after the stories.
        for pod in fs::read_dir(&self.cgroups).into_iter().flatten().flatten() {
            let _ = fs::remove_dir(pod.path());
        }
        let _ = fs::remove_dir(&self.cgroups);
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// Waits until `holds`, looking every 20 ms, and says whether it came to hold.
pub fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let until = boot_ns() + u64::try_from(PATIENCE.as_nanos()).unwrap_or(u64::MAX);
    loop {
        if holds() {
            return true;
        }
        if boot_ns() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}
