//! From the files of a folder to cases.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use faultline_api::{
    Code, Diagnostic, Lines,
    decode::{Field, Findings},
    line_col, render,
    yaml::{self, YamlDocument},
};
use faultline_core::parse::Finding;
use serde_json::{Map, Value as Json};

use super::{BrokenFile, Case, Cases, Expected, LoadError, expected::expected, question};

/// The files in `folder` that hold cases, by name.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, LoadError> {
    let failed = |source| LoadError::Read { path: folder.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("yaml" | "yml" | "json")) && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Reads one file into `cases`.
pub(super) fn file(path: &Path, cases: &mut Cases) -> Result<(), LoadError> {
    let bytes = bounded(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
    let mut problems = Vec::new();
    for document in yaml::parse(&bytes) {
        let mut findings = Findings::default();
        let case = document_of(document, path, &bytes, &mut findings);
        cases.cases.extend(case.filter(|_| findings.errors() == 0));
        problems.extend(findings.into_diagnostics().into_iter().filter(Diagnostic::is_error));
    }
    if !problems.is_empty() {
        cases.broken.push(broken(path, &bytes, problems));
    }
    Ok(())
}

/// As much of a file as the parser accepts, and a byte more, by which it knows that there is too much.
pub(super) fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(yaml::MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

pub(super) fn broken(path: &Path, bytes: &[u8], problems: Vec<Diagnostic>) -> BrokenFile {
    let rendered = render(&problems, &path.display().to_string(), bytes, false);
    let located = problems.into_iter().map(|diagnostic| {
        let at = diagnostic.span.map(|span| line_col(bytes, span.start));
        Finding { line: at.map(|at| at.line), column: at.map(|at| at.column), diagnostic }
    });
    BrokenFile { path: path.to_owned(), problems: located.collect(), rendered }
}

fn document_of(document: YamlDocument, path: &Path, bytes: &[u8], findings: &mut Findings) -> Option<Case> {
    let YamlDocument { span: _, root, fatal, problems } = document;
    findings.extend(problems);
    let unreadable = fatal.is_some();
    findings.extend(fatal);
    let root = root.filter(|_| !unreadable)?;
    let root = Field::root("the case", &root);
    let line = Lines::new(bytes).line(root.place.start);
    let mut fields = root.fields(findings)?;
    let name = fields.require("case", findings).and_then(|name| name.filled_text(findings));
    let settings = fields.take_quietly("settings").map_or_else(
        // As a guardrail that gives none.
        || Some(Json::Object(Map::new())),
        |field| settings(field, findings),
    );
    let expected = fields.require("expect", findings).and_then(|expect| expected(expect, findings));
    // Where settings are not valid, nothing is asked.
    let needless = matches!(expected, Some(Expected::InvalidSettings(_)));
    let review = question::review(&mut fields, path, bytes, needless, findings);
    fields.finish(findings);
    Some(Case {
        name: name?.to_owned(),
        path: path.to_owned(),
        line,
        settings: settings?,
        review,
        expected: expected?,
    })
}

/// Settings are the module's own business, as long as JSON can hold them.
pub(super) fn settings(field: Field<'_>, findings: &mut Findings) -> Option<Json> {
    if let Some(node) = field.node.first_without_json() {
        let message = "JSON has no such number, and modules get their settings as JSON";
        findings.push(Diagnostic::error(Code::UnsupportedYaml, node.span, message).help("put it in quotes"));
        return None;
    }
    Some(field.node.to_json())
}
