//! `KernelChaos`: one experiment.

use crate::{Code, Diagnostic, Experiment, GoDuration, Mode, Selector, Span, yaml::Node};

use super::{
    call_chain::FramePlace,
    fields::Field,
    findings::Findings,
    kind::Dialect,
    metadata::{self, Scope},
    mode::mode,
    names,
    request::Request,
    selector,
};

/// Where an experiment says what it is about, as far as that can be read.
#[derive(Default)]
pub(super) struct Places {
    /// The functions of its call chain.
    pub(super) frames: Vec<FramePlace>,
    /// What fails.
    pub(super) fault: Option<Span>,
}

/// Reads a whole document, and where the functions of its call chain are written. No experiment where a part that cannot
/// be done without is missing; whether the rest is free of errors is for the caller to see.
pub(super) fn experiment(
    root: Field<'_>,
    dialect: Dialect,
    source: &[u8],
    findings: &mut Findings,
) -> (Option<Experiment>, Places) {
    let Some(mut document) = root.fields(findings) else { return (None, Places::default()) };
    document.ignore(&["apiVersion", "kind", "status"]);
    let id = metadata::experiment_id(root.node);
    let metadata = metadata::read(&mut document, Scope::Namespace, findings);
    let spec = document.require("spec", findings);
    document.finish(findings);
    let namespace = id.as_ref().map_or("", |id| id.namespace.as_str());
    let spec = spec.and_then(|spec| Spec::read(spec, namespace, dialect, source, findings));
    let Some(Spec { mode, selector, container_names, duration, request: Some(request) }) = spec else {
        return (None, Places::default());
    };
    let Request { fault, fault_place, call_chain, frames, probability, times } = request;
    let experiment = || {
        Some(Experiment {
            id: id?,
            labels: metadata.labels,
            annotations: metadata.annotations,
            mode: mode?,
            selector: selector?,
            container_names,
            duration,
            fault: fault?,
            call_chain: call_chain?,
            probability,
            times,
        })
    };
    (experiment(), Places { frames, fault: fault_place })
}

/// Reports what is wrong with the experiment inside a `Schedule`.
pub(super) fn nested(root: &Node, source: &[u8], findings: &mut Findings) {
    let Some((namespace, _)) = metadata::namespaced_name(root) else { return };
    if let Some(node) = root.get("spec").and_then(|spec| spec.get("kernelChaos")) {
        let spec = Field::root("kernelChaos", node);
        let _ = Spec::read(spec, &namespace, Dialect::ChaosMesh, source, findings);
    }
}

/// `spec`, as far as it is readable.
struct Spec {
    mode: Option<Mode>,
    selector: Option<Selector>,
    container_names: Vec<String>,
    duration: Option<GoDuration>,
    request: Option<Request>,
}

impl Spec {
    fn read(
        spec: Field<'_>,
        namespace: &str,
        dialect: Dialect,
        source: &[u8],
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut spec = spec.fields(findings)?;
        let mode = mode(&mut spec, dialect, findings);
        let selector = spec.require("selector", findings);
        let selector = selector.and_then(|field| selector::selector(field, namespace, findings));
        let container_names =
            spec.take("containerNames", findings).map(|field| container_names(field, findings));
        let duration = spec.take("duration", findings).and_then(|field| duration(field, findings));
        let request = spec.require("failKernRequest", findings);
        let request = request.and_then(|field| Request::read(field, dialect, source, findings));
        if let Some(scheduler) = spec.take("scheduler", findings) {
            scheduler_cron(scheduler, findings);
        }
        if let Some(field) = spec.take_quietly("remoteCluster") {
            let message = "experiments reach only the cluster that they are in";
            let help = "commit it to the source of that cluster's reconciler";
            findings.push(Diagnostic::error(Code::Refused, field.place, message).help(help));
        }
        spec.finish(findings);
        Some(Self { mode, selector, container_names: container_names.unwrap_or_default(), duration, request })
    }
}

fn container_names(field: Field<'_>, findings: &mut Findings) -> Vec<String> {
    let mut container_names = Vec::new();
    for item in field.items(findings).unwrap_or_default() {
        let Some(name) = item.filled_text(findings) else { continue };
        if let Some(reason) = names::label_error(name) {
            findings.push(metadata::invalid_name(item, name, reason));
        }
        container_names.push(name.to_owned());
    }
    container_names
}

fn duration(field: Field<'_>, findings: &mut Findings) -> Option<GoDuration> {
    let duration = field.duration(findings)?;
    if duration.as_nanos() == 0 {
        let message = "an experiment of no duration would be over at once";
        findings.push(Diagnostic::error(Code::OutOfRange, field.node.span, message));
    }
    Some(duration)
}

/// `scheduler`, which older versions of Chaos Mesh had and only has `cron`.
fn scheduler_cron(field: Field<'_>, findings: &mut Findings) {
    findings.push(field.not_yet("`scheduler`").help("remove it to run the experiment once"));
    if let Some(mut scheduler) = field.fields(findings) {
        if let Some(cron) = scheduler.require("cron", findings) {
            cron.filled_text(findings);
        }
        scheduler.finish(findings);
    }
}
