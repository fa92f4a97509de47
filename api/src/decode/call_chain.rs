//! `callchain`: the frames on the way to the function that fails.

use crate::{CallChain, Code, Diagnostic, Frame, experiment::MAX_FRAMES, yaml::quoted};

use super::{fields::Field, findings::Findings, names};

/// Reads the frames, outermost first. `None` where one is not usable: a chain without it would match more.
pub(super) fn call_chain(field: Field<'_>, findings: &mut Findings) -> Option<CallChain> {
    let items = field.items(findings)?;
    if items.len() > MAX_FRAMES {
        let message = format!("a call chain has at most {MAX_FRAMES} frames, and this has {}", items.len());
        findings.push(Diagnostic::error(Code::OutOfRange, field.place, message));
        return None;
    }
    items.into_iter().map(|item| frame(item, findings)).collect::<Vec<_>>().into_iter().collect()
}

fn frame(item: Field<'_>, findings: &mut Findings) -> Option<Frame> {
    let mut frame = Field { name: "a frame", ..item }.fields(findings)?;
    let function = frame.require("funcname", findings).and_then(|field| symbol(field, findings));
    let predicate = frame.take_quietly("predicate").filter(|field| field.node.as_text() != Some(""));
    if let Some(parameters) = frame.take_quietly("parameters")
        && parameters.node.as_text() != Some("")
        && parameters.text(findings).is_some()
        && predicate.is_none()
    {
        let message = "`parameters` only matter to a predicate, and there is none";
        findings.push(Diagnostic::note(Code::NoEffect, parameters.place, message));
    }
    if let Some(predicate) = predicate
        && predicate.text(findings).is_some()
    {
        findings.push(predicate.not_yet("predicates"));
    }
    frame.finish(findings);
    function.map(|function| Frame { function })
}

/// The name of a kernel function.
pub(super) fn symbol(field: Field<'_>, findings: &mut Findings) -> Option<String> {
    let text = field.text(findings)?;
    if text.is_empty() {
        let message = "a frame without a function only holds a predicate, and those are not supported yet";
        let help = "name the function, or remove the frame";
        findings.push(Diagnostic::error(Code::NotSupportedYet, field.node.span, message).help(help));
        return None;
    }
    if let Some(reason) = names::symbol_error(text) {
        let message = format!("{} is not the name of a kernel function: {reason}", quoted(text));
        let help = "write it as /proc/kallsyms does";
        findings.push(Diagnostic::error(Code::InvalidFunction, field.node.span, message).help(help));
        return None;
    }
    Some(text.to_owned())
}
