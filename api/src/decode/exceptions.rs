//! `exceptions`: leave from a guardrail, for a while.
//!
//! One that cannot be read is none: the guardrail then holds where it was not meant to, which is the safe side.

use crate::{Code, Diagnostic, guardrail::Exception, yaml::quoted};

use super::{fields::Field, findings::Findings, names};

/// The usable ones.
pub(super) fn read(field: Field<'_>, findings: &mut Findings) -> Vec<Exception> {
    if field.node.is_null() {
        let message = format!("`{}` has no value", field.name);
        findings.push(Diagnostic::error(Code::EmptyValue, field.place, message));
        return Vec::new();
    }
    let items = field.items(findings).unwrap_or_default();
    items.into_iter().filter_map(|item| exception(item, findings)).collect()
}

fn exception(item: Field<'_>, findings: &mut Findings) -> Option<Exception> {
    let errors_before = findings.errors();
    let mut fields = Field { name: "an exception", ..item }.fields(findings)?;
    let experiments = fields.require("experiments", findings).map(|field| patterns(field, findings));
    let expires_at = fields.require("expiresAt", findings).and_then(|field| field.instant(findings));
    let reason = fields.require("reason", findings).and_then(|field| field.filled_text(findings));
    let ticket = fields.take("ticket", findings).and_then(|field| field.filled_text(findings));
    fields.finish(findings);
    let exception = Exception {
        experiments: experiments?,
        expires_at: expires_at?,
        reason: reason?.to_owned(),
        ticket: ticket.map(str::to_owned),
    };
    (findings.errors() == errors_before).then_some(exception)
}

/// Globs over names of experiments.
fn patterns(field: Field<'_>, findings: &mut Findings) -> Vec<String> {
    let mut patterns = Vec::new();
    for item in field.items(findings).unwrap_or_default() {
        let Some(pattern) = item.filled_text(findings) else { continue };
        if let Some(reason) = pattern_error(pattern) {
            let message = format!("{} matches no experiment: {reason}", quoted(pattern));
            let help = "write it as namespace/name, where `*` and `?` stand for other characters";
            findings.push(Diagnostic::error(Code::InvalidGlob, item.node.span, message).help(help));
        }
        patterns.push(pattern.to_owned());
    }
    if patterns.is_empty() {
        let message = format!("`{}` names no experiment", field.name);
        findings.push(Diagnostic::error(Code::EmptyValue, field.place, message));
    }
    patterns
}

fn pattern_error(pattern: &str) -> Option<&'static str> {
    let Some((namespace, name)) = pattern.split_once('/') else {
        return Some("there is no slash between namespace and name");
    };
    if namespace.is_empty() || name.is_empty() {
        return Some("there is nothing on one side of the slash");
    }
    names::glob_error(namespace).or_else(|| names::name_glob_error(name))
}
