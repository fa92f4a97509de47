//! Annotations that we act on, and those that others act on and we must not ignore.

use crate::{Code, Diagnostic, experiment::Annotations, yaml::quoted};

use super::{
    fields::{Field, nearest},
    findings::Findings,
    metadata::Scope,
};

const PREFIX: &str = "faultline.dev/";
const KNOWN: [&str; 6] = ["rerun", "shadow", "replace", "owner", "ticket", "expires-at"];
/// How Chaos Mesh is told to pause, today and before it had a domain of its own.
const PAUSE: [&str; 2] = ["experiment.chaos-mesh.org/pause", "experiment.pingcap.com/pause"];

/// Reads the annotations of a document. Every value must be a string, whoever it is for.
pub(super) fn read(field: Field<'_>, scope: Scope, findings: &mut Findings) -> Annotations {
    let mut read = Annotations::default();
    for entry in field.entries(findings).unwrap_or_default() {
        let annotation = Field::of_entry(entry);
        match annotation.name.strip_prefix(PREFIX) {
            Some(key) if scope == Scope::Namespace => ours(key, annotation, &mut read, findings),
            Some(_) => {
                let message = "annotations of ours mean something on experiments only";
                findings.push(Diagnostic::warning(Code::NoEffect, annotation.place, message));
            }
            None => theirs(annotation, findings),
        }
    }
    read
}

fn theirs(annotation: Field<'_>, findings: &mut Findings) {
    let text = annotation.text(findings);
    if PAUSE.contains(&annotation.name) && text != Some("false") {
        findings.push(annotation.not_yet("pausing by annotation"));
    }
}

fn ours(key: &str, annotation: Field<'_>, read: &mut Annotations, findings: &mut Findings) {
    match key {
        "rerun" => read.rerun = annotation.filled_text(findings).map(str::to_owned),
        "owner" => read.owner = annotation.filled_text(findings).map(str::to_owned),
        "ticket" => read.ticket = annotation.filled_text(findings).map(str::to_owned),
        "replace" => read.replace = count(annotation, findings),
        "shadow" => findings.push(annotation.not_yet("shadow runs")),
        "expires-at" => read.expires_at = annotation.instant(findings),
        unknown => {
            let message = format!("there is no annotation {}", quoted(annotation.name));
            let mut diagnostic = Diagnostic::error(Code::UnknownField, annotation.place, message);
            diagnostic.help = Some(match nearest(unknown, KNOWN) {
                Some(known) => format!("did you mean `{PREFIX}{known}`?"),
                None => format!("those under `{PREFIX}` are {}", KNOWN.join(", ")),
            });
            findings.push(diagnostic);
        }
    }
}

/// A number in a string, as values of annotations are.
fn count(annotation: Field<'_>, findings: &mut Findings) -> Option<u32> {
    let Ok(number) = annotation.filled_text(findings)?.parse::<u64>() else {
        findings.push(annotation.wrong_type("a whole number in quotes"));
        return None;
    };
    let number = annotation.in_range(number.into(), 0..=u32::MAX.into(), findings)?;
    u32::try_from(number).ok()
}
