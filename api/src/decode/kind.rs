//! Which of our kinds a document is, was meant to be, or surely is not.

use crate::{
    Code, Diagnostic,
    yaml::{Node, Value, quoted},
};

use super::fields::{Field, nearest, suggestion};

/// Where `KernelChaos` is known; the last has more than the others.
const KERNEL_CHAOS_VERSIONS: [&str; 3] =
    ["chaos-mesh.org/v1alpha1", "pingcap.com/v1alpha1", "faultline.dev/v1alpha1"];
const OUR_VERSION: &str = "faultline.dev/v1alpha1";
const OUR_GROUP: &str = "faultline.dev";
const OUR_KINDS: [&str; 4] = ["KernelChaos", "Guardrail", "Window", "Halt"];

/// What a document is.
pub(super) enum Recognised {
    /// Not ours.
    Foreign,
    /// An experiment, maybe in a group or version that has none.
    KernelChaos { dialect: Dialect, problem: Option<Diagnostic> },
    /// A guardrail, likewise.
    Guardrail { problem: Option<Diagnostic> },
    /// A kind for a later version.
    NotYet { kind: String },
    /// Ours, but what?
    Unclear { problem: Diagnostic },
}

/// Which spelling of `KernelChaos`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Exactly Chaos Mesh's fields.
    ChaosMesh,
    /// The superset.
    Faultline,
}

/// Says what `root` is from its `apiVersion`, its `kind` and, in doubt, its spec.
pub(super) fn recognise(root: &Node) -> Recognised {
    let version = root.get("apiVersion").and_then(Node::as_text);
    let ours = version.is_some_and(is_nearly_our_group);
    let Some(kind) = root.get("kind").and_then(Node::as_text) else { return without_kind(root, ours) };
    match kind {
        "KernelChaos" => kernel_chaos(root, version),
        "Guardrail" if ours || version.is_none() => {
            Recognised::Guardrail { problem: version_problem(root, version) }
        }
        "Window" | "Halt" if ours => Recognised::NotYet { kind: kind.into() },
        "Schedule" if ours || schedules_kernel_chaos(root) => Recognised::NotYet { kind: kind.into() },
        _ => match nearest(kind, ["KernelChaos"]).or_else(|| nearest(kind, OUR_KINDS).filter(|_| ours)) {
            Some("KernelChaos") => {
                Recognised::KernelChaos { dialect: dialect(version), problem: Some(unknown_kind(root, kind)) }
            }
            Some("Guardrail") => Recognised::Guardrail { problem: Some(unknown_kind(root, kind)) },
            Some(_) => Recognised::Unclear { problem: unknown_kind(root, kind) },
            None if ours => Recognised::Unclear { problem: unknown_kind(root, kind) },
            None => Recognised::Foreign,
        },
    }
}

/// What is lost with a workflow of Chaos Mesh: each `KernelChaos` among its templates, which nobody here runs.
pub(super) fn kernel_chaos_in_workflow(root: &Node) -> Vec<Diagnostic> {
    let is_workflow = root.get("kind").and_then(Node::as_text) == Some("Workflow");
    let templates = root.get("spec").and_then(|spec| spec.get("templates")).filter(|_| is_workflow);
    let Some(Node { value: Value::Sequence(templates), .. }) = templates else { return Vec::new() };
    let lost = |template: &Node| {
        let in_schedule = || template.get("schedule").and_then(|schedule| schedule.get("kernelChaos"));
        let of_type =
            || template.get("templateType").filter(|of_type| of_type.as_text() == Some("KernelChaos"));
        let place = template.get("kernelChaos").or_else(in_schedule).or_else(of_type)?.span;
        let message =
            "workflows are skipped, and this KernelChaos with its workflow: nothing of it is injected";
        let help = "commit it as a document of its own to have it injected";
        Some(Diagnostic::warning(Code::NotSupportedYet, place, message).help(help))
    };
    templates.iter().filter_map(lost).collect()
}

/// The items of a `List` as `kubectl get -o yaml` prints it.
pub(super) fn items_of_list(root: &Node) -> Option<Vec<&Node>> {
    let kind = root.get("kind").and_then(Node::as_text)?;
    match &root.get("items")?.value {
        Value::Sequence(items) if kind == "List" || kind == "KernelChaosList" => Some(items.iter().collect()),
        _ => None,
    }
}

fn kernel_chaos(root: &Node, version: Option<&str>) -> Recognised {
    let known = version.is_some_and(|version| KERNEL_CHAOS_VERSIONS.contains(&version));
    let problem = match version {
        _ if known => None,
        None => Some(missing(root, "apiVersion")),
        Some(version) => {
            let message = format!("there is no KernelChaos in {}", quoted(version));
            let help = suggestion(version, KERNEL_CHAOS_VERSIONS)
                .unwrap_or_else(|| format!("it is in {}", KERNEL_CHAOS_VERSIONS.join(", ")));
            let place = value_span(root, "apiVersion");
            Some(Diagnostic::error(Code::UnknownApiVersion, place, message).help(help))
        }
    };
    Recognised::KernelChaos { dialect: dialect(version), problem }
}

fn dialect(version: Option<&str>) -> Dialect {
    if version.is_some_and(is_nearly_our_group) { Dialect::Faultline } else { Dialect::ChaosMesh }
}

fn version_problem(root: &Node, version: Option<&str>) -> Option<Diagnostic> {
    match version {
        Some(OUR_VERSION) => None,
        None => Some(missing(root, "apiVersion")),
        Some(version) => {
            let message = format!("there is no such kind in {}", quoted(version));
            let place = value_span(root, "apiVersion");
            let help = format!("did you mean `{OUR_VERSION}`?");
            Some(Diagnostic::error(Code::UnknownApiVersion, place, message).help(help))
        }
    }
}

fn without_kind(root: &Node, ours: bool) -> Recognised {
    let problem = missing(root, "kind");
    if root.get("spec").is_some_and(|spec| spec.get("failKernRequest").is_some()) {
        Recognised::KernelChaos { dialect: Dialect::Faultline, problem: Some(problem) }
    } else if ours {
        Recognised::Unclear { problem }
    } else {
        Recognised::Foreign
    }
}

fn missing(root: &Node, field: &str) -> Diagnostic {
    let message = format!("the document needs the field `{field}`, a string");
    Diagnostic::error(Code::MissingField, Field::root("", root).place, message)
}

fn unknown_kind(root: &Node, kind: &str) -> Diagnostic {
    let message = format!("there is no kind {} here", quoted(kind));
    let help =
        suggestion(kind, OUR_KINDS).unwrap_or_else(|| format!("the kinds are {}", OUR_KINDS.join(", ")));
    Diagnostic::error(Code::UnknownKind, value_span(root, "kind"), message).help(help)
}

fn value_span(root: &Node, key: &str) -> crate::Span {
    root.get(key).map_or(root.span, |value| value.span)
}

/// Our group in any version, or what is nearly its name.
fn is_nearly_our_group(version: &str) -> bool {
    let group = version.split_once('/').map_or(version, |(group, _)| group);
    nearest(group, [OUR_GROUP]).is_some()
}

fn schedules_kernel_chaos(root: &Node) -> bool {
    let Some(spec) = root.get("spec") else { return false };
    let of_type = spec.get("type").and_then(Node::as_text).and_then(|kind| nearest(kind, ["KernelChaos"]));
    of_type.is_some() || spec.get("kernelChaos").is_some()
}
