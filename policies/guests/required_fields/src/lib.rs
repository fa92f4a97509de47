//! Fields that every experiment has to give, though they may be left out elsewhere.

use faultline_guest::{
    Description, Experiment, Failtype, Finding, Globs, Guardrail, Inputs, Moment, Object, Response, Review,
    faults, finding, guardrail, is_among,
};

/// The guardrail.
struct RequiredFields;

/// At least one thing is required.
struct Required {
    duration: bool,
    /// The failtypes that need times.
    times: Vec<Failtype>,
    owner: bool,
    ticket: bool,
    /// What a ticket looks like.
    ticket_like: Option<Globs>,
}

impl Guardrail for RequiredFields {
    type Settings = Required;

    fn describe() -> Description {
        Description {
            name: "required_fields".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: ["duration", "times", "owner", "ticket"].map(str::to_owned).to_vec(),
            moments: vec![Moment::Judge],
            inputs: Inputs::empty(),
        }
    }

    fn settings(settings: &mut Object<'_>) -> Option<Required> {
        let required = Required {
            duration: settings.switch("duration"),
            times: settings.failtypes("times").unwrap_or_default(),
            owner: settings.switch("owner"),
            ticket: settings.switch("ticket"),
            ticket_like: settings.texts("ticketLike"),
        };
        let Required { duration, times, owner, ticket, ticket_like } = &required;
        let nothing = !duration && times.is_empty() && !owner && !ticket && ticket_like.is_none();
        if nothing && settings.is_fine() {
            settings.problem("nothing is required: give duration, times, owner, ticket or ticketLike");
        }
        Some(required)
    }

    fn evaluate(required: &Required, review: &Review) -> Result<Response, String> {
        let experiment = &review.experiment;
        let findings = [fields(required, experiment), annotations(required, experiment)];
        Ok(Response::deny(findings.concat()))
    }
}

guardrail!(RequiredFields);

/// What is missing in the spec.
fn fields(required: &Required, experiment: &Experiment) -> Vec<Finding> {
    let mut missing = Vec::new();
    if required.duration && experiment.duration.is_none() {
        missing.push(finding("duration", "spec.duration", "a duration is required".to_owned()));
    }
    if is_among(&experiment.fault, &required.times) && experiment.times.is_none() {
        let message = format!("{} need a number of times above 0", faults(&experiment.fault));
        missing.push(finding("times", "spec.failKernRequest.times", message));
    }
    missing
}

/// What is missing in the annotations, or does not look like what it should be. A value is not repeated: it may be
/// anything.
fn annotations(required: &Required, experiment: &Experiment) -> Vec<Finding> {
    let value =
        |wanted: &str| experiment.annotations.iter().find(|(name, _)| name == wanted).map(|(_, value)| value);
    let mut wrong = Vec::new();
    for (name, required) in [("owner", required.owner), ("ticket", required.ticket)] {
        if required && value(name).is_none() {
            let message = format!("the annotation faultline.dev/{name} is required");
            wrong.push(finding(name, "metadata.annotations", message));
        }
    }
    if let (Some(like), Some(ticket)) = (&required.ticket_like, value("ticket"))
        && !like.matches(ticket)
    {
        let message = format!("the ticket does not look like one of {}", like.listed());
        wrong.push(finding("ticket", "metadata.annotations", message));
    }
    wrong
}
