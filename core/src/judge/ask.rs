//! Asking one guardrail at one moment.

use faultline_api::GuardrailMode;

use super::verdict::{Decision, Proof, Verdict, decide};
use crate::{
    digest::{json, sha256},
    effective::Effective,
    parse::{Binding, BoundGuardrail, Module},
    review::{Evaluation, Evaluator, Moment, Review, Undecided},
};

/// A guardrail, with the moments at which its module wants to be asked.
pub(crate) struct Asked<'a> {
    pub(crate) bound: &'a BoundGuardrail,
    moments: Result<Vec<Moment>, Undecided>,
}

/// Every guardrail; each module is asked once what it is.
pub(crate) fn prepare<'a>(guardrails: &'a [BoundGuardrail], evaluator: &dyn Evaluator) -> Vec<Asked<'a>> {
    let moments = |bound: &BoundGuardrail| match &bound.binding {
        Binding::Bound { module: Ok(module), .. } => evaluator.describe(&module.bytes).map(|own| own.moments),
        Binding::Bound { module: Err(error), .. } => Err(Undecided::MissingModule(error.clone())),
        Binding::Broken { error } => Err(Undecided::RefusedModule(error.clone())),
    };
    guardrails.iter().map(|bound| Asked { bound, moments: moments(bound) }).collect()
}

impl Asked<'_> {
    /// Whether it has anything to say at `moment`.
    pub(crate) fn speaks_at(&self, moment: Moment) -> bool {
        self.moments.as_ref().map_or(moment == Moment::Judge, |moments| moments.contains(&moment))
    }

    /// The verdict at `moment`; `None` where the module does not want to be asked then. One that cannot be
    /// asked at all says so at the first moment.
    pub(crate) fn ask(
        &self,
        moment: Moment,
        review: &Review,
        values: &Effective,
        evaluate: &mut dyn FnMut(&Module, &serde_json::Value, &Review) -> Evaluation,
    ) -> Option<Verdict> {
        let (guardrail, module) = match (&self.bound.binding, &self.moments) {
            (_, Err(error)) => return (moment == Moment::Judge).then(|| self.undecided(error)),
            (_, Ok(moments)) if !moments.contains(&moment) => return None,
            (Binding::Bound { guardrail, module: Ok(module) }, _) => (guardrail, module),
            _ => return None,
        };
        let evaluation = evaluate(module, &guardrail.settings, review);
        let (decision, warnings) = match evaluation.outcome {
            Ok(response) => (decide(guardrail, values, &response), response.warnings),
            Err(error) => (Decision::Undecided { error: error.to_string() }, Vec::new()),
        };
        let settings = sha256(json(&guardrail.settings).as_bytes());
        let proof = Some(Proof { module: evaluation.module_digest, settings, fuel: evaluation.fuel });
        Some(Verdict { warnings, proof, ..self.verdict(moment, guardrail.mode, decision) })
    }

    fn undecided(&self, error: &Undecided) -> Verdict {
        let (mode, error) = match &self.bound.binding {
            Binding::Bound { guardrail, .. } => (guardrail.mode, error.to_string()),
            // Its own mode cannot be read, so it protects.
            Binding::Broken { error } => (GuardrailMode::Protect, format!("it cannot be read: {error}")),
        };
        self.verdict(Moment::Judge, mode, Decision::Undecided { error })
    }

    fn verdict(&self, moment: Moment, mode: GuardrailMode, decision: Decision) -> Verdict {
        Verdict {
            guardrail: self.bound.name.clone(),
            place: Some(self.bound.place.to_string()),
            moment,
            mode,
            decision,
            warnings: Vec::new(),
            proof: None,
        }
    }
}
