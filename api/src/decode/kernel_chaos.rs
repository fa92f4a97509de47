//! `KernelChaos`: one experiment.

use crate::{
    Code, Diagnostic, Experiment, Fault, GoDuration, Mode, Percent, Selector,
    experiment::CallChain,
    yaml::{Node, Resolved, quoted},
};

use super::{
    call_chain,
    fields::{Field, Fields},
    findings::Findings,
    kind::Dialect,
    metadata::{self, Scope},
    names, selector,
};

/// Reads a whole document. `None` where a part that cannot be done without is missing; whether the rest is free of
/// errors is for the caller to see.
pub(super) fn experiment(root: Field<'_>, dialect: Dialect, findings: &mut Findings) -> Option<Experiment> {
    let mut document = root.fields(findings)?;
    document.ignore(&["apiVersion", "kind", "status"]);
    let id = metadata::experiment_id(root.node);
    let metadata = metadata::read(&mut document, Scope::Namespace, findings);
    let spec = document.require("spec", findings);
    document.finish(findings);
    let namespace = id.as_ref().map_or("", |id| id.namespace.as_str());
    let spec = Spec::read(spec?, namespace, dialect, findings)?;
    let Spec { mode, selector, container_names, duration, request } = spec;
    let request = request?;
    Some(Experiment {
        id: id?,
        labels: metadata.labels,
        annotations: metadata.annotations,
        mode: mode?,
        selector: selector?,
        container_names,
        duration,
        fault: request.fault?,
        call_chain: request.call_chain?,
        probability: request.probability,
        times: request.times,
    })
}

/// Reports what is wrong with the experiment inside a `Schedule`.
pub(super) fn nested(root: &Node, findings: &mut Findings) {
    let Some((namespace, _)) = metadata::namespaced_name(root) else { return };
    if let Some(node) = root.get("spec").and_then(|spec| spec.get("kernelChaos")) {
        let _ = Spec::read(Field::root("kernelChaos", node), &namespace, Dialect::ChaosMesh, findings);
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

/// `failKernRequest`, likewise.
struct Request {
    fault: Option<Fault>,
    call_chain: Option<CallChain>,
    probability: Percent,
    times: Option<u64>,
}

impl Spec {
    fn read(spec: Field<'_>, namespace: &str, dialect: Dialect, findings: &mut Findings) -> Option<Self> {
        let mut spec = spec.fields(findings)?;
        let mode = mode(&mut spec, dialect, findings);
        let selector = spec.require("selector", findings);
        let selector = selector.and_then(|field| selector::selector(field, namespace, findings));
        let container_names =
            spec.take("containerNames", findings).map(|field| container_names(field, findings));
        let duration = spec.take("duration", findings).and_then(|field| duration(field, findings));
        let request = spec.require("failKernRequest", findings);
        let request = request.and_then(|field| Request::read(field, dialect, findings));
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

impl Request {
    fn read(request: Field<'_>, dialect: Dialect, findings: &mut Findings) -> Option<Self> {
        let mut request = request.fields(findings)?;
        let fault = fault(&mut request, dialect, findings);
        let call_chain = match request.take("callchain", findings) {
            Some(field) => call_chain::call_chain(field, findings),
            None => Some(CallChain::new()),
        };
        let probability =
            request.take("probability", findings).and_then(|field| probability(field, findings));
        let times = request.take("times", findings).and_then(|field| times(field, findings));
        if let Some(headers) = request.take("headers", findings)
            && headers.texts(findings).is_some()
        {
            let message =
                "`headers` are for a C compiler, and none is used here: types come from the kernel itself";
            findings.push(Diagnostic::note(Code::NoEffect, headers.place, message));
        }
        request.finish(findings);
        Some(Self { fault, call_chain, probability: probability.unwrap_or(Percent::ALL), times })
    }
}

/// What `mode` says without its `value`.
#[derive(Clone, Copy)]
enum ModeWord {
    One,
    All,
    Fixed,
    FixedPercent,
    RandomMaxPercent,
}

const MODES: [(&str, ModeWord); 5] = [
    ("one", ModeWord::One),
    ("all", ModeWord::All),
    ("fixed", ModeWord::Fixed),
    ("fixed-percent", ModeWord::FixedPercent),
    ("random-max-percent", ModeWord::RandomMaxPercent),
];

fn mode(spec: &mut Fields<'_>, dialect: Dialect, findings: &mut Findings) -> Option<Mode> {
    let mode = spec.require("mode", findings);
    let word = mode.and_then(|field| field.word(&MODES, findings));
    let value = spec.take("value", findings);
    match word? {
        ModeWord::One => without_value(Mode::One, value, findings),
        ModeWord::All => without_value(Mode::All, value, findings),
        ModeWord::Fixed => {
            let count = mode_value(spec, value, 1..=u32::MAX.into(), dialect, findings)?;
            u32::try_from(count).ok().map(Mode::Fixed)
        }
        ModeWord::FixedPercent => {
            mode_value(spec, value, 0..=100, dialect, findings).and_then(percent).map(Mode::FixedPercent)
        }
        ModeWord::RandomMaxPercent => {
            mode_value(spec, value, 0..=100, dialect, findings).and_then(percent).map(Mode::RandomMaxPercent)
        }
    }
}

fn without_value(mode: Mode, value: Option<Field<'_>>, findings: &mut Findings) -> Option<Mode> {
    if let Some(value) = value {
        let message = "`value` means nothing with this mode";
        let help = "remove it, or use the mode `fixed`, `fixed-percent` or `random-max-percent`";
        findings.push(Diagnostic::warning(Code::NoEffect, value.place, message).help(help));
    }
    Some(mode)
}

/// The number in `value`, which Chaos Mesh has as a string.
fn mode_value(
    spec: &Fields<'_>,
    value: Option<Field<'_>>,
    range: std::ops::RangeInclusive<u64>,
    dialect: Dialect,
    findings: &mut Findings,
) -> Option<u64> {
    let Some(field) = value else {
        if !spec.has("value") {
            let message = "this mode needs the field `value`";
            findings.push(Diagnostic::error(Code::MissingField, spec.place(), message));
        }
        return None;
    };
    let wanted = "a whole number in quotes, such as \"50\"";
    let scalar = field.scalar(wanted, findings)?;
    let number = match scalar.resolve() {
        Resolved::Text(text) => text.parse::<i128>().ok(),
        Resolved::Int(_) if scalar.yaml_1_1_meaning().is_some() => return field.number(range, findings),
        Resolved::Int(number) => {
            if dialect == Dialect::ChaosMesh {
                let message = format!("Chaos Mesh takes `value` as a string: \"{number}\"");
                findings.push(Diagnostic::note(Code::WrongType, field.node.span, message));
            }
            Some(number)
        }
        Resolved::Null | Resolved::Bool(_) | Resolved::Float(_) => None,
    };
    let Some(number) = number else {
        findings.push(field.wrong_type(wanted));
        return None;
    };
    let number = field.in_range(number, range, findings)?;
    if number == 0 {
        let message = "0 percent of the pods is none";
        findings.push(Diagnostic::warning(Code::NeverInjects, field.node.span, message));
    }
    Some(number)
}

fn percent(number: u64) -> Option<Percent> {
    u8::try_from(number).ok().and_then(Percent::new)
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

fn fault(request: &mut Fields<'_>, dialect: Dialect, findings: &mut Findings) -> Option<Fault> {
    if dialect == Dialect::ChaosMesh && request.has("function") {
        let field = request.take_quietly("function")?;
        let message = "Chaos Mesh's KernelChaos has no field `function`";
        let help = "it is in `faultline.dev/v1alpha1`";
        findings.push(Diagnostic::error(Code::UnknownField, field.place, message).help(help));
    } else if let Some(field) = request.take("function", findings) {
        function(field, findings);
        if let Some(failtype) = request.take_quietly("failtype") {
            let message = "`function` and `failtype` exclude each other";
            let diagnostic = Diagnostic::error(Code::ConflictingFields, failtype.place, message);
            findings.push(diagnostic.also(field.place, "and this is the other"));
        }
        return None;
    }
    let failtype = request.require("failtype", findings)?.number(0..=2, findings)?;
    Fault::ALL.into_iter().find(|fault| u64::from(fault.failtype()) == failtype)
}

/// `function: {name, errno}`: any injectable function with a chosen error.
fn function(field: Field<'_>, findings: &mut Findings) {
    findings.push(field.not_yet("failing a function of one's choice").help("use `failtype` 0, 1 or 2"));
    let Some(mut function) = field.fields(findings) else { return };
    if let Some(name) = function.require("name", findings) {
        call_chain::symbol(name, findings);
    }
    if let Some(errno) = function.require("errno", findings)
        && errno.node.as_text().is_none()
    {
        // Linux' MAX_ERRNO.
        errno.number(1..=4095, findings);
    }
    function.finish(findings);
}

fn probability(field: Field<'_>, findings: &mut Findings) -> Option<Percent> {
    let number = field.number(0..=100, findings)?;
    if number == 0 {
        let message = "a probability of 0 never injects (Chaos Mesh's daemon would inject always)";
        let help = "leave it out for 100 percent";
        findings.push(Diagnostic::warning(Code::NeverInjects, field.node.span, message).help(help));
    }
    percent(number)
}

fn times(field: Field<'_>, findings: &mut Findings) -> Option<u64> {
    let times = field.number(0..=i64::MAX.unsigned_abs(), findings)?;
    if times == 0 {
        let message = format!("{} of 0 is no limit", quoted("times"));
        findings.push(Diagnostic::note(Code::Unlimited, field.node.span, message));
    }
    Some(times).filter(|times| *times > 0)
}
