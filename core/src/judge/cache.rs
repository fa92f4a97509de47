//! Evaluations by content.

use std::{collections::BTreeMap, mem};

use super::ask::Guard;
use crate::{
    digest::digest_of,
    parse::Declared,
    review::{Evaluation, Inputs, Operation, Undecided},
};

/// Evaluations of documents, by the digest of all that the module gets to read: itself, its settings, the experiment,
/// the operation, and of the document as written and of its source what the module asks for. A revision that a
/// module does not ask for is no reason to ask it again. It never changes a result, it only saves the time of asking
/// again. Bounded: what one pass did not use is forgotten at its end.
#[derive(Debug, Default)]
pub struct VerdictCache {
    known: BTreeMap<[u8; 32], Known>,
    evaluations: u64,
}

#[derive(Debug)]
struct Known {
    evaluation: Evaluation,
    used: bool,
}

impl VerdictCache {
    /// How many evaluations were made because their answer was not known, since the cache was made.
    #[must_use]
    pub const fn evaluations(&self) -> u64 {
        self.evaluations
    }

    /// How many answers it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// The answer of `guard` on a document, known or asked for.
    pub(crate) fn evaluate(
        &mut self,
        guard: &Guard<'_>,
        declared: &Declared,
        operation: Operation,
        ask: impl FnOnce() -> Evaluation,
    ) -> Evaluation {
        let key = key(guard, declared, operation);
        if let Some(known) = self.known.get_mut(&key) {
            known.used = true;
            return known.evaluation.clone();
        }
        self.evaluations += 1;
        let evaluation = ask();
        if is_lasting(&evaluation) {
            self.known.insert(key, Known { evaluation: evaluation.clone(), used: true });
        }
        evaluation
    }

    /// Ends a pass.
    pub(crate) fn forget_unused(&mut self) {
        self.known.retain(|_, known| mem::take(&mut known.used));
    }
}

/// Whether asking again gives the same. A guest that ran out of time may have met a busy machine.
fn is_lasting(evaluation: &Evaluation) -> bool {
    !matches!(evaluation.outcome, Err(Undecided::OutOfBounds(_)))
}

fn key(guard: &Guard<'_>, declared: &Declared, operation: Operation) -> [u8; 32] {
    let Declared { written, source, .. } = declared;
    let Inputs { raw: reads_raw, source: reads_source, active: _ } = guard.inputs;
    let facts = reads_source.then(|| crate::digest::content(&**source));
    digest_of(&[
        guard.module.digest.as_bytes(),
        guard.settings_digest.as_bytes(),
        &written.experiment_digest,
        &[operation as u8],
        if reads_raw { &written.raw_digest } else { &[] },
        facts.as_ref().map_or(&[], |facts| facts),
    ])
}
