//! How an agent is set up.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use faultline_wire::{Address, tls::TlsFiles};

use crate::kernel::{GRACE, HOTTEST, RUNTIMES};

/// One agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// Where the reconciler is.
    pub connect: Address,
    /// Certificates, for `https://`.
    pub tls: Option<TlsFiles>,
    /// Name of the node, as the inventory has it.
    pub node: String,
    /// Where the ledger is kept.
    pub state_dir: PathBuf,
    /// The cgroup v2 hierarchy; `None`: as it is mounted.
    pub cgroup_root: Option<PathBuf>,
    /// Where the kernel's counts of budgets are pinned: a directory of a bpf file system.
    pub bpffs: PathBuf,
    /// Where metrics and health are served; `None`: nowhere.
    pub metrics_listen: Option<SocketAddr>,
    /// What is never injected, whatever is desired.
    pub containment: Containment,
}

/// What is never injected, whatever is desired; pid 1, kernel threads and the agent itself never are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Containment {
    /// Process ids.
    pub protected: Vec<u32>,
    /// Names of processes.
    pub protected_names: Vec<String>,
    /// How long a container is spared after its start.
    pub grace: Duration,
    /// Calls per second and CPU that a function of a chain may have; `None`: any number.
    pub hottest: Option<u64>,
}

impl Default for Containment {
    fn default() -> Self {
        Self {
            protected: Vec::new(),
            protected_names: RUNTIMES.map(str::to_owned).into(),
            grace: GRACE,
            hottest: Some(HOTTEST),
        }
    }
}

impl AgentConfig {
    /// The defaults of the command line, for the agent of `node`.
    #[must_use]
    pub fn new(connect: Address, node: &str) -> Self {
        Self {
            connect,
            tls: None,
            node: node.into(),
            state_dir: DEFAULT_STATE_DIR.into(),
            cgroup_root: None,
            bpffs: DEFAULT_BPFFS.into(),
            metrics_listen: None,
            containment: Containment::default(),
        }
    }
}

/// Where the ledger is kept unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/faultline/agent";
/// Where bpf file systems are mounted by custom.
pub const DEFAULT_BPFFS: &str = "/sys/fs/bpf";
/// Where metrics are served unless told otherwise.
pub const DEFAULT_METRICS_LISTEN: &str = "127.0.0.1:9477";
