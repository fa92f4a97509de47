//! `spec.module` of a guardrail: a path beneath the root of its source, or a manifest in a registry by its digest.

use crate::{Code, Diagnostic, OciReference, module::ModuleRef, yaml::quoted};

use super::{fields::Field, findings::Findings};

/// Reads exactly one of the two.
pub(super) fn module(field: Field<'_>, findings: &mut Findings) -> Option<ModuleRef> {
    let mut fields = field.fields(findings)?;
    let oci = fields.take("oci", findings);
    let path =
        if fields.has("oci") { fields.take("path", findings) } else { fields.require("path", findings) };
    fields.finish(findings);
    match (path, oci) {
        (Some(path), None) => module_path(path, findings).map(ModuleRef::Path),
        (None, Some(oci)) => reference(oci, findings).map(ModuleRef::Oci),
        (Some(_), Some(oci)) => {
            let message = "`module` takes `path` or `oci`, and these are both";
            findings.push(Diagnostic::error(Code::ConflictingFields, oci.place, message));
            None
        }
        (None, None) => None,
    }
}

/// A path beneath the root of the source.
fn module_path(field: Field<'_>, findings: &mut Findings) -> Option<String> {
    let path = field.filled_text(findings)?;
    let reason = if path.starts_with('/') {
        "it is absolute"
    } else if path.contains(['\\', '\0']) {
        "it has a backslash or a zero in it"
    } else if path.split('/').any(|part| part == "..") {
        "it has `..` in it"
    } else if path.split('/').any(|part| part.is_empty() || part == ".") {
        "it has an empty part or a `.` in it"
    } else {
        return Some(path.to_owned());
    };
    let message = format!("{} is not a path beneath the root of the source: {reason}", quoted(path));
    findings.push(Diagnostic::error(Code::InvalidPath, field.node.span, message));
    None
}

/// A manifest in a registry, by its digest.
fn reference(field: Field<'_>, findings: &mut Findings) -> Option<OciReference> {
    let text = field.filled_text(findings)?;
    let error = match text.parse() {
        Ok(reference) => return Some(reference),
        Err(error) => error,
    };
    let message = format!("{} names no module in a registry: {error}", quoted(text));
    let mut diagnostic = Diagnostic::error(Code::InvalidReference, field.node.span, message);
    diagnostic.help = crate::module::ReferenceError::help(&error);
    findings.push(diagnostic);
    None
}
