//! Names: which experiment, and where it was written.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kinds of document that can hold an experiment. The API group is normalised away:
/// `chaos-mesh.org`, `pingcap.com` and `faultline.dev` name the same experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A `KernelChaos` document.
    KernelChaos,
}

/// Which experiment: not a path and not a source, so that moving a file changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ExperimentId {
    /// The document's kind.
    pub kind: Kind,
    /// `metadata.namespace`, `default` where it is omitted.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Where a document was written. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Name of the source.
    pub source: String,
    /// Path of the file, relative to the source's root, with `/`.
    pub path: String,
    /// Line of the document's first key.
    pub line: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.source, self.path, self.line)
    }
}
