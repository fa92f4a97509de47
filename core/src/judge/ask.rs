//! Asking one guardrail at one moment.

use faultline_api::{Guardrail, GuardrailMode, Reason, guardrail::Exception};

use super::verdict::{Decision, Hearing, Proof, Verdict, decide};
use crate::{
    digest::{json, sha256},
    due::WhyNot,
    parse::{Binding, BoundGuardrail, Module},
    review::{Evaluation, Evaluator, Inputs, Moment, Review, Undecided},
};

/// A guardrail, with what its module says of itself.
pub(crate) struct Asked<'a> {
    pub(crate) bound: &'a BoundGuardrail,
    guard: Result<Guard<'a>, Undecided>,
}

/// A guardrail that can be asked.
pub(crate) struct Guard<'a> {
    guardrail: &'a Guardrail,
    pub(super) module: &'a Module,
    /// `sha256:<hex>` of the settings as JSON.
    pub(super) settings_digest: String,
    moments: Vec<Moment>,
    pub(super) inputs: Inputs,
}

/// Every guardrail; each module is asked once what it is, and whether the settings suit it.
pub(crate) fn prepare<'a>(guardrails: &'a [BoundGuardrail], evaluator: &dyn Evaluator) -> Vec<Asked<'a>> {
    let guard = |bound: &'a BoundGuardrail| match &bound.binding {
        Binding::Bound { guardrail, module: Ok(module) } => {
            let own = evaluator.check(&module.bytes, &guardrail.settings)?;
            let settings_digest = sha256(json(&guardrail.settings).as_bytes());
            Ok(Guard { guardrail, module, settings_digest, moments: own.moments, inputs: own.inputs })
        }
        Binding::Bound { module: Err(error), .. } => Err(Undecided::MissingModule(error.clone())),
        Binding::Broken { error } => Err(Undecided::RefusedModule(error.clone())),
    };
    guardrails.iter().map(|bound| Asked { bound, guard: guard(bound) }).collect()
}

impl Guard<'_> {
    /// Asks the module.
    pub(crate) fn evaluate(&self, evaluator: &dyn Evaluator, review: &Review) -> Evaluation {
        evaluator.evaluate(&self.module.bytes, &self.guardrail.settings, review)
    }
}

impl Asked<'_> {
    /// Whether it can be asked about a document only once the targets are known.
    pub(crate) fn needs_targets(&self) -> bool {
        match &self.bound.binding {
            Binding::Bound { guardrail, .. } => guardrail.needs_targets(),
            Binding::Broken { .. } => false,
        }
    }

    /// Whether it has anything to say at `moment`.
    pub(crate) fn speaks_at(&self, moment: Moment) -> bool {
        self.guard.as_ref().map_or(moment == Moment::Judge, |guard| guard.moments.contains(&moment))
    }

    /// Why it cannot be asked about anything. A document that cannot be read is told of elsewhere.
    pub(super) fn unusable(&self) -> Option<WhyNot> {
        let (Binding::Bound { .. }, Err(error)) = (&self.bound.binding, &self.guard) else { return None };
        Some(WhyNot {
            subject: format!("guardrail {}", self.bound.name),
            place: Some(self.bound.place.to_string()),
            reason: Some(self.wrong_or_unknown()),
            message: error.to_string(),
        })
    }

    /// A module that is to come from a registry may come yet; nothing else mends itself.
    fn wrong_or_unknown(&self) -> Reason {
        let is_missing = matches!(&self.guard, Err(Undecided::MissingModule(_)));
        if is_missing && self.bound.binding.reference().is_some() {
            Reason::Undecided
        } else {
            Reason::Invalid
        }
    }

    /// The verdict at `moment`; `None` where the module does not want to be asked then. One that cannot be
    /// asked at all says so at the first moment.
    pub(crate) fn ask(
        &self,
        moment: Moment,
        hearing: &Hearing<'_>,
        evaluate: &mut dyn FnMut(&Guard<'_>) -> Evaluation,
    ) -> Option<Verdict> {
        if !self.speaks_at(moment) {
            return None;
        }
        let guard = match &self.guard {
            Ok(guard) => guard,
            Err(error) => return Some(self.undecided(error, hearing)),
        };
        let evaluation = evaluate(guard);
        let (decision, warnings) = match evaluation.outcome {
            Ok(response) => (decide(guard.guardrail, hearing, &response), response.warnings),
            Err(error) => (Decision::Undecided { error: error.to_string() }, Vec::new()),
        };
        let settings = guard.settings_digest.clone();
        let proof = Some(Proof { module: evaluation.module_digest, settings, fuel: evaluation.fuel });
        let (mode, exception) = terms(guard.guardrail, hearing);
        Some(Verdict { warnings, proof, ..self.verdict(moment, mode, exception, decision) })
    }

    fn undecided(&self, error: &Undecided, hearing: &Hearing<'_>) -> Verdict {
        let ((mode, exception), error) = match &self.bound.binding {
            Binding::Bound { guardrail, .. } => (terms(guardrail, hearing), error.to_string()),
            // Its own mode and exceptions cannot be read, so it protects.
            Binding::Broken { error } => {
                ((GuardrailMode::Protect, None), format!("it cannot be read: {error}"))
            }
        };
        self.verdict(Moment::Judge, mode, exception, Decision::Undecided { error })
    }

    fn verdict(
        &self,
        moment: Moment,
        mode: GuardrailMode,
        exception: Option<Exception>,
        decision: Decision,
    ) -> Verdict {
        Verdict {
            guardrail: self.bound.name.clone(),
            place: Some(self.bound.place.to_string()),
            moment,
            mode,
            decision,
            exception,
            warnings: Vec::new(),
            proof: None,
        }
    }
}

/// Whether what `guardrail` says is obeyed.
fn terms(guardrail: &Guardrail, hearing: &Hearing<'_>) -> (GuardrailMode, Option<Exception>) {
    (guardrail.mode, hearing.exception(guardrail))
}
