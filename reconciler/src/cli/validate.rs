//! `faultline validate`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use clap::Args;
use faultline_api::{
    Code, Diagnostic, ExperimentId, Guardrail, ModuleRef, OciReference, Severity,
    decode::{Content, Document, FileDocuments, Skipped, decode},
    line_col,
    yaml::visible,
};
use faultline_core::{
    review::Evaluator as _,
    tree::{Fetched, Role},
};
use faultline_policies::Host;
use jiff::Timestamp;
use serde::Serialize;

use super::{
    CliError, Outcome,
    kernel::Kernel,
    output::{Format, print},
    plan::host,
    registries::RegistryArgs,
};
use crate::{
    bounded::read_at_most,
    modules::{AtOnce, Modules as _},
    source::{Directory, Limits},
};

/// Show every problem of every file, each with line, column and what to do
///
/// With --btf, call chains are checked against a kernel, too: whether it has their functions and the one that
/// fails, whether predicates fit their parameters and its types, and whether any is the same for every call.
///
/// Modules that guardrails name in a registry are fetched, or taken from where they were kept, and looked at, too.
///
/// Exit codes: 0 fine, also with warnings; 1 at least one error; 2 a path cannot be read, or a module is not to be had.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline validate experiments guardrails
  faultline validate experiments/mount-enomem.yaml
  faultline validate experiments --btf /sys/kernel/btf/vmlinux
  faultline validate experiments --btf vmlinux.btf --btf nf_conntrack.btf
  faultline validate experiments -o json
  git show HEAD:experiments/mount-enomem.yaml | faultline validate -")]
pub(super) struct Validate {
    /// Files, and directories with everything beneath them; `-` for standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Check call chains against the kernel with these types: a copy of its /sys/kernel/btf/vmlinux; with functions of
    /// modules, copies of theirs too, each under its module's name
    #[arg(long, value_name = "FILE")]
    btf: Vec<PathBuf>,
    #[command(flatten)]
    registries: RegistryArgs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// Standard input among the paths, and among the findings.
const STANDARD_INPUT: (&str, &str) = ("-", "<stdin>");

/// What was found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Validated {
    files: usize,
    experiments: usize,
    guardrails: usize,
    /// Documents of other kinds, counted by `apiVersion kind`.
    skipped: BTreeMap<String, u32>,
    findings: Vec<Found>,
    /// Paths that could not be read, with the reason.
    unreadable: BTreeMap<String, String>,
    #[serde(skip)]
    rendered: String,
    /// Where each experiment was first declared.
    #[serde(skip)]
    declared: BTreeMap<ExperimentId, String>,
    /// What was read, by its real path: naming a file twice does not declare anything twice.
    #[serde(skip)]
    seen: BTreeSet<PathBuf>,
    /// Runs modules; made for the first that is met.
    #[serde(skip)]
    host: Option<Host>,
    /// What call chains are checked against.
    #[serde(skip)]
    kernel: Option<Kernel>,
    /// Gets modules from registries.
    #[serde(skip)]
    modules: AtOnce,
}

/// What a guardrail's module is, by its path in the source.
type FindModule<'m> = dyn Fn(&str) -> Module + 'm;

/// A guardrail's module.
enum Module {
    /// Its bytes.
    There(Arc<[u8]>),
    /// It is not among the files of its source.
    Missing,
    /// The source's root is not known, or a registry does not serve it, so nobody can tell.
    Unknown,
}

/// One problem of one file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Found {
    path: String,
    line: Option<u32>,
    column: Option<u32>,
    code: Code,
    severity: Severity,
    message: String,
    help: Option<String>,
}

impl Found {
    /// Whether it keeps the document from being used.
    pub(super) fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl Validate {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { paths, btf, registries, output } = self;
        let kernel = (!btf.is_empty()).then(|| Kernel::read(&btf)).transpose()?;
        let modules = AtOnce::new(registries.store_of_the_user());
        let mut validated = Validated { kernel, modules, ..Validated::default() };
        for path in &paths {
            if let Err(error) = validated.path(path)? {
                validated.unreadable.insert(path.display().to_string(), error);
            }
        }
        // Where there was nothing to look at, the reason is all there is to say.
        if output != Format::Text || validated.files > 0 || !validated.findings.is_empty() {
            print(&validated, output, |validated| validated.text())?;
        }
        if !validated.unreadable.is_empty() {
            return Err(CliError::Unreadable(validated.unreadable));
        }
        let wrong = validated.findings.iter().any(Found::is_error);
        Ok(if wrong { Outcome::Found } else { Outcome::Fine })
    }
}

impl Validated {
    /// Reads a file or a directory; the inner error is the reason why it cannot be.
    fn path(&mut self, path: &Path) -> Result<Result<(), String>, CliError> {
        let (input, shown) = STANDARD_INPUT;
        if path == Path::new(input) {
            return self.bounded(Path::new(shown), Ok(std::io::stdin()));
        }
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return Ok(Err(error.to_string())),
        };
        if metadata.is_dir() {
            return self.directory(path);
        }
        if !metadata.is_file() {
            return Ok(Err("it is neither a file nor a directory".to_owned()));
        }
        self.bounded(path, fs::File::open(path))
    }

    /// One file, bounded as a file of a source is.
    fn bounded(
        &mut self,
        path: &Path,
        file: std::io::Result<impl Read>,
    ) -> Result<Result<(), String>, CliError> {
        let limit = Limits::default().document_bytes;
        match file.and_then(|file| read_at_most(file, limit)) {
            Ok(Some(content)) => self.file(path, &content, &|_| Module::Unknown)?,
            Ok(None) => self.refused(path, &format!("it is larger than {limit} bytes")),
            Err(error) => return Ok(Err(error.to_string())),
        }
        Ok(Ok(()))
    }

    fn directory(&mut self, path: &Path) -> Result<Result<(), String>, CliError> {
        // A fetch without a past needs no instant.
        let mut source = Directory::new("validate", Role::Experiments, path.to_owned(), Duration::ZERO);
        let tree = match source.fetch(Timestamp::UNIX_EPOCH) {
            Fetched::Fresh(tree) => tree,
            Fetched::Stale { error, .. } | Fetched::Missing { error, .. } => return Ok(Err(error)),
        };
        let find = |name: &str| {
            tree.files.get(name).map_or(Module::Missing, |bytes| Module::There(Arc::clone(bytes)))
        };
        for (name, content) in tree.files.iter().filter(|(name, _)| !name.ends_with(".wasm")) {
            self.file(&path.join(name), content, &find)?;
        }
        for (name, reason) in &tree.refused {
            self.refused(&path.join(name), reason);
        }
        Ok(Ok(()))
    }

    fn refused(&mut self, path: &Path, reason: &str) {
        let message = format!("the file is not read: {reason}");
        self.error(Code::RefusedFile, &path.display().to_string(), None, message, None);
    }

    fn file(&mut self, path: &Path, content: &[u8], find: &FindModule<'_>) -> Result<(), CliError> {
        // One that is gone by now was not named twice.
        if fs::canonicalize(path).is_ok_and(|real| !self.seen.insert(real)) {
            return Ok(());
        }
        let path = path.display().to_string();
        let path = path.as_str();
        self.files += 1;
        let FileDocuments { documents, mut diagnostics } = decode(content);
        if let Some(kernel) = &self.kernel {
            diagnostics.extend(documents.iter().flat_map(|document| kernel.problems(document)));
        }
        diagnostics.sort_by_key(|diagnostic| diagnostic.span);
        self.rendered += &faultline_api::render(&diagnostics, path, content, true);
        self.findings.extend(diagnostics.into_iter().map(|diagnostic| found(path, content, diagnostic)));
        for Document { line, content, .. } in documents {
            self.document(path, line, content, find)?;
        }
        Ok(())
    }

    fn document(
        &mut self,
        path: &str,
        line: u32,
        content: Content,
        find: &FindModule<'_>,
    ) -> Result<(), CliError> {
        match content {
            Content::Experiment(experiment) => {
                self.experiments += 1;
                let id = experiment.id;
                match self.declared.get(&id).cloned() {
                    Some(first) => {
                        let help = format!("it is first declared at {first}");
                        let message = format!("the experiment {id} is declared twice");
                        self.error(Code::DuplicateExperiment, path, Some(line), message, Some(help));
                    }
                    None => drop(self.declared.insert(id, format!("{path}:{line}"))),
                }
            }
            Content::Guardrail(guardrail) => {
                self.guardrails += 1;
                let module = match &guardrail.module {
                    ModuleRef::Path(path) => find(path),
                    ModuleRef::Oci(reference) => self.fetched(reference),
                };
                self.guardrail(path, line, &guardrail, module)?;
            }
            Content::Skipped(Skipped { api_version, kind, .. }) => {
                let part = |part: Option<String>| part.unwrap_or_else(|| "?".to_owned());
                *self.skipped.entry(format!("{} {}", part(api_version), part(kind))).or_default() += 1;
            }
            Content::Broken(_) => {}
        }
        Ok(())
    }

    /// A module from a registry. One that is not to be had may be right or wrong.
    fn fetched(&mut self, reference: &OciReference) -> Module {
        match self.modules.obtain(&[reference.clone()].into()).remove(reference) {
            Some(Ok(module)) => Module::There(module.bytes),
            Some(Err(why)) => {
                self.unreadable.insert(reference.to_string(), why);
                Module::Unknown
            }
            None => Module::Unknown,
        }
    }

    /// Has the module look at its settings, as a pass would before it asks about the first experiment.
    fn guardrail(
        &mut self,
        path: &str,
        line: u32,
        guardrail: &Guardrail,
        module: Module,
    ) -> Result<(), CliError> {
        let name = &guardrail.module;
        match module {
            Module::Unknown => {}
            Module::Missing => {
                let help = "paths of modules begin at the root of the source".to_owned();
                self.error(
                    Code::MissingModule,
                    path,
                    Some(line),
                    format!("there is no module {name}"),
                    Some(help),
                );
            }
            Module::There(bytes) => {
                let host = match self.host.take() {
                    Some(host) => host,
                    None => host()?,
                };
                if let Err(why) = self.host.insert(host).check(&bytes, &guardrail.settings) {
                    let message = format!("guardrail {} cannot be asked: {name}: {why}", guardrail.name);
                    let help = "until it can be, every experiment that it matches is held back".to_owned();
                    self.error(Code::UnusableGuardrail, path, Some(line), message, Some(help));
                }
            }
        }
        Ok(())
    }

    fn error(&mut self, code: Code, path: &str, line: Option<u32>, message: String, help: Option<String>) {
        let place = line.map_or_else(|| path.to_owned(), |line| format!("{path}:{line}:1"));
        let help_line =
            help.as_ref().map_or_else(String::new, |help| format!("  = help: {}\n", visible(help)));
        let text = format!("error[{code}]: {}\n  --> {}\n", visible(&message), visible(&place));
        self.rendered += &(text + &help_line + "\n");
        self.findings.push(Found {
            path: path.to_owned(),
            line,
            column: line.map(|_| 1),
            code,
            severity: Severity::Error,
            message,
            help,
        });
    }

    fn text(&self) -> String {
        let count = |severity| self.findings.iter().filter(|found| found.severity == severity).count();
        let mut text = self.rendered.clone();
        text += &format!(
            "{}: {}, {}; {}, {}\n",
            many(self.files, "file"),
            many(self.experiments, "experiment"),
            many(self.guardrails, "guardrail"),
            many(count(Severity::Error), "error"),
            many(count(Severity::Warning), "warning"),
        );
        if !self.skipped.is_empty() {
            let kinds: Vec<_> =
                self.skipped.iter().map(|(kind, count)| format!("{count} {}", visible(kind))).collect();
            text += &format!("skipped, of other kinds: {}\n", kinds.join(", "));
        }
        text
    }
}

/// What was found in a file, with its place in lines and columns.
pub(super) fn found(path: &str, content: &[u8], diagnostic: Diagnostic) -> Found {
    let at = diagnostic.span.map(|span| line_col(content, span.start));
    let Diagnostic { code, severity, message, help, span: _, related: _ } = diagnostic;
    let (line, column) = (at.map(|at| at.line), at.map(|at| at.column));
    Found { path: path.to_owned(), line, column, code, severity, message, help }
}

fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
