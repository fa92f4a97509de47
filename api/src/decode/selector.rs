//! `selector`: which pods may be hit.

use std::collections::BTreeMap;

use crate::{
    Code, Diagnostic, Selector,
    selector::{FIELD_KEYS, LabelSelector, Operator, PodPhase, Requirement},
    yaml::quoted,
};

use super::{
    fields::{Field, suggestion},
    findings::Findings,
    metadata, names,
};

/// Field selectors that Kubernetes has for pods and an inventory has not.
const OTHER_FIELD_KEYS: [&str; 7] = [
    "spec.hostNetwork",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.nominatedNodeName",
    "status.podIP",
    "status.podIPs",
];

const OPERATORS: [(&str, Operator); 4] = [
    ("In", Operator::In),
    ("NotIn", Operator::NotIn),
    ("Exists", Operator::Exists),
    ("DoesNotExist", Operator::DoesNotExist),
];

const PHASES: [(&str, PodPhase); 5] = [
    ("Pending", PodPhase::Pending),
    ("Running", PodPhase::Running),
    ("Succeeded", PodPhase::Succeeded),
    ("Failed", PodPhase::Failed),
    ("Unknown", PodPhase::Unknown),
];

/// Reads a selector of an experiment in the namespace `own`.
pub(super) fn selector(field: Field<'_>, own: &str, findings: &mut Findings) -> Option<Selector> {
    let mut fields = field.fields(findings)?;
    let given = fields.take("namespaces", findings);
    let namespaces = given.map(|field| name_list(field, names::label_error, findings)).unwrap_or_default();
    let pods_field = fields.take("pods", findings);
    let pods = pods_field.map(|field| pods(field, findings)).unwrap_or_default();
    if let Some(field) = pods_field {
        warn_of_unreachable_pods(field, &namespaces, &pods, findings);
    }
    let mut take = |name, findings: &mut Findings| fields.take(name, findings);
    let nodes = take("nodes", findings).map(|field| name_list(field, names::subdomain_error, findings));
    let node_selectors = take("nodeSelectors", findings).and_then(|field| field.text_map(findings));
    let field_selectors = take("fieldSelectors", findings).map(|field| field_selectors(field, findings));
    let label_selectors = take("labelSelectors", findings).and_then(|field| field.text_map(findings));
    let annotation_selectors =
        take("annotationSelectors", findings).and_then(|field| field.text_map(findings));
    let expressions = take("expressionSelectors", findings).map(|field| requirements(field, findings));
    let phases = take("podPhaseSelectors", findings).map(|field| phases(field, findings));
    fields.finish(findings);
    Some(Selector {
        namespaces: effective_namespaces(namespaces, &pods, own),
        nodes: nodes.unwrap_or_default(),
        pods,
        node_selectors: node_selectors.unwrap_or_default(),
        field_selectors: field_selectors.unwrap_or_default(),
        label_selectors: label_selectors.unwrap_or_default(),
        expression_selectors: expressions.unwrap_or_default(),
        annotation_selectors: annotation_selectors.unwrap_or_default(),
        pod_phase_selectors: phases.unwrap_or_default(),
    })
}

/// Without namespaces: those of the pods that are named, or else the experiment's own.
fn effective_namespaces(given: Vec<String>, pods: &BTreeMap<String, Vec<String>>, own: &str) -> Vec<String> {
    match (given.is_empty(), pods.is_empty()) {
        (false, _) => given,
        (true, false) => pods.keys().cloned().collect(),
        (true, true) => vec![own.to_owned()],
    }
}

/// Chaos Mesh takes the pods that are named and looks at nothing else; here every field must hold.
fn warn_of_unreachable_pods(
    field: Field<'_>,
    namespaces: &[String],
    pods: &BTreeMap<String, Vec<String>>,
    findings: &mut Findings,
) {
    for namespace in pods.keys().filter(|namespace| !namespaces.is_empty() && !namespaces.contains(namespace))
    {
        let message = format!("pods in {} cannot be hit: `namespaces` does not list it", quoted(namespace));
        let help = "every field of a selector must hold, while Chaos Mesh looks at `pods` only";
        findings.push(Diagnostic::warning(Code::NoEffect, field.place, message).help(help));
    }
}

fn name_list(
    field: Field<'_>,
    error: fn(&str) -> Option<&'static str>,
    findings: &mut Findings,
) -> Vec<String> {
    let mut list = Vec::new();
    for item in field.items(findings).unwrap_or_default() {
        let Some(name) = item.filled_text(findings) else { continue };
        if let Some(reason) = error(name) {
            findings.push(metadata::invalid_name(item, name, reason));
        }
        list.push(name.to_owned());
    }
    list
}

fn pods(field: Field<'_>, findings: &mut Findings) -> BTreeMap<String, Vec<String>> {
    let mut pods = BTreeMap::new();
    for entry in field.entries(findings).unwrap_or_default() {
        let of_namespace = Field::of_entry(entry);
        if let Some(reason) = names::label_error(&entry.key) {
            let message = format!("{} is not a namespace: {reason}", quoted(&entry.key));
            findings.push(Diagnostic::error(Code::InvalidName, entry.key_span, message));
        }
        pods.insert(entry.key.to_string(), name_list(of_namespace, names::subdomain_error, findings));
    }
    pods
}

fn field_selectors(field: Field<'_>, findings: &mut Findings) -> BTreeMap<String, String> {
    for entry in field.entries(findings).unwrap_or_default() {
        let key = &*entry.key;
        if OTHER_FIELD_KEYS.contains(&key) {
            findings.push(Field::of_entry(entry).not_yet(&format!("selecting by `{key}`")));
        } else if !FIELD_KEYS.contains(&key) {
            let message = format!("pods cannot be selected by the field {}", quoted(key));
            let help =
                suggestion(key, FIELD_KEYS).unwrap_or_else(|| format!("only by {}", FIELD_KEYS.join(", ")));
            findings.push(Diagnostic::error(Code::UnknownField, entry.key_span, message).help(help));
        }
    }
    // Entries that are no mapping have been reported above.
    if field.node.is_mapping() { field.text_map(findings).unwrap_or_default() } else { BTreeMap::new() }
}

fn phases(field: Field<'_>, findings: &mut Findings) -> Vec<PodPhase> {
    let items = field.items(findings).unwrap_or_default();
    items.into_iter().filter_map(|item| item.word(&PHASES, findings)).collect()
}

/// Kubernetes' `LabelSelector`. One without a requirement selects everything, and is hardly meant to.
pub(super) fn label_selector(field: Field<'_>, findings: &mut Findings) -> Option<LabelSelector> {
    let errors_before = findings.errors();
    let mut fields = field.fields(findings)?;
    let labels = fields.take("matchLabels", findings).and_then(|field| field.text_map(findings));
    let expressions = fields.take("matchExpressions", findings).map(|field| requirements(field, findings));
    fields.finish(findings);
    let selector = LabelSelector {
        match_labels: labels.unwrap_or_default(),
        match_expressions: expressions.unwrap_or_default(),
    };
    if findings.errors() == errors_before && selector == LabelSelector::default() {
        let message = format!("`{}` requires nothing, so all labels suit it", field.name);
        findings.push(Diagnostic::warning(Code::NoEffect, field.place, message));
    }
    Some(selector)
}

fn requirements(field: Field<'_>, findings: &mut Findings) -> Vec<Requirement> {
    let items = field.items(findings).unwrap_or_default();
    items.into_iter().filter_map(|item| requirement(item, findings)).collect()
}

fn requirement(item: Field<'_>, findings: &mut Findings) -> Option<Requirement> {
    let mut fields = Field { name: "a requirement", ..item }.fields(findings)?;
    let key = fields.require("key", findings).and_then(|field| field.filled_text(findings));
    let operator_field = fields.require("operator", findings);
    let operator = operator_field.and_then(|field| field.word(&OPERATORS, findings));
    let values_field = fields.take("values", findings);
    let values = values_field.and_then(|field| label_values(field, findings)).unwrap_or_default();
    fields.finish(findings);
    let (key, operator) = (key?.to_owned(), operator?);
    let needs_values = matches!(operator, Operator::In | Operator::NotIn);
    if needs_values == values.is_empty() {
        let message =
            format!("`{operator:?}` takes {} values", if needs_values { "one or more" } else { "no" });
        let place = values_field.or(operator_field).map_or(item.place, |field| field.place);
        findings.push(Diagnostic::error(Code::InvalidRequirement, place, message));
    }
    Some(Requirement { key, operator, values })
}

/// Values of a label, which may be empty strings.
fn label_values(field: Field<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let items = field.items(findings)?;
    Some(items.into_iter().filter_map(|item| item.text(findings)).map(str::to_owned).collect())
}
