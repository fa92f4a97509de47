//! `callchain`: the frames on the way to the function that fails, and what must hold there.

use crate::{CallChain, Code, Diagnostic, Fault, Frame, Span, experiment::MAX_FRAMES, yaml::quoted};

use super::{
    fields::{Field, Fields},
    findings::Findings,
    names,
    predicate::{self, PredicatePlace},
};

/// Where a function of an experiment's call chain is written.
#[derive(Clone, Debug, PartialEq)]
pub struct FramePlace {
    /// The function; the one that fails where the frame has no name.
    pub function: String,
    /// Its name, or the predicate where it has none.
    pub span: Span,
    /// What must hold at its entry.
    pub predicate: Option<PredicatePlace>,
}

/// A frame as it is written; `None` for the one without a name.
struct Written {
    function: Option<String>,
    span: Span,
    predicate: Option<PredicatePlace>,
}

/// Reads the frames, outermost first, and where they are, that of the target function last. No chain where one is not
/// usable: without it, it would match more.
pub(super) fn call_chain(
    field: Field<'_>,
    fault: Option<Fault>,
    source: &[u8],
    findings: &mut Findings,
) -> (Option<CallChain>, Vec<FramePlace>) {
    let errors = findings.errors();
    let Some(items) = field.items(findings) else { return (None, Vec::new()) };
    // Two frames may be about the target function: the last that names it, and one without a name.
    if items.len() > MAX_FRAMES + 2 {
        findings.push(too_many(field, items.len()));
        return (None, Vec::new());
    }
    let last = items.len().saturating_sub(1);
    let frames = items.into_iter().enumerate();
    let frames: Vec<_> =
        frames.filter_map(|(nth, item)| frame(item, nth == last, source, findings)).collect();
    let Some(target) = fault.map(Fault::target_function) else { return (None, Vec::new()) };
    let (frames, targets) = part(frames, target, findings);
    if frames.len() > MAX_FRAMES {
        findings.push(too_many(field, frames.len()));
    }
    let targets = at_most_one_predicate(targets, target, findings);
    let (chain, places) = chain(frames, targets);
    ((findings.errors() == errors).then_some(chain), places)
}

fn too_many(field: Field<'_>, frames: usize) -> Diagnostic {
    let message = format!("a call chain has at most {MAX_FRAMES} frames, and this has {frames}");
    Diagnostic::error(Code::OutOfRange, field.place, message)
}

/// The frames on the way, and what is said of the target function, which can only be the end of the way.
fn part(frames: Vec<Written>, target: &str, findings: &mut Findings) -> (Vec<FramePlace>, Vec<FramePlace>) {
    let is_target = |frame: &Written| frame.function.as_deref().is_none_or(|name| of_kernel(name) == target);
    let of_target = frames.iter().rev().take_while(|frame| is_target(frame)).count();
    let on_the_way = frames.len() - of_target;
    let place = |Written { function, span, predicate }: Written| FramePlace {
        function: function.unwrap_or_else(|| target.to_owned()),
        span,
        predicate,
    };
    let mut frames: Vec<_> = frames.into_iter().map(place).collect();
    let targets = frames.split_off(on_the_way);
    for frame in frames.iter().filter(|frame| of_kernel(&frame.function) == target) {
        let message = format!("`{target}` is the function that fails, and it only ends a call chain");
        let help = "make it the last frame, or remove it";
        findings.push(Diagnostic::error(Code::InvalidFunction, frame.span, message).help(help));
    }
    (frames, targets)
}

/// A name without the module, where that is the kernel itself.
fn of_kernel(name: &str) -> &str {
    name.strip_prefix("vmlinux:").unwrap_or(name)
}

/// One place for the target function: the one with the predicate, if there is any.
fn at_most_one_predicate(
    targets: Vec<FramePlace>,
    target: &str,
    findings: &mut Findings,
) -> Option<FramePlace> {
    let spans = targets.iter().filter_map(|frame| frame.predicate.as_ref()).map(PredicatePlace::span);
    if let [first, second, ..] = *spans.collect::<Vec<_>>() {
        let message = format!("two predicates for `{target}`, the function that fails");
        let help = "join them with && into one";
        let diagnostic = Diagnostic::error(Code::ConflictingFields, second, message).help(help);
        findings.push(diagnostic.also(first, "and this is the other"));
    }
    targets.into_iter().max_by_key(|frame| frame.predicate.is_some())
}

fn chain(places: Vec<FramePlace>, target: Option<FramePlace>) -> (CallChain, Vec<FramePlace>) {
    let predicate = |place: &FramePlace| place.predicate.as_ref().map(|place| place.predicate.clone());
    let frame = |place: &FramePlace| Frame { function: place.function.clone(), predicate: predicate(place) };
    let chain =
        CallChain { frames: places.iter().map(frame).collect(), target: target.as_ref().and_then(predicate) };
    (chain, places.into_iter().chain(target).collect())
}

fn frame(item: Field<'_>, is_last: bool, source: &[u8], findings: &mut Findings) -> Option<Written> {
    let mut frame = Field { name: "a frame", ..item }.fields(findings)?;
    let may_be_nameless = is_last && predicate::is_filled(&mut frame);
    let predicate = predicate::predicate(&mut frame, source, findings);
    let function = function(&mut frame, may_be_nameless, findings);
    frame.finish(findings);
    let (function, span) = match function? {
        Name::Of(function, span) => (Some(function), span),
        Name::Target => (None, predicate.as_ref().map_or(item.place, PredicatePlace::span)),
    };
    Some(Written { function, span, predicate })
}

/// Which function a frame is about.
enum Name {
    /// The one of that name, which is written there.
    Of(String, Span),
    /// The one that fails.
    Target,
}

fn function(frame: &mut Fields<'_>, may_be_nameless: bool, findings: &mut Findings) -> Option<Name> {
    if may_be_nameless && !frame.has("funcname") {
        return Some(Name::Target);
    }
    let field = frame.require("funcname", findings)?;
    if field.node.as_text() != Some("") {
        return symbol(field, findings).map(|function| Name::Of(function, field.node.span));
    }
    if may_be_nameless {
        return Some(Name::Target);
    }
    let message = "only the last frame may be without a function, and only with a predicate: that of the function \
                   that fails";
    let help = "name the function, or remove the frame";
    findings.push(Diagnostic::error(Code::EmptyValue, field.node.span, message).help(help));
    None
}

/// The name of a kernel function.
pub(super) fn symbol(field: Field<'_>, findings: &mut Findings) -> Option<String> {
    let text = field.filled_text(findings)?;
    if let Some(reason) = names::symbol_error(text) {
        let message = format!("{} is not the name of a kernel function: {reason}", quoted(text));
        let help = "write it as /proc/kallsyms does";
        findings.push(Diagnostic::error(Code::InvalidFunction, field.node.span, message).help(help));
        return None;
    }
    Some(text.to_owned())
}
