//! What a case asks: an experiment, and what is known about it.

use std::{collections::BTreeSet, path::Path};

use faultline_api::{
    Code, Content, Diagnostic, Experiment, ExperimentId, Kind, decode,
    decode::{Field, Fields, Findings, inner_experiment},
    line_col,
};
use faultline_core::{
    desired::Target,
    ledger::{Activation, RunKey},
    review::{Active, Admission, Hit, Operation, Review, SelectedTarget, SourceFacts},
};
use jiff::Timestamp;
use serde_json::Value as Json;

use super::read::bounded;

const OPERATIONS: [(&str, Operation); 3] =
    [("create", Operation::Create), ("update", Operation::Update), ("renew", Operation::Renew)];

/// Reads `experiment`, `operation`, `source` and `admission`. `None` where something is wrong with them, and where there
/// is no experiment and `needless` says that none is needed.
pub(super) fn review(
    fields: &mut Fields<'_>,
    path: &Path,
    bytes: &[u8],
    needless: bool,
    findings: &mut Findings,
) -> Option<Review> {
    let asks = ["experiment", "operation", "source", "admission"].iter().any(|name| fields.has(name));
    let asked = if needless && !asks {
        // Known names, so that what is misspelt is told apart from them.
        fields.take("experiment", findings)
    } else {
        fields.require("experiment", findings)
    };
    let experiment = asked.and_then(|field| experiment(field, path, bytes, findings));
    let operation = fields.take("operation", findings).map(|field| field.word(&OPERATIONS, findings));
    let source = fields.take("source", findings).map(|field| source(field, findings));
    let admission = fields.take("admission", findings).map(|field| admission(field, findings));
    let (experiment, raw) = experiment?;
    Some(Review {
        experiment,
        raw,
        operation: operation.unwrap_or(Some(Operation::Create))?,
        source: source.unwrap_or_else(|| Some(unknown_source()))?,
        admission: match admission {
            Some(admission) => Some(admission?),
            None => None,
        },
    })
}

/// The document itself, or the file that it is in, with what was written.
fn experiment(
    field: Field<'_>,
    path: &Path,
    bytes: &[u8],
    findings: &mut Findings,
) -> Option<(Experiment, Json)> {
    if field.node.is_mapping() {
        return Some((inner_experiment(field, bytes, findings)?, field.node.to_json()));
    }
    let file = field.filled_text(findings)?;
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let read = bounded(&folder.join(file)).map_err(|error| format!("`{file}` cannot be read: {error}"));
    match read.and_then(|bytes| only_experiment(file, &bytes)) {
        Ok(experiment) => Some(experiment),
        Err(message) => {
            findings.push(Diagnostic::error(Code::RefusedFile, field.node.span, message));
            None
        }
    }
}

/// The one experiment of a file, or why there is not exactly one.
fn only_experiment(name: &str, bytes: &[u8]) -> Result<(Experiment, Json), String> {
    let mut file = decode(bytes);
    if let Some(error) = file.diagnostics.iter().find(|diagnostic| diagnostic.is_error()) {
        let line = error.span.map_or(1, |span| line_col(bytes, span.start).line);
        return Err(format!("`{name}` is not valid: line {line}: {}", error.message));
    }
    let count = file.documents.len();
    match (file.documents.pop(), count) {
        (Some(document), 1) => match document.content {
            Content::Experiment(experiment) => Ok((*experiment, document.raw)),
            _ => Err(format!("`{name}` holds no KernelChaos")),
        },
        _ => Err(format!("`{name}` holds {count} documents, and a case asks about one experiment")),
    }
}

/// Where nothing is said of the source.
fn unknown_source() -> SourceFacts {
    SourceFacts { name: "cases".to_owned(), revision: "cases".to_owned(), author: None, verified: false }
}

fn source(field: Field<'_>, findings: &mut Findings) -> Option<SourceFacts> {
    let mut fields = field.fields(findings)?;
    let SourceFacts { name, revision, author, verified } = unknown_source();
    let facts = SourceFacts {
        name: text(&mut fields, "name", findings).unwrap_or(name),
        revision: text(&mut fields, "revision", findings).unwrap_or(revision),
        author: text(&mut fields, "author", findings).or(author),
        verified: fields
            .take("verified", findings)
            .and_then(|field| field.boolean(findings))
            .unwrap_or(verified),
    };
    fields.finish(findings);
    Some(facts)
}

pub(super) fn admission(field: Field<'_>, findings: &mut Findings) -> Option<Admission> {
    let mut fields = field.fields(findings)?;
    let now = fields.take("now", findings).and_then(|field| field.instant(findings));
    let environment = text(&mut fields, "environment", findings).unwrap_or_default();
    let list = fields.require("targets", findings);
    let targets: Vec<SelectedTarget> = list
        .and_then(|list| list.items(findings))
        .unwrap_or_default()
        .into_iter()
        .filter_map(|item| target(item, findings))
        .collect();
    if let Some(list) = list.filter(|_| targets.is_empty()) {
        let message = "nobody is asked to admit an experiment without a target";
        findings.push(Diagnostic::error(Code::EmptyValue, list.place, message));
    }
    let uids = targets.iter().map(|selected| selected.target.uid.as_str());
    let pods = uids.collect::<BTreeSet<_>>().len() as u64;
    // The selected are a part of the eligible.
    let eligible = fields
        .take("eligible", findings)
        .map_or(Some(pods), |field| field.number(pods..=u32::MAX.into(), findings));
    let runs = fields.take("active", findings).and_then(|list| list.items(findings)).unwrap_or_default();
    let (mut active, mut hit) = (Vec::new(), Hit::default());
    let mut could: BTreeSet<String> = targets.iter().map(|selected| selected.target.uid.clone()).collect();
    for run in runs {
        active.extend(active_run(run, &mut could, findings));
    }
    let pods = active.iter().flat_map(|run| &run.targets);
    pods.for_each(|(node, _, uid)| hit.add(node, uid));
    fields.finish(findings);
    let (others, together) = hit.reach(&targets, could.iter().map(String::as_str));
    let (now, eligible) = (now.unwrap_or(Timestamp::UNIX_EPOCH), u32::try_from(eligible?).ok()?);
    Some(Admission { now, environment, targets, eligible, others, together, active })
}

fn target(field: Field<'_>, findings: &mut Findings) -> Option<SelectedTarget> {
    let mut fields = field.fields(findings)?;
    let place = pod(&mut fields, findings);
    let container = text(&mut fields, "container", findings).unwrap_or_else(|| "main".to_owned());
    let labels = fields.take("labels", findings).and_then(|field| field.text_map(findings));
    fields.finish(findings);
    let Pod { node, namespace, name, uid } = place?;
    let target = Target { namespace, pod: name, uid, container, container_id: None, cgroup: None };
    Some(SelectedTarget { node, target, labels: labels.unwrap_or_default() })
}

/// A run, whose pods go to `could` where the experiment of the case could have selected them too.
fn active_run(field: Field<'_>, could: &mut BTreeSet<String>, findings: &mut Findings) -> Option<Active> {
    let mut fields = field.fields(findings)?;
    let named = fields.require("experiment", findings);
    let experiment = named.and_then(|field| experiment_id(field, findings));
    let activation =
        fields.take("activation", findings).map_or(Some(1), |field| field.number(1..=u64::MAX, findings));
    let items = fields.require("targets", findings).and_then(|list| list.items(findings)).unwrap_or_default();
    let targets = items.into_iter().filter_map(|item| {
        let mut fields = item.fields(findings)?;
        let pod = pod(&mut fields, findings);
        let eligible = fields.take("eligible", findings).and_then(|field| field.boolean(findings));
        fields.finish(findings);
        let Pod { node, namespace, uid, .. } = pod?;
        could.extend(eligible.unwrap_or_default().then(|| uid.clone()));
        Some((node, namespace, uid))
    });
    let targets = targets.collect();
    fields.finish(findings);
    let run = RunKey { experiment: experiment?, activation: Activation(activation?) };
    Some(Active { run, targets })
}

/// `namespace/name`.
fn experiment_id(field: Field<'_>, findings: &mut Findings) -> Option<ExperimentId> {
    let Some((namespace, name)) = field.filled_text(findings)?.split_once('/') else {
        findings.push(field.wrong_type("a namespace and a name, such as shop/mount"));
        return None;
    };
    Some(ExperimentId { kind: Kind::KernelChaos, namespace: namespace.to_owned(), name: name.to_owned() })
}

/// A pod and where it is.
struct Pod {
    node: String,
    namespace: String,
    name: String,
    /// Where none is given, `namespace/name`: the same pod is the same wherever a case names it.
    uid: String,
}

fn pod(fields: &mut Fields<'_>, findings: &mut Findings) -> Option<Pod> {
    let [node, namespace, name] = ["node", "namespace", "pod"].map(|name| {
        let field = fields.require(name, findings);
        field.and_then(|field| field.filled_text(findings)).map(str::to_owned)
    });
    let uid = text(fields, "uid", findings);
    let (node, namespace, name) = (node?, namespace?, name?);
    let uid = uid.unwrap_or_else(|| format!("{namespace}/{name}"));
    Some(Pod { node, namespace, name, uid })
}

fn text(fields: &mut Fields<'_>, name: &'static str, findings: &mut Findings) -> Option<String> {
    fields.take(name, findings)?.filled_text(findings).map(str::to_owned)
}
