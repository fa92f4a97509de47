//! Inventories: dated observations of nodes and pods, from a file or from a machine's own cgroups.

mod cgroups;
mod file;

use std::path::PathBuf;

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
    #[error("the inventory {path} cannot be read: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
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
    #[error("the cgroups beneath {path} cannot be read: {source}")]
    Cgroups {
        /// The directory.
        path: String,
        /// Why.
        source: std::io::Error,
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
pub fn merge_reports<'a>(inventory: &mut Inventory, reports: impl IntoIterator<Item = &'a NodeReport>) {
    for report in reports {
        let node = inventory.nodes.entry(report.node.clone()).or_default();
        node.kernel = Some(report.kernel.clone());
    }
}
