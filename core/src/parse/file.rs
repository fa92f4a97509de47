//! One tree, file by file and document by document.

use std::{collections::BTreeMap, sync::Arc};

use faultline_api::{
    Experiment, ExperimentId, Guardrail, ModuleRef, Place, Reason, decode::Broken as BrokenContent,
};

use super::{
    cache::{FileCache, SourceCache},
    reading::{Read, ReadContent},
    types::{Binding, BoundGuardrail, Broken, Declared, Module, Parsed, RefusedDocument, Written},
};
use crate::{
    review::SourceFacts,
    tree::{Role, Tree},
};

/// Reads every file of `tree` that holds documents.
pub(super) fn read_tree(
    tree: &Tree,
    cache: &mut FileCache,
    parsed: &mut Parsed,
    candidates: &mut BTreeMap<ExperimentId, Vec<Declared>>,
) {
    let facts = SourceFacts {
        name: tree.source.name.clone(),
        revision: tree.source.revision.clone(),
        author: None,
        verified: false,
    };
    let cache = cache.of(&tree.source.name);
    let mut reader = Reader { tree, facts: Arc::new(facts), cache, parsed, candidates };
    for (path, error) in &tree.refused {
        reader.unreadable(path, error);
    }
    for (path, bytes) in tree.files.iter().filter(|(path, _)| extension(path).is_some_and(holds_documents)) {
        reader.file(path, bytes);
    }
}

struct Reader<'a> {
    tree: &'a Tree,
    facts: Arc<SourceFacts>,
    cache: SourceCache<'a>,
    parsed: &'a mut Parsed,
    candidates: &'a mut BTreeMap<ExperimentId, Vec<Declared>>,
}

impl Reader<'_> {
    /// A path that could not be read. It may have been a folder of guardrails, whatever its name ends in. A module
    /// that is missing is noticed by the guardrails that name it.
    fn unreadable(&mut self, path: &str, error: &str) {
        let place = self.place(path, 1);
        if self.tree.source.role == Role::Platform && extension(path) != Some("wasm") {
            self.doubt(path, &place, error);
        }
        self.parsed.broken.push(Broken { place, experiment: None, message: error.to_owned() });
    }

    fn file(&mut self, path: &str, bytes: &Arc<[u8]>) {
        let reading = self.cache.reading(path, bytes);
        for document in &reading.documents {
            self.document(path, document);
        }
        self.parsed.files.extend(reading.findings.clone());
    }

    fn document(&mut self, path: &str, document: &Read) {
        let place = self.place(path, document.line);
        match (&document.content, self.tree.source.role) {
            (ReadContent::Skipped(kind), _) => match self.parsed.skipped.get_mut(kind) {
                Some(count) => *count += 1,
                None => _ = self.parsed.skipped.insert(kind.clone(), 1),
            },
            (ReadContent::Experiment(experiment, written), Role::Experiments) => {
                self.experiment(experiment, written, place);
            }
            (ReadContent::Experiment(experiment, _), Role::Platform) => {
                self.refuse(
                    place,
                    experiment.id.to_string(),
                    "experiments do not count in a platform source",
                );
            }
            (ReadContent::Guardrail(guardrail), Role::Platform) => self.guardrail(guardrail, place),
            (ReadContent::Guardrail(guardrail), Role::Experiments) => {
                self.refuse(place, guardrail.name.clone(), "guardrails count only in a platform source");
            }
            (ReadContent::Broken(broken, message), role) => {
                if may_restrict(broken, role) {
                    self.doubt(path, &place, message);
                }
                let (experiment, message) = (identity(broken), message.clone());
                self.parsed.broken.push(Broken { place, experiment, message });
            }
        }
    }

    fn experiment(&mut self, experiment: &Arc<Experiment>, written: &Arc<Written>, place: Place) {
        let declared = Declared {
            experiment: Arc::clone(experiment),
            written: Arc::clone(written),
            place,
            source: Arc::clone(&self.facts),
        };
        self.candidates.entry(experiment.id.clone()).or_default().push(declared);
    }

    fn guardrail(&mut self, guardrail: &Arc<Guardrail>, place: Place) {
        let module = match &guardrail.module {
            ModuleRef::Path(path) => self.module(path),
            ModuleRef::Oci(reference) => Err(format!("{reference}: it was not fetched")),
        };
        let binding = Binding::Bound { guardrail: Arc::clone(guardrail), module };
        self.parsed.guardrails.push(BoundGuardrail { name: guardrail.name.clone(), place, binding });
    }

    fn module(&mut self, path: &str) -> Result<Module, String> {
        match (self.tree.files.get(path), self.tree.refused.get(path)) {
            (Some(bytes), _) => Ok(self.cache.module(path, bytes)),
            (None, Some(error)) => Err(format!("{path}: {error}")),
            (None, None) => Err(format!("{path}: no such file in source {}", self.tree.source.name)),
        }
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

fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next()?;
    name.rsplit_once('.').map(|(_, extension)| extension)
}

fn holds_documents(extension: &str) -> bool {
    ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
}
