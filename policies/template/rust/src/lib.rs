//! Forbids failtypes: `failtypes: [1]` in the settings forbids page faults.

use faultline_guest::{
    Description, Failtype, Guardrail, Inputs, Moment, Object, Response, Review, faults, finding, guardrail,
    is_among,
};

/// The guardrail.
struct ForbidFailtypes;

impl Guardrail for ForbidFailtypes {
    type Settings = Vec<Failtype>;

    fn describe() -> Description {
        Description {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: vec!["failtype".to_owned()],
            // About the document alone. With `Moment::Admit` as well, or instead, it would also see the targets.
            moments: vec![Moment::Judge],
            inputs: Inputs::empty(),
        }
    }

    fn settings(settings: &mut Object<'_>) -> Option<Vec<Failtype>> {
        let forbidden = settings.failtypes("failtypes");
        if settings.is_fine() && forbidden.is_none() {
            settings.problem("failtypes is missing, and so nothing is forbidden");
        }
        forbidden
    }

    fn evaluate(forbidden: &Vec<Failtype>, review: &Review) -> Result<Response, String> {
        let fault = &review.experiment.fault;
        if !is_among(fault, forbidden) {
            return Ok(Response::allow());
        }
        let path = "spec.failKernRequest.failtype";
        Ok(Response::deny(vec![finding("failtype", path, format!("{} are forbidden", faults(fault)))]))
    }
}

guardrail!(ForbidFailtypes);
