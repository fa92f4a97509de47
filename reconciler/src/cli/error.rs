//! Why a command failed, rendered once.

use std::{collections::BTreeMap, error::Error, io, path::PathBuf};

use faultline_api::yaml::visible;
use faultline_ebpf::facts::MissingFact;

use super::explain::Name;
use crate::{
    admin::client::AskError, inventory::InventoryError, reconcile::ReconcileError, serve::StartError,
    store::StoreError,
};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read {}", .0.iter().map(|(path, why)| format!("{}: {why}", visible(path))).collect::<Vec<_>>().join("; "))]
    Unreadable(BTreeMap<String, String>),
    #[error("{} is not the BTF of a kernel: {why}", path.display())]
    Btf { path: PathBuf, why: String },
    #[error("programs for the kernel of {} cannot be made: it has {missing}", path.display())]
    NoPrograms { path: PathBuf, missing: MissingFact },
    #[error("the files have no experiment{}", .0.as_ref().map(|name| format!(" {name}")).unwrap_or_default())]
    NoExperiment(Option<Name>),
    #[error("{} is larger than {limit} bytes", path.display())]
    TooLarge { path: PathBuf, limit: u64 },
    #[error("cannot write {}", path.display())]
    Project { path: PathBuf, source: io::Error },
    #[error("there is no module in {} or beside it: name one with --module", .0.display())]
    NoModule(PathBuf),
    #[error("{} has several modules: name one with --module", .0.display())]
    SeveralModules(PathBuf),
    #[error(transparent)]
    Cases(#[from] faultline_policies::cases::LoadError),
    #[error(transparent)]
    Undecided(faultline_core::review::Undecided),
    #[error("the ledger {} is not valid", path.display())]
    Ledger { path: PathBuf, source: serde_json::Error },
    #[error("two sources are called {0}: give them names with NAME=DIR")]
    SameName(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    #[error(transparent)]
    Reconcile(#[from] ReconcileError),
    #[error(transparent)]
    Host(#[from] faultline_policies::HostError),
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Certs(#[from] faultline_wire::certs::CertsError),
    #[cfg(all(target_os = "linux", feature = "embedded-node"))]
    #[error("the embedded node ended")]
    Agent(#[source] faultline_node_agent::AgentError),
    #[error("cannot start")]
    Runtime(#[source] io::Error),
    #[error("cannot write the output")]
    Write(#[from] io::Error),
    #[error("cannot write the output as JSON")]
    Json(#[from] serde_json::Error),
    #[error("cannot write the output as YAML")]
    Yaml(#[from] serde_saphyr::ser_error::Error),
}

impl CliError {
    /// 1 where the question was read and its answer is no; else 2.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::NoExperiment(_)
            | Self::Ask(AskError::NotFound(_))
            | Self::Inventory(InventoryError::Invalid(_))
            | Self::Reconcile(ReconcileError::Waiting(InventoryError::Invalid(_))) => 1,
            _ => 2,
        }
    }
}

/// The error with its causes, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
