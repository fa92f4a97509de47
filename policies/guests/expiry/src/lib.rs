//! When an experiment is over for good, by its annotation `faultline.dev/expires-at`.
//!
//! Whether there has to be one is asked of the document. Whether it has passed is asked with the time, again at every
//! pass: a run whose experiment expires is denied, and so stopped.

use faultline_guest::{
    Description, Finding, GoDuration, Guardrail, Inputs, Moment, Object, Response, Review, Timestamp,
    finding, guardrail,
};

const NAME: &str = "expires-at";
const PATH: &str = "metadata.annotations";
const NANOS_PER_SECOND: i128 = 1_000_000_000;

/// The guardrail.
struct Expiry;

struct Terms {
    required: bool,
    /// How far ahead it may lie.
    within: Option<GoDuration>,
}

impl Guardrail for Expiry {
    type Settings = Terms;

    fn describe() -> Description {
        Description {
            name: "expiry".to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            rules: ["required", "expired", "within"].map(str::to_owned).to_vec(),
            moments: vec![Moment::Judge, Moment::Admit],
            inputs: Inputs::empty(),
        }
    }

    fn settings(settings: &mut Object<'_>) -> Option<Terms> {
        Some(Terms { required: settings.switch("required"), within: settings.duration("within") })
    }

    fn evaluate(terms: &Terms, review: &Review) -> Result<Response, String> {
        let expires_at = review.experiment.expires_at.as_ref();
        let found = match (&review.admission, expires_at) {
            (None, None) => terms.required.then(missing),
            (Some(admission), Some(at)) => {
                let ahead = nanos(at) - nanos(&admission.now);
                judge(terms, ahead, written(review))
            }
            (None, Some(_)) | (Some(_), None) => None,
        };
        Ok(Response::deny(found.into_iter().collect()))
    }
}

guardrail!(Expiry);

fn missing() -> Finding {
    finding("required", PATH, format!("the annotation faultline.dev/{NAME} is required"))
}

/// What there is to say of an expiry that is `ahead` nanoseconds away.
fn judge(terms: &Terms, ahead: i128, written: &str) -> Option<Finding> {
    if ahead <= 0 {
        return Some(finding("expired", PATH, format!("it expired at {written}")));
    }
    let within = terms.within.filter(|within| ahead > i128::from(within.as_nanos()))?;
    Some(finding("within", PATH, format!("{written} is more than {within} ahead")))
}

/// The instant as the review writes it.
fn written(review: &Review) -> &str {
    let annotations = &review.experiment.annotations;
    annotations.iter().find(|(name, _)| name == NAME).map_or("", |(_, text)| text)
}

/// Since 1970.
fn nanos(instant: &Timestamp) -> i128 {
    i128::from(instant.seconds) * NANOS_PER_SECOND + i128::from(instant.nanoseconds)
}
