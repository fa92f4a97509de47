//! How an agent is set up.

use std::{net::SocketAddr, path::PathBuf};

use faultline_wire::{Address, tls::TlsFiles};

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
        }
    }
}

/// Where the ledger is kept unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/faultline/agent";
/// Where bpf file systems are mounted by custom.
pub const DEFAULT_BPFFS: &str = "/sys/fs/bpf";
/// Where metrics are served unless told otherwise.
pub const DEFAULT_METRICS_LISTEN: &str = "127.0.0.1:9477";
