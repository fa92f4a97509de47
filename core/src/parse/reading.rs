//! One file, whatever the revision and the role of the tree that it is in.

use std::sync::Arc;

use faultline_api::{
    Content, Document, Experiment, FileDocuments, Guardrail, Span, decode, decode::Broken as BrokenContent,
    line_col, render,
};

use super::types::{FileFindings, Finding, Written};

/// What a file says.
#[derive(Debug)]
pub(super) struct Reading {
    pub(super) documents: Vec<Read>,
    /// `None`: there is nothing to say about it.
    pub(super) findings: Option<Arc<FileFindings>>,
}

/// One document.
#[derive(Debug)]
pub(super) struct Read {
    /// Of its first key, from 1.
    pub(super) line: u32,
    pub(super) content: ReadContent,
}

/// What a document is.
#[derive(Debug)]
pub(super) enum ReadContent {
    Experiment(Arc<Experiment>, Arc<Written>),
    Guardrail(Arc<Guardrail>),
    /// Of another kind: `apiVersion kind`.
    Skipped(String),
    /// With its first error.
    Broken(BrokenContent, String),
}

/// Reads the file that `source` has at `path`.
pub(super) fn read(source: &str, path: &str, bytes: &[u8]) -> Reading {
    let mut file = decode(bytes);
    let documents = std::mem::take(&mut file.documents);
    let documents = documents.into_iter().map(|document| read_document(document, &file)).collect();
    let findings = (!file.diagnostics.is_empty()).then(|| Arc::new(findings(source, path, bytes, file)));
    Reading { documents, findings }
}

fn read_document(document: Document, file: &FileDocuments) -> Read {
    let Document { span, line, raw, content, frames: _, fault: _ } = document;
    let content = match content {
        Content::Experiment(experiment) => {
            let written = Written::new(&experiment, raw);
            ReadContent::Experiment(Arc::from(experiment), Arc::new(written))
        }
        Content::Guardrail(guardrail) => ReadContent::Guardrail(Arc::from(guardrail)),
        Content::Skipped(other) => {
            let part = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
            ReadContent::Skipped(format!("{} {}", part(other.api_version), part(other.kind)))
        }
        Content::Broken(broken) => ReadContent::Broken(broken, first_error(file, span)),
    };
    Read { line, content }
}

fn findings(source: &str, path: &str, bytes: &[u8], file: FileDocuments) -> FileFindings {
    let rendered = render(&file.diagnostics, &format!("{source}:{path}"), bytes, false);
    let located = file.diagnostics.into_iter().map(|diagnostic| {
        let at = diagnostic.span.map(|span| line_col(bytes, span.start));
        Finding { line: at.map(|at| at.line), column: at.map(|at| at.column), diagnostic }
    });
    let findings = located.collect();
    FileFindings { source: source.to_owned(), path: path.to_owned(), findings, rendered }
}

/// The first error in the document, or in the file where the document itself has none.
fn first_error(file: &FileDocuments, span: Span) -> String {
    let errors = || file.diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
    let inside =
        errors().find(|error| error.span.is_some_and(|at| span.start <= at.start && at.end <= span.end));
    let error = inside.or_else(|| errors().next());
    error.map_or_else(|| "it cannot be read".to_owned(), |error| error.message.clone())
}
