//! Evaluations by content.

use std::collections::BTreeMap;

use crate::review::Evaluation;

/// Evaluations by the digest of module, settings and review. Bounded: what a pass did not use is forgotten.
#[derive(Debug, Default)]
pub struct VerdictCache {
    evaluations: BTreeMap<[u8; 32], Evaluation>,
}
