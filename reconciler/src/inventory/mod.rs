//! Inventories: dated observations of nodes and pods, from a file or from a machine's own cgroups.

mod cgroups;
mod file;
mod problems;
mod sense;
mod shape;

use std::{path::PathBuf, sync::Arc};

use faultline_core::{inventory::Inventory, report::NodeReport};
use jiff::Timestamp;

pub use cgroups::{Cgroups, LABELS_ATTRIBUTE};
pub use problems::{Invalid, Problem};

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
    /// The file was read, and is not an inventory.
    #[error(transparent)]
    Invalid(#[from] Invalid),
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

impl InventoryError {
    /// The error in one line.
    #[must_use]
    pub fn brief(&self) -> String {
        match self {
            Self::Invalid(invalid) => invalid.brief(),
            other => other.to_string(),
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
    stale: Option<Stale>,
}

/// That the inventory cannot be observed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// The first instant at which it could not.
    pub since: Timestamp,
    /// Why it cannot now, in one line.
    pub why: String,
}

impl Observer {
    /// Observes through `provider`; `None`: there is no inventory, and plans are made without one.
    #[must_use]
    pub fn new(provider: Option<Provider>) -> Self {
        Self { provider, ..Self::default() }
    }

    /// Why the last observation failed; `None`: it did not.
    #[must_use]
    pub const fn stale(&self) -> Option<&Stale> {
        self.stale.as_ref()
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
            Some(Provider::Cgroups(cgroups)) => cgroups.observe(now).map(Arc::new),
        };
        match observed {
            Ok(inventory) => {
                self.last = Some(inventory);
                if let Some(Stale { since, .. }) = self.stale.take() {
                    tracing::info!(%since, "the inventory is observed again");
                }
            }
            Err(error) => {
                self.fail(&error, now);
                if self.last.is_none() {
                    return Err(error);
                }
            }
        }
        let mut inventory = self.last.clone();
        if let Some(inventory) = inventory.as_mut().filter(|_| !reports.is_empty()) {
            merge_reports(Arc::make_mut(inventory), reports);
        }
        Ok(inventory)
    }

    /// Keeps why, and says so once: a pass that finds the same has nothing new to tell.
    fn fail(&mut self, error: &InventoryError, now: Timestamp) {
        let why = error.brief();
        if self.stale.as_ref().is_some_and(|stale| stale.why == why) {
            return;
        }
        if self.last.is_some() {
            tracing::warn!(error = %why, "going on with the inventory observed last");
        }
        let since = self.stale.take().map_or(now, |stale| stale.since);
        self.stale = Some(Stale { since, why });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_breaks_leaves_what_was_observed_last_and_says_since_when_and_why() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut observer = Observer::new(Some(Provider::File(file.path().to_owned())));
        let mut observe = |text: &str, second: i64| {
            std::fs::write(file.path(), text).unwrap();
            let observed = observer.observe(Timestamp::from_second(second).unwrap(), &[]);
            let stale = observer.stale().map(|stale| (stale.since.as_second(), stale.why.clone()));
            (observed.map(Option::unwrap), stale)
        };
        let (never, stale) = observe("pods: []", 1);
        assert!(matches!(never, Err(InventoryError::Invalid(_))), "{never:?}");
        assert_eq!(stale.unwrap().0, 1);
        let good = "observedAt: 2026-01-01T00:00:00Z\n";
        let (first, stale) = observe(good, 2);
        assert_eq!(stale, None);
        let (kept, stale) = observe("pods: 1", 3);
        assert_eq!(*kept.unwrap(), *first.as_ref().unwrap().clone());
        let (since, why) = stale.unwrap();
        assert_eq!(since, 3);
        assert!(why.ends_with("(and 1 more)") && !why.contains('\n'), "{why}");
        let (_, stale) = observe("podz: []", 4);
        let (since, other) = stale.unwrap();
        assert!(since == 3 && other != why, "{other}");
        assert_eq!(observe(good, 5).1, None);
    }
}
