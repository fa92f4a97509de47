//! Caps on probability, times and duration.
//!
//! An experiment over a cap is tightened to it, or denied with `onExceed: deny`. One that gives no times or no
//! duration has no limit, and so is over every cap.

use faultline_guest::{
    Description, Experiment, Finding, GoDuration, Guardrail, Inputs, Limit, Moment, Object, Response, Review,
    finding, guardrail, tighten,
};

/// The guardrail.
struct CapLimits;

/// At least one cap is set.
struct Caps {
    /// Percent.
    probability: Option<u8>,
    times: Option<u64>,
    duration: Option<GoDuration>,
    deny: bool,
}

impl Guardrail for CapLimits {
    type Settings = Caps;

    fn describe() -> Description {
        Description {
            name: "cap_limits".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: ["probability", "times", "duration"].map(str::to_owned).to_vec(),
            moments: vec![Moment::Judge],
            inputs: Inputs::empty(),
        }
    }

    fn settings(settings: &mut Object<'_>) -> Option<Caps> {
        let probability =
            settings.object("probability", |cap| required(cap, |cap| cap.integer("max", 0..=100)));
        let times = settings.object("times", |cap| required(cap, |cap| cap.integer("max", 1..=u64::MAX)));
        let duration = settings.object("duration", |cap| required(cap, |cap| cap.duration("max")));
        let deny = settings.choice("onExceed", &["tighten", "deny"]) == Some(1);
        if settings.is_fine() && probability.is_none() && times.is_none() && duration.is_none() {
            settings.problem("no cap is set: give probability.max, times.max or duration.max");
        }
        let probability = probability.and_then(|percent| u8::try_from(percent).ok());
        Some(Caps { probability, times, duration, deny })
    }

    fn evaluate(caps: &Caps, review: &Review) -> Result<Response, String> {
        let mut response = Response::allow();
        for (limit, finding) in exceeded(caps, &review.experiment) {
            if caps.deny {
                response.denials.push(finding);
            } else {
                response.tightenings.push(tighten(limit, finding));
            }
        }
        Ok(response)
    }
}

guardrail!(CapLimits);

/// A cap without its value would cap nothing.
fn required<T>(cap: &mut Object<'_>, read: impl FnOnce(&mut Object<'_>) -> Option<T>) -> Option<T> {
    let value = read(cap);
    if value.is_none() && cap.is_fine() {
        cap.problem("max is missing");
    }
    value
}

/// The caps that `experiment` is over.
fn exceeded(caps: &Caps, experiment: &Experiment) -> Vec<(Limit, Finding)> {
    let mut over = Vec::new();
    if let Some(max) = caps.probability.filter(|max| experiment.probability > *max) {
        let message = format!("{} % is over the cap of {max} %", experiment.probability);
        over.push((
            Limit::Probability(max),
            finding("probability", "spec.failKernRequest.probability", message),
        ));
    }
    if let Some(max) = caps.times.filter(|max| experiment.times.is_none_or(|times| times > *max)) {
        let message = match experiment.times {
            Some(times) => format!("{times} is over the cap of {max}"),
            None => format!("unlimited is over the cap of {max}"),
        };
        over.push((Limit::Times(max), finding("times", "spec.failKernRequest.times", message)));
    }
    let duration = experiment.duration.map(GoDuration::from_nanos);
    if let Some(max) = caps.duration.filter(|max| duration.is_none_or(|duration| duration > *max)) {
        let message = match duration {
            Some(duration) => format!("{duration} is over the cap of {max}"),
            None => format!("unlimited is over the cap of {max}"),
        };
        over.push((Limit::Duration(max.as_nanos()), finding("duration", "spec.duration", message)));
    }
    over
}
