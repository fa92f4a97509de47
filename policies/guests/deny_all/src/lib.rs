//! Denies everything, whatever its settings: what tests put in the place of another guardrail.

use faultline_guest::{Description, Guardrail, Inputs, Moment, Object, Response, Review, finding, guardrail};

/// The guardrail.
struct DenyAll;

impl Guardrail for DenyAll {
    type Settings = ();

    fn describe() -> Description {
        Description {
            name: "deny_all".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: vec!["deny-all".to_owned()],
            moments: vec![Moment::Judge, Moment::Admit],
            inputs: Inputs::empty(),
        }
    }

    fn settings(settings: &mut Object<'_>) -> Option<()> {
        settings.accept_any();
        Some(())
    }

    fn evaluate((): &(), review: &Review) -> Result<Response, String> {
        let moment = if review.admission.is_some() { "admit" } else { "judge" };
        let denial = finding("deny-all", "metadata.name", format!("everything is denied, here at {moment}"));
        Ok(Response::deny(vec![denial]))
    }
}

guardrail!(DenyAll);
