//! What is never injected, told to the kernel: the agent, the kubelet, container runtimes; a container that has only just
//! started; whoever runs the OOM killer.

use faultline_ebpf::facts::Facts;
use faultline_ebpf::layout::{globals, spared};

use super::engine::EngineConfig;
use super::error::OpenError;
use super::maps::Maps;
use super::symbols::Listed;

/// Names of the kubelet and of container runtimes, as the kernel keeps them (15 bytes): a fault in one of them is a
/// fault in every container of the node. `runc:[2:INIT]` and its like are a runtime inside the container that it is about
/// to become.
pub const RUNTIMES: [&str; 19] = [
    "kubelet",
    "containerd",
    "containerd-shim",
    "crio",
    "dockerd",
    "cri-dockerd",
    "conmon",
    "conmonrs",
    "podman",
    "runc",
    "runc:[0:PARENT]",
    "runc:[1:CHILD]",
    "runc:[2:INIT]",
    "crun",
    "youki",
    "k3s-server",
    "k3s-agent",
    "rke2",
    "k0s",
];

/// Writes all of it before any gate is attached.
pub(super) fn spare(maps: &Maps, config: &EngineConfig) -> Result<(), OpenError> {
    let ids = std::iter::once(std::process::id()).chain(config.protected.iter().copied()).map(spared::of_id);
    let names = config.protected_names.iter().filter_map(|name| spared::of_name(name));
    for key in ids.chain(names) {
        maps.spare(&key).map_err(|source| OpenError::Setup { what: "protected processes", source })?;
    }
    let grace = u64::try_from(config.grace.as_nanos()).unwrap_or(u64::MAX / 2);
    maps.globals.store(globals::GRACE, grace);
    Ok(())
}

/// Lets the gates see who runs the OOM killer. Says what holds where they cannot, and why.
pub(super) fn watch_oom_killer(maps: &Maps, facts: &Facts, symbol: &Listed) -> Result<(), String> {
    let owner = facts.mutex_owner.and_then(|owner| u64::try_from(owner).ok());
    let owner = owner.ok_or_else(|| unspared("the kernel's mutexes do not say who holds them"))?;
    match symbol.addresses.as_slice() {
        [address] if *address != 0 => {
            maps.globals.store(globals::OOM_OWNER, address.saturating_add(owner));
            Ok(())
        }
        _ => Err(unspared(NO_OOM_LOCK)),
    }
}

fn unspared(reason: &str) -> String {
    format!(
        "a task that runs the OOM killer is not spared, only the processes that it has chosen are: {reason}"
    )
}

/// Kernels without CONFIG_KALLSYMS_ALL list functions only.
const NO_OOM_LOCK: &str = "the symbol table has no oom_lock (CONFIG_KALLSYMS_ALL is needed)";
