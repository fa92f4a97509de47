//! One tree, file by file and document by document.

use std::{collections::BTreeMap, sync::Arc};

use faultline_api::{
    Content, Document, Experiment, ExperimentId, FileDocuments, Guardrail, Place, Reason, Span, decode,
    decode::Broken as BrokenContent, line_col, render,
};

use super::types::{
    Binding, BoundGuardrail, Broken, Declared, FileFindings, Finding, Module, Parsed, RefusedDocument,
};
use crate::{
    digest::sha256,
    review::SourceFacts,
    tree::{Role, Tree},
};

/// Reads every YAML file of `tree`.
pub(super) fn read_tree(
    tree: &Tree,
    parsed: &mut Parsed,
    candidates: &mut BTreeMap<ExperimentId, Vec<Declared>>,
) {
    let mut reader = Reader { tree, parsed, candidates };
    for (path, error) in &tree.refused {
        reader.unreadable(path, error);
    }
    for (path, bytes) in tree.files.iter().filter(|(path, _)| extension(path).is_some_and(is_yaml)) {
        reader.file(path, bytes);
    }
}

struct Reader<'a> {
    tree: &'a Tree,
    parsed: &'a mut Parsed,
    candidates: &'a mut BTreeMap<ExperimentId, Vec<Declared>>,
}

impl Reader<'_> {
    /// A path that could not be read. It may have been a folder.
    fn unreadable(&mut self, path: &str, error: &str) {
        let place = self.place(path, 1);
        if self.tree.source.role == Role::Platform && extension(path).is_none_or(is_yaml) {
            self.doubt(path, &place, error);
        }
        self.parsed.broken.push(Broken { place, experiment: None, message: error.to_owned() });
    }

    fn file(&mut self, path: &str, bytes: &[u8]) {
        let file = decode(bytes);
        for document in &file.documents {
            self.document(path, document, &file);
        }
        if file.diagnostics.is_empty() {
            return;
        }
        let rendered = render(&file.diagnostics, &format!("{}:{path}", self.tree.source.name), bytes, false);
        let located = file.diagnostics.into_iter().map(|diagnostic| {
            let at = diagnostic.span.map(|span| line_col(bytes, span.start));
            Finding { line: at.map(|at| at.line), column: at.map(|at| at.column), diagnostic }
        });
        let findings = located.collect();
        let source = self.tree.source.name.clone();
        self.parsed.files.push(FileFindings { source, path: path.to_owned(), findings, rendered });
    }

    fn document(&mut self, path: &str, document: &Document, file: &FileDocuments) {
        let place = self.place(path, document.line);
        match (&document.content, self.tree.source.role) {
            (Content::Skipped(other), _) => {
                let part = |text: &Option<String>| text.clone().unwrap_or_else(|| "?".to_owned());
                let kind = format!("{} {}", part(&other.api_version), part(&other.kind));
                *self.parsed.skipped.entry(kind).or_default() += 1;
            }
            (Content::Experiment(experiment), Role::Experiments) => {
                self.experiment(experiment, &document.raw, place);
            }
            (Content::Experiment(experiment), Role::Platform) => {
                self.refuse(
                    place,
                    experiment.id.to_string(),
                    "experiments do not count in a platform source",
                );
            }
            (Content::Guardrail(guardrail), Role::Platform) => self.guardrail(guardrail, place),
            (Content::Guardrail(guardrail), Role::Experiments) => {
                self.refuse(place, guardrail.name.clone(), "guardrails count only in a platform source");
            }
            (Content::Broken(broken), role) => {
                let message = first_error(file, document.span);
                if may_restrict(broken, role) {
                    self.doubt(path, &place, &message);
                }
                self.parsed.broken.push(Broken { place, experiment: identity(broken), message });
            }
        }
    }

    fn experiment(&mut self, experiment: &Experiment, raw: &serde_json::Value, place: Place) {
        let source = SourceFacts {
            name: self.tree.source.name.clone(),
            revision: self.tree.source.revision.clone(),
            author: None,
            verified: false,
        };
        let declared = Declared { experiment: Arc::new(experiment.clone()), raw: raw.clone(), place, source };
        self.candidates.entry(experiment.id.clone()).or_default().push(declared);
    }

    fn guardrail(&mut self, guardrail: &Guardrail, place: Place) {
        let path = &guardrail.module;
        let module = match (self.tree.files.get(path), self.tree.refused.get(path)) {
            (Some(bytes), _) => Ok(Module { digest: sha256(bytes), bytes: Arc::clone(bytes) }),
            (None, Some(error)) => Err(format!("{path}: {error}")),
            (None, None) => Err(format!("{path}: no such file in source {}", self.tree.source.name)),
        };
        let binding = Binding::Bound { guardrail: Arc::new(guardrail.clone()), module };
        self.parsed.guardrails.push(BoundGuardrail { name: guardrail.name.clone(), place, binding });
    }

    /// Something that may restrict experiments and cannot be read: nothing passes it.
    fn doubt(&mut self, path: &str, place: &Place, error: &str) {
        let binding = Binding::Broken { error: error.to_owned() };
        self.parsed.guardrails.push(BoundGuardrail { name: path.to_owned(), place: place.clone(), binding });
    }

    fn refuse(&mut self, place: Place, subject: String, message: &str) {
        let message = message.to_owned();
        self.parsed.refused.push(RefusedDocument { place, subject, reason: Reason::Invalid, message });
    }

    fn place(&self, path: &str, line: u32) -> Place {
        Place { source: self.tree.source.name.clone(), path: path.to_owned(), line }
    }
}

/// Whether what cannot be read may be something that keeps experiments from running. A halt is, wherever it
/// stands.
fn may_restrict(broken: &BrokenContent, role: Role) -> bool {
    match broken {
        BrokenContent::Experiment { .. } => false,
        BrokenContent::NotYet { kind, .. } if kind == "Halt" => true,
        BrokenContent::NotYet { kind, .. } if kind == "Schedule" => false,
        BrokenContent::Guardrail { .. }
        | BrokenContent::NotYet { .. }
        | BrokenContent::Unrecognised { .. } => role == Role::Platform,
    }
}

fn identity(broken: &BrokenContent) -> Option<ExperimentId> {
    match broken {
        BrokenContent::Experiment { id } => id.clone(),
        BrokenContent::Guardrail { .. }
        | BrokenContent::NotYet { .. }
        | BrokenContent::Unrecognised { .. } => None,
    }
}

/// The first error in the document, or in the file where the document itself has none.
fn first_error(file: &FileDocuments, span: Span) -> String {
    let errors = || file.diagnostics.iter().filter(|diagnostic| diagnostic.is_error());
    let inside =
        errors().find(|error| error.span.is_some_and(|at| span.start <= at.start && at.end <= span.end));
    let error = inside.or_else(|| errors().next());
    error.map_or_else(|| "it cannot be read".to_owned(), |error| error.message.clone())
}

fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    name.rsplit_once('.').map(|(_, extension)| extension)
}

fn is_yaml(extension: &str) -> bool {
    extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
}
