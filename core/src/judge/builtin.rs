//! Verdicts that need no module: the defaults, and sources of guardrails that cannot be read.

use faultline_api::{Experiment, Fault, GuardrailMode, Percent, Tightening};

use super::verdict::{Decision, Verdict};
use crate::{
    defaults::Defaults,
    effective::Effective,
    parse::{Freshness, Parsed},
    review::{Finding, Moment},
    tree::Role,
};

/// What the defaults say of `experiment`, once the guardrails have set their limits.
pub(super) fn defaults(experiment: &Experiment, limit: &Tightening, defaults: &Defaults) -> Option<Verdict> {
    let values = Effective::of(experiment, limit, defaults, None);
    let endless = values.times.is_none() && values.probability == Percent::ALL;
    let mut findings = Vec::new();
    if defaults.refuse_empty_call_chain && experiment.call_chain.is_empty() {
        findings.push(finding(
            "empty-call-chain",
            "spec.failKernRequest.callchain",
            "an empty call chain means every call of the target function; outside shadow runs, which this version \
             does not have, it is refused by default",
        ));
    }
    if defaults.refuse_unbounded_page_faults && experiment.fault == Fault::Page && endless {
        findings.push(finding(
            "unbounded-page-faults",
            "spec.failKernRequest",
            "page faults with neither times nor a probability below 100 can spin a target until its deadline; they \
             are refused by default",
        ));
    }
    (!findings.is_empty()).then(|| verdict("defaults", Decision::Deny { findings }))
}

/// A platform source that was not read, or not for too long, may hold anything: nobody can decide.
pub(super) fn unread_sources(parsed: &Parsed) -> Vec<Verdict> {
    let unread = parsed.sources.iter().filter(|(_, state)| {
        state.role == Role::Platform && matches!(state.freshness, Freshness::Missing | Freshness::Expired)
    });
    unread
        .map(|(name, state)| {
            let why = state.error.as_deref().unwrap_or("it was not read");
            verdict(
                name,
                Decision::Undecided { error: format!("the source of guardrails is unknown: {why}") },
            )
        })
        .collect()
}

fn verdict(name: &str, decision: Decision) -> Verdict {
    Verdict {
        guardrail: name.to_owned(),
        place: None,
        moment: Moment::Judge,
        mode: GuardrailMode::Protect,
        decision,
        exception: None,
        warnings: Vec::new(),
        proof: None,
    }
}

fn finding(rule: &str, path: &str, message: &str) -> Finding {
    Finding { rule: rule.to_owned(), path: path.to_owned(), message: message.to_owned() }
}
