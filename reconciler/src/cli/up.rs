//! `faultline up`.

use std::{io, net::SocketAddr, path::PathBuf};

use clap::Args;
use faultline_node_agent::{AgentConfig, DEFAULT_BPFFS, DEFAULT_METRICS_LISTEN};
use faultline_wire::{Address, node_name};
use tokio_util::sync::CancellationToken;

use super::{
    CliError, Outcome,
    serving::{ServingArgs, runtime, stopped_by_signals},
};
use crate::{
    inventory::{Cgroups, Provider},
    serve::Server,
};

/// Do what `run` and an agent do, in one process, with this machine as the only node
///
/// Pods are this machine's own cgroups: beneath the directory, NAMESPACE/POD, or NAMESPACE/POD/CONTAINER. A new one is
/// a target within a second. Its labels are in the extended attribute user.faultline.labels of the pod's directory, as
/// key=value,key=value.
///
/// Needs what the agent needs: root, or CAP_BPF, CAP_PERFMON, CAP_SYSLOG and CAP_DAC_READ_SEARCH. Everything is
/// detached when it stops, however it stops.
///
/// Exit codes: 0 a signal stopped it; 2 usage, or it cannot start or go on; 128 and the signal's number where a second
/// signal ended it at once.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline up --source experiments --platform guardrails --cgroups /sys/fs/cgroup/pods
  faultline up --source experiments --cgroups /sys/fs/cgroup/pods --state-dir /tmp/faultline --node laptop")]
pub(super) struct Up {
    #[command(flatten)]
    serving: ServingArgs,
    /// Directory of cgroups that are pods
    #[arg(long, value_name = "DIR")]
    cgroups: PathBuf,
    /// Name of this node [default: the host's name, in lower case]
    #[arg(long, value_name = "NAME", env = "FAULTLINE_NODE", value_parser = node_name)]
    node: Option<String>,
    /// A bpf file system, where spent budgets are counted past a restart
    #[arg(long, value_name = "DIR", default_value = DEFAULT_BPFFS)]
    bpffs: PathBuf,
    /// Where the agent's side serves its metrics
    #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_METRICS_LISTEN)]
    agent_metrics_listen: SocketAddr,
}

impl Up {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { serving, cgroups, node, bpffs, agent_metrics_listen } = self;
        let node = node.map_or_else(host_name, Ok)?;
        let state_dir = serving.state_dir.clone();
        std::fs::create_dir_all(&state_dir)
            .map_err(|source| CliError::Read { path: state_dir.clone(), source })?;
        let state_dir =
            state_dir.canonicalize().map_err(|source| CliError::Read { path: state_dir, source })?;
        let connect = Address::Unix(state_dir.join("agents.sock"));
        let inventory = Provider::Cgroups(Cgroups::beneath(&cgroups, &node)?);
        let settings = serving.settings(inventory, connect.clone(), None)?;
        let agent = AgentConfig {
            bpffs,
            state_dir: state_dir.join("agent"),
            metrics_listen: Some(agent_metrics_listen),
            ..AgentConfig::new(connect, &node)
        };
        runtime()?.block_on(both(settings, agent))
    }
}

/// The agent stops first: what it reports last is still heard.
async fn both(settings: crate::serve::Settings, agent: AgentConfig) -> Result<Outcome, CliError> {
    let (signalled, stop) = (stopped_by_signals()?, CancellationToken::new());
    let server = Server::start(settings, stop.clone()).await?;
    let (end_with_agent, until) = (stop.clone(), stop.clone());
    // Where the reconciler stops by itself, so does the agent.
    let told = async move {
        tokio::select! {
            () = signalled.cancelled() => {}
            () = stop.cancelled() => {}
        }
    };
    let agent = tokio::spawn(async move {
        let ended = faultline_node_agent::run(agent, told).await;
        end_with_agent.cancel();
        ended
    });
    let ran = server.run(until).await;
    match agent.await {
        Ok(ended) => ended.map_err(CliError::Agent)?,
        Err(panicked) => return Err(CliError::Runtime(panicked.into())),
    }
    ran?;
    Ok(Outcome::Fine)
}

fn host_name() -> Result<String, CliError> {
    let name = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let unusable = |_| io::Error::other("this host has no name that can be used: give one with --node");
    node_name(&name).map_err(unusable).map_err(CliError::Runtime)
}
