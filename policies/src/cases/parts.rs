//! Parts of a case as files of their own: for a question that is put once.

use std::path::Path;

use faultline_api::{
    Code, Diagnostic, Span,
    decode::{Field, Findings},
    yaml,
};
use faultline_core::review::Admission;
use serde_json::{Map, Value as Json};

use super::{BrokenFile, question, read};

/// Reads the settings of a guardrail from `bytes`, YAML or JSON, which people know as `path`. No document: no settings.
///
/// # Errors
/// Every problem, with its place.
pub fn settings(path: &Path, bytes: &[u8]) -> Result<Json, BrokenFile> {
    let empty = Json::Object(Map::new());
    part(path, bytes, "the settings", |field, findings| match field {
        Some(field) => read::settings(field, findings),
        None => Some(empty),
    })
}

/// Reads what is known once targets are selected from `bytes`: the fields of `admission` in a case.
///
/// # Errors
/// Every problem, with its place.
pub fn admission(path: &Path, bytes: &[u8]) -> Result<Admission, BrokenFile> {
    part(path, bytes, "the admission", |field, findings| match field {
        Some(field) => question::admission(field, findings),
        None => {
            findings.push(Diagnostic::error(Code::EmptyValue, Span::default(), "there is no document"));
            None
        }
    })
}

/// The one document of a file, read by `decode`.
fn part<T>(
    path: &Path,
    bytes: &[u8],
    name: &'static str,
    decode: impl FnOnce(Option<Field<'_>>, &mut Findings) -> Option<T>,
) -> Result<T, BrokenFile> {
    let mut documents = yaml::parse(bytes).into_iter();
    let (first, second) = (documents.next(), documents.next());
    let mut findings = Findings::default();
    if let Some(second) = second {
        let message = "one document is wanted, and this is another";
        findings.push(Diagnostic::error(Code::RefusedFile, second.span, message));
    }
    let root = first.and_then(|document| {
        findings.extend(document.problems);
        findings.extend(document.fatal);
        document.root
    });
    let decoded = if findings.errors() > 0 {
        None
    } else {
        decode(root.as_ref().map(|root| Field::root(name, root)), &mut findings)
    };
    match decoded {
        Some(decoded) if findings.errors() == 0 => Ok(decoded),
        _ => {
            let problems = findings.into_diagnostics().into_iter().filter(Diagnostic::is_error).collect();
            Err(read::broken(path, bytes, problems))
        }
    }
}
