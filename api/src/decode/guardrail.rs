//! `Guardrail`: a policy bound to a module and settings.
//!
//! It must fail closed. Errors in what narrows it (`match`, `exclude`, `exceptions`) leave it in force, wider than it
//! was meant; any other error makes it unusable, and the caller then lets nothing pass.

use serde_json::Value as Json;

use crate::{
    Code, Diagnostic, Fault, Guardrail, GuardrailMode, guardrail::Match, selector::LabelSelector,
    yaml::quoted,
};

use super::{
    exceptions,
    fields::{Field, Fields},
    findings::Findings,
    metadata::{self, Scope},
    module::module,
    names,
    selector::label_selector,
};

const MODES: [(&str, GuardrailMode); 2] =
    [("protect", GuardrailMode::Protect), ("monitor", GuardrailMode::Monitor)];

/// Reads a whole document. `None` where it is not usable.
pub(super) fn guardrail(root: Field<'_>, findings: &mut Findings) -> Option<Guardrail> {
    let errors_before = findings.errors();
    let mut document = root.fields(findings)?;
    document.ignore(&["apiVersion", "kind", "status"]);
    metadata::read(&mut document, Scope::Everywhere, findings);
    let spec = document.require("spec", findings);
    document.finish(findings);
    let mut spec = spec?.fields(findings)?;
    let module = spec.require("module", findings).and_then(|field| module(field, findings));
    let mode = spec.take("mode", findings).map(|field| field.word(&MODES, findings));
    let allowed_to_mutate = spec.take("allowedToMutate", findings).map(|field| field.boolean(findings));
    let settings = spec.take("settings", findings).map(|field| settings(field, findings));
    let message = spec.take("message", findings).map(|field| field.filled_text(findings));
    let matches = spec.take_quietly("match");
    let exclude = spec.take_quietly("exclude");
    let exceptions = spec.take_quietly("exceptions");
    spec.finish(findings);
    let usable = findings.errors() == errors_before;
    Some(Guardrail {
        name: metadata::name(root.node)?,
        module: module?,
        mode: mode.flatten().unwrap_or_default(),
        allowed_to_mutate: allowed_to_mutate.flatten().unwrap_or(true),
        matches: matches.and_then(|field| criteria(field, findings)).unwrap_or_default(),
        exclude: exclude.and_then(|field| criteria(field, findings)),
        settings: settings.unwrap_or_else(|| Json::Object(serde_json::Map::new())),
        message: message.flatten().map(str::to_owned),
        exceptions: exceptions.map(|field| exceptions::read(field, findings)).unwrap_or_default(),
    })
    .filter(|_| usable)
}

/// Settings are the module's own business, as long as JSON can hold them.
fn settings(field: Field<'_>, findings: &mut Findings) -> Json {
    if let Some(node) = field.node.first_without_json() {
        let message = "JSON has no such number, and modules get their settings as JSON";
        findings.push(Diagnostic::error(Code::UnsupportedYaml, node.span, message).help("put it in quotes"));
    }
    field.node.to_json()
}

/// `match` or `exclude`; `None` where any of it is wrong, because what remains would be another set.
fn criteria(field: Field<'_>, findings: &mut Findings) -> Option<Match> {
    let errors_before = findings.errors();
    if field.node.is_null() {
        let message = format!("`{}` has no value", field.name);
        findings.push(Diagnostic::error(Code::EmptyValue, field.place, message));
        return None;
    }
    let mut fields = field.fields(findings)?;
    let criteria = Match {
        namespaces: globs(&mut fields, findings),
        failtypes: failtypes(&mut fields, findings),
        sources: fields.take("sources", findings).and_then(|field| field.texts(findings)).unwrap_or_default(),
        namespace_selector: labels("namespaceSelector", &mut fields, findings),
        label_selector: labels("labelSelector", &mut fields, findings),
    };
    fields.finish(findings);
    (findings.errors() == errors_before).then_some(criteria)
}

fn labels(name: &'static str, fields: &mut Fields<'_>, findings: &mut Findings) -> Option<LabelSelector> {
    fields.take(name, findings).and_then(|field| label_selector(field, findings))
}

fn globs(fields: &mut Fields<'_>, findings: &mut Findings) -> Vec<String> {
    let items =
        fields.take("namespaces", findings).and_then(|field| field.items(findings)).unwrap_or_default();
    let mut globs = Vec::new();
    for item in items {
        let Some(glob) = item.filled_text(findings) else { continue };
        if let Some(reason) = names::glob_error(glob) {
            let message = format!("{} matches no namespace: {reason}", quoted(glob));
            findings.push(Diagnostic::error(Code::InvalidGlob, item.node.span, message));
        }
        globs.push(glob.to_owned());
    }
    globs
}

fn failtypes(fields: &mut Fields<'_>, findings: &mut Findings) -> Vec<Fault> {
    let items =
        fields.take("failtypes", findings).and_then(|field| field.items(findings)).unwrap_or_default();
    let numbers = items.into_iter().filter_map(|item| item.number(0..=2, findings));
    numbers
        .filter_map(|number| Fault::ALL.into_iter().find(|fault| u64::from(fault.failtype()) == number))
        .collect()
}
