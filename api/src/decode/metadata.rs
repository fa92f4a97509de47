//! `metadata`: whose document it is.

use std::collections::BTreeMap;

use crate::{
    Code, Diagnostic, ExperimentId, Kind,
    experiment::Annotations,
    yaml::{Node, quoted},
};

use super::{
    annotations,
    fields::{Field, Fields},
    findings::Findings,
    names,
};

/// The namespace of an object that names none.
const DEFAULT_NAMESPACE: &str = "default";

/// Fields of `metadata` that the API server sets: known and ignored, since a manifest that was exported from a cluster
/// has them.
pub const SET_BY_THE_SERVER: [&str; 11] = [
    "clusterName",
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// What `metadata` says beyond the identity, which [`experiment_id`] and [`name`] read.
#[derive(Default)]
pub(super) struct Metadata {
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: Annotations,
}

/// Whether a kind lives in a namespace.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Namespace,
    Everywhere,
}

/// Checks the whole of `metadata`.
pub(super) fn read(document: &mut Fields<'_>, scope: Scope, findings: &mut Findings) -> Metadata {
    let metadata = document.require("metadata", findings).and_then(|field| field.fields(findings));
    let Some(mut metadata) = metadata else { return Metadata::default() };
    metadata.ignore(&SET_BY_THE_SERVER);
    check_name(&mut metadata, findings);
    check_namespace(&mut metadata, scope, findings);
    let labels = metadata.take("labels", findings).and_then(|labels| labels.text_map(findings));
    let annotations =
        metadata.take("annotations", findings).map(|field| annotations::read(field, scope, findings));
    metadata.finish(findings);
    Metadata { labels: labels.unwrap_or_default(), annotations: annotations.unwrap_or_default() }
}

fn check_name(metadata: &mut Fields<'_>, findings: &mut Findings) {
    if let Some(field) = metadata.take_quietly("generateName") {
        let message = "a generated name would make a new experiment each time the file is read";
        findings.push(Diagnostic::error(Code::Refused, field.place, message).help("give it a `name`"));
        metadata.ignore(&["name"]);
    } else if let Some(field) = metadata.require("name", findings)
        && let Some(name) = field.filled_text(findings)
        && let Some(reason) = names::subdomain_error(name)
    {
        findings.push(invalid_name(field, name, reason));
    }
}

fn check_namespace(metadata: &mut Fields<'_>, scope: Scope, findings: &mut Findings) {
    if let Some(field) = metadata.take("namespace", findings)
        && let Some(namespace) = field.filled_text(findings)
    {
        if let Some(reason) = names::label_error(namespace) {
            findings.push(invalid_name(field, namespace, reason));
        } else if scope == Scope::Everywhere {
            let message = "this kind holds everywhere, whatever its namespace";
            findings.push(Diagnostic::note(Code::NoEffect, field.place, message));
        }
    }
}

pub(super) fn invalid_name(field: Field<'_>, name: &str, reason: &str) -> Diagnostic {
    let message = format!("{} is not a name that Kubernetes accepts: {reason}", quoted(name));
    Diagnostic::error(Code::InvalidName, field.node.span, message)
}

/// Which experiment it is, where name and namespace can be read and are valid, whatever else is wrong.
pub(super) fn experiment_id(root: &Node) -> Option<ExperimentId> {
    let (namespace, name) = namespaced_name(root)?;
    Some(ExperimentId { kind: Kind::KernelChaos, namespace, name })
}

/// Namespace and name, likewise.
pub(super) fn namespaced_name(root: &Node) -> Option<(String, String)> {
    let name = name(root)?;
    let namespace = match root.get("metadata")?.get("namespace") {
        None => DEFAULT_NAMESPACE,
        Some(node) => node.as_text().filter(|text| names::label_error(text).is_none())?,
    };
    Some((namespace.to_owned(), name))
}

/// `metadata.name`, where it can be read and is valid.
pub(super) fn name(root: &Node) -> Option<String> {
    let name = root.get("metadata")?.get("name")?.as_text()?;
    names::subdomain_error(name).is_none().then(|| name.to_owned())
}
