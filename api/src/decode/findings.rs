//! What the decoder has found so far.

use crate::{Code, Diagnostic, Severity};

/// Most diagnostics per document. Nobody reads more, and a file of a megabyte could have a hundred thousand.
const MOST_FINDINGS: usize = 100;

/// Collects diagnostics; never stops anything.
#[derive(Debug, Default)]
pub(super) struct Findings {
    kept: Vec<Diagnostic>,
    errors: usize,
    dropped: usize,
}

impl Findings {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if self.kept.len() < MOST_FINDINGS { self.kept.push(diagnostic) } else { self.dropped += 1 }
    }

    pub(super) fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// How many errors there are, also among those that are not kept.
    pub(super) fn errors(&self) -> usize {
        self.errors
    }

    /// Everything, in the order of the text.
    pub(super) fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.kept.sort_by_key(|diagnostic| diagnostic.span);
        if self.dropped > 0 {
            let message = format!("{} more problems of this document are not listed", self.dropped);
            let last = self.kept.last().and_then(|diagnostic| diagnostic.span);
            let severity = if self.errors > 0 { Diagnostic::error } else { Diagnostic::warning };
            self.kept.push(severity(Code::TooManyProblems, last, message));
        }
        self.kept
    }
}
