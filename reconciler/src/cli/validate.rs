//! `faultline validate`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use faultline_api::{
    Diagnostic, ExperimentId, Severity,
    decode::{Content, Document, FileDocuments, Skipped, decode},
    line_col,
};
use faultline_core::tree::{Fetched, Role};
use jiff::Timestamp;
use serde::Serialize;

use super::{
    CliError, Outcome,
    output::{Format, print},
};
use crate::source::{Directory, Limits};

/// Show every problem of every file, each with line, column and what to do
///
/// Exit codes: 0 fine, also with warnings; 1 at least one error; 2 a path cannot be read.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline validate experiments guardrails
  faultline validate experiments/mount-enomem.yaml
  faultline validate experiments -o json")]
pub(super) struct Validate {
    /// Files, and directories with everything beneath them
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

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
    #[serde(skip)]
    rendered: String,
    /// Where each experiment was first declared.
    #[serde(skip)]
    declared: BTreeMap<ExperimentId, String>,
}

/// One problem.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Found {
    path: String,
    line: Option<u32>,
    column: Option<u32>,
    /// A [`Code`](faultline_api::Code), or one of the three below, which take more than one file to see.
    code: String,
    severity: Severity,
    message: String,
    help: Option<String>,
}

/// The experiment is declared elsewhere too.
const DUPLICATE: &str = "duplicate-experiment";
/// A guardrail's module is not among the files.
const MISSING_MODULE: &str = "missing-module";
/// A file is not read at all.
const REFUSED_FILE: &str = "refused-file";

impl Validate {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let mut validated = Validated::default();
        for path in &self.paths {
            validated.path(path)?;
        }
        print(&validated, self.output, |validated| validated.text())?;
        let wrong = validated.findings.iter().any(|found| found.severity == Severity::Error);
        Ok(if wrong { Outcome::Found } else { Outcome::Fine })
    }
}

impl Validated {
    fn path(&mut self, path: &Path) -> Result<(), CliError> {
        let read = |source| CliError::Read { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(read)?;
        if metadata.is_dir() {
            return self.directory(path);
        }
        // Bounded as a file of a source is.
        let limit = Limits::default().document_bytes;
        if metadata.len() > limit {
            return Err(CliError::Source {
                path: path.to_owned(),
                reason: format!("it is larger than {limit} bytes"),
            });
        }
        self.file(&path.display().to_string(), &fs::read(path).map_err(read)?, &|_| true);
        Ok(())
    }

    fn directory(&mut self, path: &Path) -> Result<(), CliError> {
        // A fetch without a past needs no instant.
        let mut source = Directory::new("validate", Role::Experiments, path.to_owned(), Duration::ZERO);
        let tree = match source.fetch(Timestamp::UNIX_EPOCH) {
            Fetched::Fresh(tree) => tree,
            Fetched::Stale { error: reason, .. } | Fetched::Missing { error: reason, .. } => {
                return Err(CliError::Source { path: path.to_owned(), reason });
            }
        };
        let modules: BTreeSet<&String> = tree.files.keys().filter(|name| name.ends_with(".wasm")).collect();
        for (name, content) in tree.files.iter().filter(|(name, _)| !modules.contains(name)) {
            let shown = path.join(name).display().to_string();
            self.file(&shown, content, &|module| modules.iter().any(|known| *known == module));
        }
        for (name, reason) in &tree.refused {
            let message = format!("the file is not read: {reason}");
            self.error(REFUSED_FILE, &path.join(name).display().to_string(), None, message, None);
        }
        Ok(())
    }

    fn file(&mut self, path: &str, content: &[u8], has_module: &dyn Fn(&str) -> bool) {
        self.files += 1;
        let FileDocuments { documents, diagnostics } = decode(content);
        self.rendered += &faultline_api::render(&diagnostics, path, content, true);
        self.findings.extend(diagnostics.into_iter().map(|diagnostic| found(path, content, diagnostic)));
        for Document { line, content, .. } in documents {
            self.document(path, line, content, has_module);
        }
    }

    fn document(&mut self, path: &str, line: u32, content: Content, has_module: &dyn Fn(&str) -> bool) {
        match content {
            Content::Experiment(experiment) => {
                self.experiments += 1;
                let id = experiment.id;
                match self.declared.get(&id).cloned() {
                    Some(first) => {
                        let help = format!("it is first declared at {first}");
                        let message = format!("the experiment {id} is declared twice");
                        self.error(DUPLICATE, path, Some(line), message, Some(help));
                    }
                    None => drop(self.declared.insert(id, format!("{path}:{line}"))),
                }
            }
            Content::Guardrail(guardrail) => {
                self.guardrails += 1;
                if !has_module(&guardrail.module) {
                    let help = "paths of modules begin at the root of the source".to_owned();
                    let message = format!("there is no module {}", guardrail.module);
                    self.error(MISSING_MODULE, path, Some(line), message, Some(help));
                }
            }
            Content::Skipped(Skipped { api_version, kind, .. }) => {
                let part = |part: Option<String>| part.unwrap_or_else(|| "?".to_owned());
                *self.skipped.entry(format!("{} {}", part(api_version), part(kind))).or_default() += 1;
            }
            Content::Broken(_) => {}
        }
    }

    fn error(&mut self, code: &str, path: &str, line: Option<u32>, message: String, help: Option<String>) {
        let place = line.map_or_else(|| path.to_owned(), |line| format!("{path}:{line}:1"));
        let help_line = help.as_ref().map_or_else(String::new, |help| format!("  = help: {help}\n"));
        self.rendered += &format!("error[{code}]: {message}\n  --> {place}\n{help_line}\n");
        self.findings.push(Found {
            path: path.to_owned(),
            line,
            column: line.map(|_| 1),
            code: code.to_owned(),
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
            let kinds: Vec<_> = self.skipped.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
            text += &format!("skipped, of other kinds: {}\n", kinds.join(", "));
        }
        text
    }
}

fn found(path: &str, content: &[u8], diagnostic: Diagnostic) -> Found {
    let at = diagnostic.span.map(|span| line_col(content, span.start));
    let Diagnostic { code, severity, message, help, span: _, related: _ } = diagnostic;
    let (line, column) = (at.map(|at| at.line), at.map(|at| at.column));
    Found { path: path.to_owned(), line, column, code: code.to_string(), severity, message, help }
}

fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
