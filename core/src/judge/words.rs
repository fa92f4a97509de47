//! Verdicts as people read them.

use faultline_api::{Tightening, guardrail::Exception};

use super::verdict::{Decision, Force, Verdict};
use crate::review::{Finding, Moment};

impl Verdict {
    /// The verdict in a line, and behind it a line for each thing that there is to say of it.
    #[must_use]
    pub fn in_words(&self) -> Vec<String> {
        let Self { guardrail, moment, decision, exception, warnings, .. } = self;
        let moment = if *moment == Moment::Admit { " on its targets" } else { "" };
        let mode = if self.force() == Force::Monitored { " (only monitors)" } else { "" };
        let head = format!("{guardrail}{mode}: {}{moment}", word(decision));
        let exception = exception.iter().map(in_force);
        let findings = decision.findings().iter().map(told);
        let warnings = warnings.iter().map(|warning| format!("warning: {}", told(warning)));
        [head].into_iter().chain(exception).chain(findings).chain(warnings).collect()
    }
}

fn word(decision: &Decision) -> String {
    let word = decision.as_str();
    match decision {
        Decision::Allow | Decision::Deny { .. } => word.to_owned(),
        Decision::Undecided { error } => format!("{word}: {error}"),
        Decision::Mutate { limit, .. } => format!("{word}: {}", limits(limit)),
    }
}

/// Limits in words; empty where there are none.
#[must_use]
pub fn limits(limit: &Tightening) -> String {
    let parts = [
        limit.probability.map(|most| format!("probability at most {} %", most.get())),
        limit.times.map(|most| format!("times at most {most}")),
        limit.duration.map(|most| format!("duration at most {most}")),
        limit.targets.map(|most| format!("targets at most {most}")),
        (!limit.drop.is_empty()).then(|| format!("{} pods dropped", limit.drop.len())),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

fn in_force(exception: &Exception) -> String {
    let ticket = exception.ticket.as_ref().map_or_else(String::new, |ticket| format!(" ({ticket})"));
    format!("not obeyed until {}: {}{ticket}", exception.expires_at, exception.reason)
}

fn told(finding: &Finding) -> String {
    format!("{}: {} ({})", finding.path, finding.message, finding.rule)
}
