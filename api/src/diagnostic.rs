//! What is wrong with a document, where, and what to do about it.

use serde::Serialize;

/// A byte range of a file, end exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset behind the last byte.
    pub end: usize,
}

/// How bad it is. An error keeps the document from being used; a warning and a note do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Diagnostic {
    /// Stable kebab-case identifier such as `unknown-field`; see [`codes`].
    pub code: &'static str,
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
