//! From a module's answer to what it leads to.

use faultline_api::{ExperimentId, Guardrail, GuardrailMode, Tightening, guardrail::Exception};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    effective::Effective,
    review::{Finding, Moment, Response},
};

/// What one guardrail says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Name of the guardrail, of a source, or `defaults`.
    pub guardrail: String,
    /// Where it is declared; `None` for what no document declares.
    pub place: Option<String>,
    /// When it was asked.
    pub moment: Moment,
    /// Whether it acts.
    pub mode: GuardrailMode,
    /// What it says.
    pub decision: Decision,
    /// The exception that keeps it from acting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<Exception>,
    /// Shown and nothing else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Finding>,
    /// What it cost, and with what it was asked; `None` where no module was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<Proof>,
}

/// What becomes of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Force {
    /// It holds.
    Obeyed,
    /// Its guardrail only monitors: it is shown.
    Monitored,
    /// An exception keeps it from acting: it is shown.
    Excepted,
}

impl Force {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Obeyed, Self::Monitored, Self::Excepted];

    /// The word that JSON and metrics have.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Obeyed => "obeyed",
            Self::Monitored => "monitored",
            Self::Excepted => "excepted",
        }
    }
}

impl Verdict {
    /// What becomes of it. Nothing else may decide that.
    #[must_use]
    pub const fn force(&self) -> Force {
        match (self.mode, &self.exception) {
            (GuardrailMode::Monitor, _) => Force::Monitored,
            (GuardrailMode::Protect, Some(_)) => Force::Excepted,
            (GuardrailMode::Protect, None) => Force::Obeyed,
        }
    }
}

/// Whom a question is about, and when it is put.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hearing<'a> {
    pub(crate) experiment: &'a ExperimentId,
    /// What holds for it so far.
    pub(crate) values: &'a Effective,
    pub(crate) now: Timestamp,
}

impl Hearing<'_> {
    /// The exception from `guardrail` that is in force; the one that ends last.
    pub(crate) fn exception(&self, guardrail: &Guardrail) -> Option<Exception> {
        self.granted(guardrail).filter(|exception| self.now < exception.expires_at).cloned()
    }

    /// The exception that ends last, in force or not.
    fn granted<'g>(&self, guardrail: &'g Guardrail) -> Option<&'g Exception> {
        let own = guardrail.exceptions.iter().filter(|exception| exception.is_about(self.experiment));
        own.max_by_key(|exception| exception.expires_at)
    }
}

/// What a verdict rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Proof {
    /// `sha256:<hex>` of the module.
    pub module: String,
    /// `sha256:<hex>` of the settings as JSON.
    pub settings: String,
    /// Fuel used.
    pub fuel: u64,
}

/// The four verdicts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "verdict")]
pub enum Decision {
    /// Nothing against it.
    Allow,
    /// Tighter limits.
    Mutate {
        /// The limits.
        limit: Tightening,
        /// Why.
        findings: Vec<Finding>,
    },
    /// No.
    Deny {
        /// Why.
        findings: Vec<Finding>,
    },
    /// It cannot say. Nothing is attached.
    Undecided {
        /// Why.
        error: String,
    },
}

impl Decision {
    /// Every word that [`as_str`](Self::as_str) can be.
    pub const WORDS: [&str; 4] = ["allow", "mutate", "deny", "undecided"];

    /// The word that JSON and metrics have.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Mutate { .. } => "mutate",
            Self::Deny { .. } => "deny",
            Self::Undecided { .. } => "undecided",
        }
    }

    /// Why, where findings say so.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        match self {
            Self::Deny { findings } | Self::Mutate { findings, .. } => findings,
            Self::Allow | Self::Undecided { .. } => &[],
        }
    }
}

/// What all verdicts on one experiment lead to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It may run, within these limits.
    Admit(Tightening),
    /// It may not.
    Deny(String),
    /// Nobody knows, so it may not for now.
    Undecided(String),
}

impl Outcome {
    /// The meet of all verdicts that act. A denial outweighs an undecided verdict, because it will not go
    /// away by itself; the order of the verdicts does not matter.
    #[must_use]
    pub fn of(verdicts: &[Verdict]) -> Self {
        let (mut denials, mut doubts, mut limit) = (Vec::new(), Vec::new(), Tightening::default());
        for verdict in verdicts.iter().filter(|verdict| verdict.force() == Force::Obeyed) {
            let name = &verdict.guardrail;
            match &verdict.decision {
                Decision::Allow => {}
                Decision::Mutate { limit: tighter, .. } => limit = limit.meet(tighter),
                Decision::Deny { findings } => {
                    denials.extend(findings.iter().map(|finding| format!("{name}: {}", finding.message)));
                }
                Decision::Undecided { error } => {
                    // It is the guardrail that has to be put right, so its place is named and not the experiment's.
                    let at = verdict.place.as_ref().map_or_else(String::new, |place| format!(" at {place}"));
                    doubts.push(format!("{name}{at}: {error}"));
                }
            }
        }
        if !denials.is_empty() {
            Self::Deny(denials.join("; "))
        } else if !doubts.is_empty() {
            Self::Undecided(doubts.join("; "))
        } else {
            Self::Admit(limit)
        }
    }
}

/// What `response` comes to under the terms of `guardrail`.
pub(crate) fn decide(guardrail: &Guardrail, hearing: &Hearing<'_>, response: &Response) -> Decision {
    let denied = |findings: Vec<Finding>| Decision::Deny {
        findings: findings.into_iter().map(|finding| explain(guardrail, hearing, finding)).collect(),
    };
    if !response.denials.is_empty() {
        return denied(response.denials.clone());
    }
    if !guardrail.allowed_to_mutate {
        let binding =
            response.tightenings.iter().filter(|found| hearing.values.is_tightened_by(&found.limit));
        let findings: Vec<Finding> = binding.map(|found| found.finding.clone()).collect();
        return if findings.is_empty() { Decision::Allow } else { denied(findings) };
    }
    if response.tightenings.is_empty() {
        return Decision::Allow;
    }
    let limit = response.tightenings.iter().fold(Tightening::default(), |sum, found| sum.meet(&found.limit));
    Decision::Mutate {
        limit,
        findings: response.tightenings.iter().map(|found| found.finding.clone()).collect(),
    }
}

/// The guardrail's own message stands behind each denial, and so does an exception that was enough until it ended.
fn explain(guardrail: &Guardrail, hearing: &Hearing<'_>, mut finding: Finding) -> Finding {
    if let Some(message) = &guardrail.message {
        finding.message = format!("{} ({message})", finding.message);
    }
    if let Some(ended) = hearing.granted(guardrail).filter(|exception| exception.expires_at <= hearing.now) {
        finding.message = format!("{} (its exception ended at {})", finding.message, ended.expires_at);
    }
    finding
}
