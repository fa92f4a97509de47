//! Evaluations by content.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use crate::{
    digest::json,
    parse::Module,
    review::{Evaluation, Evaluator, Review, Undecided},
};

/// Evaluations by the digest of module, settings and review. It never changes a result, it only saves the
/// time of asking again. Bounded: what one pass did not use is forgotten at its end.
#[derive(Debug, Default)]
pub struct VerdictCache {
    known: BTreeMap<[u8; 32], Evaluation>,
    used: BTreeMap<[u8; 32], Evaluation>,
    hits: u64,
}

impl VerdictCache {
    /// How many evaluations were not made because their answer was known, since the cache was made.
    #[must_use]
    pub const fn hits(&self) -> u64 {
        self.hits
    }

    /// The answer, known or asked for.
    pub(crate) fn evaluate(
        &mut self,
        evaluator: &dyn Evaluator,
        module: &Module,
        settings: &serde_json::Value,
        review: &Review,
    ) -> Evaluation {
        let key = key(module, settings, review);
        if let Some(known) = self.used.get(&key).cloned().or_else(|| self.known.remove(&key)) {
            self.hits += 1;
            self.used.insert(key, known.clone());
            return known;
        }
        let evaluation = evaluator.evaluate(&module.bytes, settings, review);
        if is_lasting(&evaluation) {
            self.used.insert(key, evaluation.clone());
        }
        evaluation
    }

    /// Ends a pass.
    pub(crate) fn forget_unused(&mut self) {
        self.known = std::mem::take(&mut self.used);
    }
}

/// Whether asking again gives the same. A guest that ran out of time may have met a busy machine.
fn is_lasting(evaluation: &Evaluation) -> bool {
    !matches!(evaluation.outcome, Err(Undecided::OutOfBounds(_)))
}

fn key(module: &Module, settings: &serde_json::Value, review: &Review) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in [&module.digest, &json(settings), &json(review)] {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}
