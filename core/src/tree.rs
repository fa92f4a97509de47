//! What a source holds at one revision.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

/// What the documents of a source may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Guardrails, and later windows and halts. Experiments in it are refused.
    Platform,
    /// Experiments, and later halts. Guardrails in it are refused.
    Experiments,
}

/// A source's name, role and revision.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceRef {
    /// Unique name.
    pub name: String,
    /// What its documents may be used for.
    pub role: Role,
    /// `sha256:<hex>` of the content of a directory, later `main@sha1:<hex>` of a repository.
    pub revision: String,
}

/// The files of a source at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tree {
    /// Which source and revision.
    pub source: SourceRef,
    /// Every file by its path relative to the root, `/` between components.
    pub files: BTreeMap<String, Arc<[u8]>>,
    /// Paths that could not be read or may not be, with the reason. They stop only themselves.
    pub refused: BTreeMap<String, String>,
}

/// What a fetch came to. A fetch that failed leaves the last good tree in force for a bounded time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The tree as it is.
    Fresh(Arc<Tree>),
    /// The last good tree, and why there is no newer one.
    Stale {
        /// The last good tree.
        tree: Arc<Tree>,
        /// Why the newest fetch failed.
        error: String,
        /// Whether it has been stale for longer than is allowed: its runs are to be drained.
        expired: bool,
    },
    /// There has never been a good tree.
    Missing {
        /// Name of the source.
        name: String,
        /// Its role.
        role: Role,
        /// Why the newest fetch failed.
        error: String,
    },
}
