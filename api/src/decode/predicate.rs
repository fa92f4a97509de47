//! `predicate` and `parameters` of a frame: whether they can be read, and where they stand.

use crate::{
    Code, Diagnostic, Predicate, Span,
    predicate::{Expr, Problem, parse, parse_parameters},
    yaml::{QUOTE_IT, TextMap, Value},
};

use super::{
    fields::{Field, Fields},
    findings::Findings,
};

/// A predicate and where it is written, for what is found out about it later: against a kernel, say.
#[derive(Clone, Debug, PartialEq)]
pub struct PredicatePlace {
    /// As it is written; both texts can be read.
    pub predicate: Predicate,
    text: TextMap,
    /// Of the parameters; of the predicate where they are not declared.
    parameters: TextMap,
}

impl PredicatePlace {
    /// The error that a problem of the predicate's text is, where it is in the file.
    #[must_use]
    pub fn of_text(&self, problem: Problem) -> Diagnostic {
        diagnostic(Code::InvalidPredicate, &self.text, problem)
    }

    /// The error that a problem of the declared parameters is, likewise.
    #[must_use]
    pub fn of_parameters(&self, problem: Problem) -> Diagnostic {
        diagnostic(Code::InvalidParameters, &self.parameters, problem)
    }

    /// What is to be said where it is the same for every call.
    #[must_use]
    pub fn decided(&self, holds: bool) -> Diagnostic {
        match holds {
            true => {
                let message = "the predicate holds always: it turns no call down";
                Diagnostic::warning(Code::NoEffect, self.span(), message).help("leave it out")
            }
            false => {
                let message = "the predicate never holds: nothing will ever be injected";
                Diagnostic::warning(Code::NeverInjects, self.span(), message)
            }
        }
    }

    /// Where the whole predicate is.
    #[must_use]
    pub fn span(&self) -> Span {
        self.text.span(Span { start: 0, end: self.predicate.text.len() })
    }
}

fn diagnostic(code: Code, map: &TextMap, Problem { span, message, help }: Problem) -> Diagnostic {
    Diagnostic { help, ..Diagnostic::error(code, map.span(span), message) }
}

/// Reads both fields of a frame. `None` where there is no predicate or it is not usable; the latter is reported.
pub(super) fn predicate(
    frame: &mut Fields<'_>,
    source: &[u8],
    findings: &mut Findings,
) -> Option<PredicatePlace> {
    if let Some(field) = frame.take_quietly("predicate").filter(is_blank) {
        let message = "an empty `predicate` turns nothing down: every call counts";
        findings.push(Diagnostic::note(Code::NoEffect, field.place, message));
    }
    let predicate = text(frame.take_quietly("predicate"), source, findings);
    let parameters = text(frame.take_quietly("parameters"), source, findings);
    let Some((text, map, _)) = predicate else {
        if let Some((_, _, place)) = parameters.filter(|_| !is_filled(frame)) {
            let message = "`parameters` only matter to a predicate, and there is none";
            findings.push(Diagnostic::note(Code::NoEffect, place, message));
        }
        return None;
    };
    let declared = parameters.as_ref().map(|(text, ..)| (*text).to_owned());
    let place = PredicatePlace {
        predicate: Predicate { text: text.to_owned(), parameters: declared },
        text: map.clone(),
        parameters: parameters.as_ref().map_or(map, |(_, map, _)| map.clone()),
    };
    let expr = parse(text);
    findings.extend(expr.iter().filter_map(Expr::decided).map(|holds| place.decided(holds)));
    let problems = expr.err().unwrap_or_default();
    let of_parameters = parameters.and_then(|(text, ..)| parse_parameters(text).err()).unwrap_or_default();
    let usable = problems.is_empty() && of_parameters.is_empty();
    findings.extend(problems.into_iter().map(|problem| place.of_text(problem)));
    findings.extend(of_parameters.into_iter().map(|problem| place.of_parameters(problem)));
    usable.then_some(place)
}

/// Whether a frame has a predicate, usable or not.
pub(super) fn is_filled(frame: &mut Fields<'_>) -> bool {
    frame.take_quietly("predicate").is_some_and(|field| !is_blank(&field))
}

/// Whether nothing is written there but white space.
fn is_blank(field: &Field<'_>) -> bool {
    field.node.as_text().is_some_and(|text| text.trim().is_empty())
}

/// A text that is not empty, where it is written, and its key.
fn text<'n>(
    field: Option<Field<'n>>,
    source: &[u8],
    findings: &mut Findings,
) -> Option<(&'n str, TextMap, Span)> {
    let field = field.filter(|field| !is_blank(field))?;
    match &field.node.value {
        Value::Scalar(scalar) if !field.node.is_null() => {
            let text = field.text(findings)?;
            Some((text, TextMap::new(source, field.node.span, scalar), field.place))
        }
        // Much of C means something to YAML, which leaves nothing, a list or a mapping of it.
        _ => {
            findings.push(field.wrong_type("a string").help(QUOTE_IT));
            None
        }
    }
}
