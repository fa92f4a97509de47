//! From the bytes of a file to documents: every problem at once, and no document that takes another one with it.

mod annotations;
mod call_chain;
mod exceptions;
mod fields;
mod findings;
mod guardrail;
mod kernel_chaos;
mod kind;
mod metadata;
mod mode;
mod module;
mod names;
mod predicate;
mod request;
mod selector;
mod values;

use serde_json::Value as Json;

use crate::{
    Code, Diagnostic, Experiment, ExperimentId, Guardrail, Lines, Severity, Span,
    yaml::{self, Node, YamlDocument},
};

use kernel_chaos::Places;
use kind::Recognised;

pub use call_chain::FramePlace;
pub use fields::{Field, Fields};
pub use findings::Findings;
pub use metadata::SET_BY_THE_SERVER;
pub use predicate::PredicatePlace;

/// What a file holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileDocuments {
    /// Its documents, in order; the items of a `List` count as documents, and empty documents do not.
    pub documents: Vec<Document>,
    /// Everything found, in the order of the documents and within each in the order of the text.
    pub diagnostics: Vec<Diagnostic>,
}

/// One document of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it is written.
    pub span: Span,
    /// Line of its first key, from 1.
    pub line: u32,
    /// What was written, as JSON; of a document that could not be read to its end, what came before. Null for one
    /// that is skipped: it may hold secrets, and they are none of our business.
    pub raw: Json,
    /// What it is.
    pub content: Content,
    /// Where the functions of an experiment's call chain are written, that of the target function last and only where
    /// the document says something of it; of a broken experiment, those that can be read. Empty for every other document.
    pub frames: Vec<FramePlace>,
    /// Where an experiment says what fails, as far as that can be read.
    pub fault: Option<Span>,
}

/// What a document is.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A valid experiment.
    Experiment(Box<Experiment>),
    /// A guardrail that is in force. Errors in its `match`, `exclude` or `exceptions` are reported, and it then
    /// matches everything, excludes nothing and makes no exception.
    Guardrail(Box<Guardrail>),
    /// Not a document of ours.
    Skipped(Skipped),
    /// Surely or possibly a document of ours, and not usable.
    Broken(Broken),
}

/// What little is read of a document of another kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// `apiVersion`, where it has one.
    pub api_version: Option<String>,
    /// `kind`, where it has one.
    pub kind: Option<String>,
    /// `metadata.name`, where it has one.
    pub name: Option<String>,
}

/// A document with errors: what it was meant to be, and whose it is as far as that can still be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// An experiment. It is not gone: a run of it is to be held.
    Experiment {
        /// Which, where its name and namespace are readable.
        id: Option<ExperimentId>,
    },
    /// A guardrail. What it would have said is unknown, so nothing passes it.
    Guardrail {
        /// Its name, where it is readable.
        name: Option<String>,
    },
    /// A kind that this version does not serve yet: `Schedule` of `KernelChaos`, `Window`, `Halt`.
    NotYet {
        /// Its kind.
        kind: String,
        /// Namespace and name, where they are readable.
        id: Option<(String, String)>,
    },
    /// Not even its kind is certain; it may have been any of the above.
    Unrecognised {
        /// `kind`, where it has one.
        kind: Option<String>,
        /// `metadata.name`, where it is readable.
        name: Option<String>,
    },
}

impl FileDocuments {
    /// Whether anything in the file is wrong.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.diagnostics.iter().any(Diagnostic::is_error)
    }
}

/// Reads a file. Total: whatever the bytes, every document comes out, and whatever is wrong is a diagnostic.
/// The same bytes give the same result. JSON is YAML, so JSON files are read too.
#[must_use]
pub fn decode(source: impl AsRef<[u8]>) -> FileDocuments {
    let source = source.as_ref();
    let lines = Lines::new(source);
    let mut file = FileDocuments::default();
    for document in yaml::parse(source) {
        decode_document(document, source, &lines, &mut file);
    }
    file.diagnostics = findings::bounded(file.diagnostics);
    file
}

/// Reads an experiment that stands inside another document of ours, such as a guardrail's case, as if it stood alone.
/// `source` is the text of the whole file. `None` where anything of it is wrong.
#[must_use]
pub fn inner_experiment(field: Field<'_>, source: &[u8], findings: &mut Findings) -> Option<Experiment> {
    let errors_before = findings.errors();
    let Recognised::KernelChaos { dialect, problem } = kind::recognise(field.node) else {
        findings.push(field.wrong_type("a whole KernelChaos document"));
        return None;
    };
    findings.extend(problem);
    let root = Field { name: "the document", ..Field::root(field.name, field.node) };
    let (experiment, _) = kernel_chaos::experiment(root, dialect, source, findings);
    experiment.filter(|_| findings.errors() == errors_before)
}

fn decode_document(document: YamlDocument, source: &[u8], lines: &Lines<'_>, file: &mut FileDocuments) {
    let YamlDocument { span, root, fatal, problems } = document;
    let Some(root) = root else {
        file.diagnostics.extend(fatal);
        let content = Content::Broken(Broken::Unrecognised { kind: None, name: None });
        let Places { frames, fault } = Places::default();
        let line = lines.line(span.start);
        file.documents.push(Document { span, line, raw: Json::Null, content, frames, fault });
        return;
    };
    let mut findings = Findings::default();
    let roots = kind::items_of_list(&root).unwrap_or_else(|| vec![&root]);
    let recognised: Vec<_> = roots.into_iter().map(|root| (root, kind::recognise(root))).collect();
    let foreign = recognised.iter().all(|(_, recognised)| matches!(recognised, Recognised::Foreign));
    if !foreign {
        findings.extend(problems);
    }
    let readable = fatal.is_none() && findings.errors() == 0;
    let complete = fatal.is_none();
    findings.extend(fatal.map(|fatal| if foreign && has_kind(&root) { of_no_concern(fatal) } else { fatal }));
    for (root, recognised) in recognised {
        let (content, places) = if complete {
            decode_root(root, recognised, readable, source, &mut findings)
        } else {
            (partial(root, recognised), Places::default())
        };
        let Places { frames, fault } = places;
        let line = lines.line(Field::root("", root).place.start);
        let raw = if matches!(content, Content::Skipped(_)) { Json::Null } else { root.to_json() };
        file.documents.push(Document { span: root.span, line, raw, content, frames, fault });
    }
    file.diagnostics.extend(findings.into_diagnostics());
}

/// Decodes one complete document. `usable` is whether nothing was wrong with its YAML.
fn decode_root(
    root: &Node,
    recognised: Recognised,
    usable: bool,
    source: &[u8],
    findings: &mut Findings,
) -> (Content, Places) {
    let errors_before = findings.errors();
    let content = match recognised {
        Recognised::Foreign => {
            findings.extend(kind::kernel_chaos_in_workflow(root));
            Content::Skipped(skipped(root))
        }
        Recognised::KernelChaos { dialect, problem } => {
            findings.extend(problem);
            let field = Field::root("the document", root);
            let (experiment, places) = kernel_chaos::experiment(field, dialect, source, findings);
            let content = match experiment.filter(|_| usable && findings.errors() == errors_before) {
                Some(experiment) => Content::Experiment(Box::new(experiment)),
                None => Content::Broken(Broken::Experiment { id: metadata::experiment_id(root) }),
            };
            return (content, places);
        }
        Recognised::Guardrail { problem } => {
            findings.extend(problem);
            let usable = usable && findings.errors() == errors_before;
            let guardrail = guardrail::guardrail(Field::root("the document", root), findings);
            match guardrail.filter(|_| usable) {
                Some(guardrail) => Content::Guardrail(Box::new(guardrail)),
                None => Content::Broken(Broken::Guardrail { name: metadata::name(root) }),
            }
        }
        Recognised::NotYet { kind } => {
            let place = root.get("kind").map_or(root.span, |kind| kind.span);
            let message = format!("`{kind}` is understood, but not supported by this version yet");
            findings.push(Diagnostic::error(Code::NotSupportedYet, place, message));
            kernel_chaos::nested(root, source, findings);
            Content::Broken(Broken::NotYet { kind, id: metadata::namespaced_name(root) })
        }
        Recognised::Unclear { problem } => {
            findings.push(problem);
            Content::Broken(unrecognised(root))
        }
    };
    (content, Places::default())
}

/// What a document is whose end could not be read. What is missing in it is not its fault, so nothing is decoded.
fn partial(root: &Node, recognised: Recognised) -> Content {
    Content::Broken(match recognised {
        Recognised::Foreign if has_kind(root) => return Content::Skipped(skipped(root)),
        Recognised::KernelChaos { .. } => Broken::Experiment { id: metadata::experiment_id(root) },
        Recognised::Guardrail { .. } => Broken::Guardrail { name: metadata::name(root) },
        Recognised::NotYet { kind } => Broken::NotYet { kind, id: metadata::namespaced_name(root) },
        Recognised::Foreign | Recognised::Unclear { .. } => unrecognised(root),
    })
}

fn unrecognised(root: &Node) -> Broken {
    Broken::Unrecognised { kind: text_of(root, "kind"), name: metadata::name(root) }
}

fn skipped(root: &Node) -> Skipped {
    let name = root.get("metadata").and_then(|metadata| text_of(metadata, "name"));
    Skipped { api_version: text_of(root, "apiVersion"), kind: text_of(root, "kind"), name }
}

fn has_kind(root: &Node) -> bool {
    text_of(root, "kind").is_some() && text_of(root, "apiVersion").is_some()
}

fn text_of(node: &Node, key: &str) -> Option<String> {
    node.get(key).and_then(Node::as_text).map(str::to_owned)
}

/// A document of another kind may be broken as it likes, once that is certain.
fn of_no_concern(fatal: Diagnostic) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..fatal }
}
