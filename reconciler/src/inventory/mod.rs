//! Inventories: dated observations of nodes and pods, from a file or from a machine's own cgroups.

mod cgroups;
mod file;

use std::{path::PathBuf, sync::Arc};

use faultline_core::{inventory::Inventory, report::NodeReport};
use jiff::Timestamp;

pub use cgroups::{Cgroups, LABELS_ATTRIBUTE};

/// Where pods and nodes are observed.
#[derive(Clone, Debug)]
pub enum Provider {
    /// A file of an inventory's shape, YAML or JSON; it is as old as it says.
    File(PathBuf),
    /// The cgroups of this machine.
    Cgroups(Cgroups),
}

/// Why there is no inventory. What is running keeps its targets; nothing new is selected.
#[derive(Debug, thiserror::Error)]
pub enum InventoryError {
    /// The file cannot be read.
    #[error("the inventory {path} cannot be read: {reason}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        reason: std::io::Error,
    },
    /// The file is larger than is read.
    #[error("the inventory {path} is larger than {limit} bytes")]
    TooLarge {
        /// The file.
        path: String,
        /// The bound.
        limit: u64,
    },
    /// The file is not an inventory.
    #[error("the inventory {path} is not valid: {detail}")]
    Invalid {
        /// The file.
        path: String,
        /// What is wrong, with line and column.
        detail: String,
    },
    /// The cgroups cannot be listed.
    #[error("the cgroups beneath {path} cannot be read: {reason}")]
    Cgroups {
        /// The directory.
        path: String,
        /// Why.
        reason: std::io::Error,
    },
    /// The directory of the cgroups is not in a cgroup v2 hierarchy.
    #[error("{path} is not in a cgroup v2 hierarchy")]
    NotCgroup2 {
        /// The directory.
        path: String,
    },
}

impl Provider {
    /// What is there at `now`.
    ///
    /// # Errors
    /// It cannot be observed.
    pub fn observe(&self, now: Timestamp) -> Result<Inventory, InventoryError> {
        match self {
            Self::File(path) => file::read(path),
            Self::Cgroups(cgroups) => cgroups.observe(now),
        }
    }
}

/// Adds to the nodes what their agents found out about their kernels; an agent knows better than a file. A node
/// that only its agent knows is a node.
fn merge_reports<'a>(inventory: &mut Inventory, reports: impl IntoIterator<Item = &'a NodeReport>) {
    for report in reports {
        let node = inventory.nodes.entry(report.node.clone()).or_default();
        node.kernel = Some(report.kernel.clone());
    }
}

/// Observes with every pass.
#[derive(Clone, Debug, Default)]
pub struct Observer {
    provider: Option<Provider>,
    last: Option<Arc<Inventory>>,
    file: file::Known,
}

impl Observer {
    /// Observes through `provider`; `None`: there is no inventory, and plans are made without one.
    #[must_use]
    pub fn new(provider: Option<Provider>) -> Self {
        Self { provider, ..Self::default() }
    }

    /// What is there at `now`, with the kernels as the agents report them. Where it cannot be observed, what was
    /// observed last, with its date: a selector must not lose its targets because a file is being replaced.
    ///
    /// # Errors
    /// It cannot be observed and never could.
    pub fn observe(
        &mut self,
        now: Timestamp,
        reports: &[NodeReport],
    ) -> Result<Option<Arc<Inventory>>, InventoryError> {
        let observed = match &self.provider {
            None => return Ok(None),
            Some(Provider::File(path)) => self.file.read(path),
            Some(provider) => provider.observe(now).map(Arc::new),
        };
        match (observed, &self.last) {
            (Ok(inventory), _) => self.last = Some(inventory),
            (Err(error), Some(_)) => tracing::warn!(%error, "going on with the inventory observed last"),
            (Err(error), None) => return Err(error),
        }
        let mut inventory = self.last.clone();
        if let Some(inventory) = inventory.as_mut().filter(|_| !reports.is_empty()) {
            merge_reports(Arc::make_mut(inventory), reports);
        }
        Ok(inventory)
    }
}
