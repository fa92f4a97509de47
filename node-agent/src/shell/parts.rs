//! What is the machine's and not the agent's.

use std::{sync::Arc, time::Duration};

use super::AgentError;
use crate::{
    attachments::causes,
    cgroups::{Cgroups, find_root},
    clock::{Clock, SystemClock},
    config::{AgentConfig, Containment},
    inert::InertKernel,
    kernel::{Engine, EngineConfig, Kernel, preflight},
    ledger::{Ledger, LedgerStore, take_over},
};

/// How long an earlier agent may take to be gone: each function that it was attached to is a moment's work for the
/// kernel.
const TAKEOVER: Duration = Duration::from_secs(10);

/// What an agent works with: everything that is the machine's and not the agent's.
pub struct Parts {
    /// The kernel.
    pub kernel: Box<dyn Kernel>,
    /// The hierarchy of its targets.
    pub cgroups: Cgroups,
    /// Where it remembers.
    pub store: Box<dyn LedgerStore>,
    /// What it remembers.
    pub ledger: Ledger,
    /// Where instants come from.
    pub clock: Arc<dyn Clock>,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl Parts {
    /// This machine's. Where the engine does not open, a kernel that says why: the node is reported as it is.
    /// Where an earlier agent is not gone yet, its end is waited for, for 10 s.
    ///
    /// # Errors
    /// Something that every agent needs is not there.
    pub async fn of_this_machine(config: &AgentConfig) -> Result<Self, AgentError> {
        let (root, own) = find_root(config.cgroup_root.as_deref())?;
        let cgroups = Cgroups::open(&root, own).map_err(AgentError::Cgroups)?;
        let (store, ledger) = take_over(&config.state_dir, TAKEOVER).await?;
        let boot_id =
            std::fs::read_to_string("/proc/sys/kernel/random/boot_id").map_err(AgentError::BootId)?;
        Ok(Self {
            kernel: open_kernel(config),
            cgroups,
            store: Box::new(store),
            ledger,
            clock: Arc::new(SystemClock),
            boot_id: boot_id.trim().to_owned(),
        })
    }
}

/// How the engine is opened.
#[must_use]
pub(crate) fn engine_config(config: &AgentConfig) -> EngineConfig {
    let Containment { protected, protected_names, grace, hottest } = config.containment.clone();
    let pins = config.bpffs.join("faultline");
    EngineConfig { pins, protected, protected_names, grace, hottest, ..EngineConfig::default() }
}

fn open_kernel(config: &AgentConfig) -> Box<dyn Kernel> {
    let engine = engine_config(config);
    match Engine::open(&engine) {
        Ok(engine) => Box::new(engine),
        Err(error) => {
            tracing::error!(
                error = causes(&error),
                "this kernel cannot be injected: nothing will be attached"
            );
            Box::new(InertKernel::new(preflight(&engine)))
        }
    }
}
