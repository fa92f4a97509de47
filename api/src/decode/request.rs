//! `failKernRequest`: what is injected, where, and how often.

use crate::{CallChain, Code, Diagnostic, Fault, Percent, Span, yaml::quoted};

use super::{
    call_chain::{self, FramePlace},
    fields::{Field, Fields},
    findings::Findings,
    kind::Dialect,
    mode::percent,
};

/// `failKernRequest`, as far as it is readable.
pub(super) struct Request {
    pub(super) fault: Option<Fault>,
    /// Where that is written.
    pub(super) fault_place: Option<Span>,
    pub(super) call_chain: Option<CallChain>,
    /// Where its functions are written, as far as they are readable.
    pub(super) frames: Vec<FramePlace>,
    pub(super) probability: Percent,
    pub(super) times: Option<u64>,
}

impl Request {
    pub(super) fn read(
        request: Field<'_>,
        dialect: Dialect,
        source: &[u8],
        findings: &mut Findings,
    ) -> Option<Self> {
        let mut request = request.fields(findings)?;
        let (fault, fault_place) = fault(&mut request, dialect, findings).unzip();
        let (call_chain, frames) = match request.take("callchain", findings) {
            Some(field) => call_chain::call_chain(field, fault, source, findings),
            None => (Some(CallChain::default()), Vec::new()),
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
        Some(Self {
            fault,
            fault_place,
            call_chain,
            frames,
            probability: probability.unwrap_or(Percent::ALL),
            times,
        })
    }
}

/// With its place.
fn fault(request: &mut Fields<'_>, dialect: Dialect, findings: &mut Findings) -> Option<(Fault, Span)> {
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
    let field = request.require("failtype", findings)?;
    let failtype = field.number(0..=2, findings)?;
    let fault = Fault::ALL.into_iter().find(|fault| u64::from(fault.failtype()) == failtype)?;
    Some((fault, field.node.span))
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
