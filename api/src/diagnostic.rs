//! What is wrong with a document, where, and what to do about it.

mod code;
mod position;
mod render;

use serde::{Deserialize, Serialize};

pub use code::Code;
pub use position::{LineColumn, Lines, line_col};
pub use render::render;

/// A byte range of a file, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

impl Span {
    /// Whether it covers nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// How bad it is. An error keeps the document from being used; a warning and a note do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, nothing to do.
    Note,
    /// Probably not what was meant.
    Warning,
    /// The document is not used.
    Error,
}

/// One finding about one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Diagnostic {
    /// Which kind of finding.
    pub code: Code,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in lower case, without a full stop.
    pub message: String,
    /// Where in the file; `None` where the file as a whole is meant.
    pub span: Option<Span>,
    /// Other places that explain this one, each with its words.
    pub related: Vec<(Span, String)>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// A finding that keeps the document from being used.
    pub fn error(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span.into(), message.into())
    }

    /// A finding that is probably not what was meant.
    pub fn warning(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span.into(), message.into())
    }

    /// A finding worth knowing.
    pub fn note(code: Code, span: impl Into<Option<Span>>, message: impl Into<String>) -> Self {
        Self::new(Severity::Note, code, span.into(), message.into())
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With one more place and what is there.
    #[must_use]
    pub fn also(mut self, span: Span, what: impl Into<String>) -> Self {
        self.related.push((span, what.into()));
        self
    }

    /// Whether it keeps the document from being used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn new(severity: Severity, code: Code, span: Option<Span>, message: String) -> Self {
        Self { code, severity, message, span, related: Vec::new(), help: None }
    }
}
