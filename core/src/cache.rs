//! What one pass leaves for the next.

use crate::{judge::VerdictCache, parse::FileCache};

/// Saves a pass the work that the pass before it did on the same content, and never changes a plan: `plan`, which
/// begins with an empty one, and `run`, which keeps its own, make the same. Bounded by the trees in force.
#[derive(Debug, Default)]
pub struct Cache {
    /// What files say.
    pub files: FileCache,
    /// What guardrails say of documents.
    pub verdicts: VerdictCache,
}
