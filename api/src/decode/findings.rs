//! What the decoder has found so far.

use crate::{Code, Diagnostic, Severity};

/// Most diagnostics per document. Nobody reads more, and a document of a megabyte could have a hundred thousand.
const MOST_PER_DOCUMENT: usize = 100;

/// Most diagnostics per file, for the same reason.
const MOST_PER_FILE: usize = 1000;

/// Collects diagnostics; never stops anything.
#[derive(Debug, Default)]
pub struct Findings {
    kept: Vec<Diagnostic>,
    errors: usize,
    dropped: usize,
}

impl Findings {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.errors += usize::from(diagnostic.severity == Severity::Error);
        if self.kept.len() < MOST_PER_DOCUMENT { self.kept.push(diagnostic) } else { self.dropped += 1 }
    }

    /// Adds all.
    pub fn extend(&mut self, diagnostics: impl IntoIterator<Item = Diagnostic>) {
        diagnostics.into_iter().for_each(|diagnostic| self.push(diagnostic));
    }

    /// How many errors there are, also among those that are not kept.
    pub fn errors(&self) -> usize {
        self.errors
    }

    /// Everything, in the order of the text.
    pub fn into_diagnostics(mut self) -> Vec<Diagnostic> {
        self.kept.sort_by_key(|diagnostic| diagnostic.span);
        if self.dropped > 0 {
            let message = format!("{} more problems of this document are not listed", self.dropped);
            self.kept.push(more(message, &self.kept, self.errors > 0));
        }
        self.kept
    }
}

/// The diagnostics of a file, cut off where they are too many.
pub(super) fn bounded(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    let dropped = diagnostics.len().saturating_sub(MOST_PER_FILE);
    if dropped > 0 {
        let errors = diagnostics.iter().any(Diagnostic::is_error);
        diagnostics.truncate(MOST_PER_FILE);
        let message = format!("{dropped} more problems of this file are not listed");
        diagnostics.push(more(message, &diagnostics, errors));
    }
    diagnostics
}

/// What stands for those that are not listed, at the last one that is.
fn more(message: String, listed: &[Diagnostic], errors: bool) -> Diagnostic {
    let place = listed.last().and_then(|diagnostic| diagnostic.span);
    let severity = if errors { Diagnostic::error } else { Diagnostic::warning };
    severity(Code::TooManyProblems, place, message)
}
