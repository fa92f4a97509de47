//! Policies as their authors build them: in Rust with Kubewarden's SDK, and in C with no SDK at all.

use faultline_api::{GoDuration, Percent};
use faultline_core::review::{Evaluator, Response, Review, Undecided};
use faultline_policies::limits;
use serde_json::{Value, json};

use crate::{
    HOST,
    fixtures::{host, review},
};

/// In Rust: lowers what exceeds its caps.
const CAP_LIMITS: &[u8] = include_bytes!("../../modules-wapc/cap_limits.wasm");
/// In C: denies one failtype.
const FORBID_FAILTYPE: &[u8] = include_bytes!("../../modules-wapc/forbid_failtype.wasm");

fn judged(module: &[u8], settings: &Value, review: &Review) -> Result<Response, Undecided> {
    HOST.evaluate(module, settings, review).outcome
}

/// Path and message of each tightening, with the limits met.
fn tightened(settings: &Value, review: &Review) -> (Vec<(String, String)>, faultline_api::Tightening) {
    let response = judged(CAP_LIMITS, settings, review).unwrap();
    assert!(response.denials.is_empty() && response.warnings.is_empty());
    let limit = response.tightenings.iter().fold(Default::default(), |met, one| one.limit.meet(&met));
    let found = response.tightenings.into_iter().map(|one| (one.finding.path, one.finding.message));
    (found.collect(), limit)
}

#[test]
fn caps_in_rust_introduce_what_is_left_out() {
    let settings =
        json!({ "probability": { "max": 5 }, "times": { "max": 100 }, "duration": { "max": "10m" } });
    let (found, limit) = tightened(&settings, &review("", ""));
    let found: Vec<_> = found.iter().map(|(path, message)| (&**path, &**message)).collect();
    let expected = [
        ("spec.duration", r#"changed from nothing to "10m0s""#),
        ("spec.failKernRequest.probability", "changed from nothing to 5"),
        ("spec.failKernRequest.times", "changed from nothing to 100"),
    ];
    assert_eq!(found, expected);
    assert_eq!((limit.probability, limit.times), (Percent::new(5), Some(100)));
    assert_eq!(limit.duration, Some(GoDuration::from_secs(600)));
}

#[test]
fn caps_in_rust_lower_what_exceeds_them_and_leave_the_rest() {
    let settings =
        json!({ "probability": { "max": 5 }, "times": { "max": 100 }, "duration": { "max": "10m" } });
    let (found, limit) = tightened(&settings, &review("  duration: 1h\n", ", probability: 4, times: 101"));
    assert_eq!(found.len(), 2);
    assert_eq!((limit.probability, limit.times), (None, Some(100)));
    let (found, _) = tightened(&settings, &review("  duration: 600s\n", ", probability: 5, times: 100"));
    assert_eq!(found, []);
}

#[test]
fn caps_in_rust_refuse_settings_that_cap_nothing() {
    let asked = |settings| judged(CAP_LIMITS, &settings, &review("", ""));
    let problems = |text: &str| Err(Undecided::InvalidSettings(vec![text.to_owned()]));
    assert_eq!(asked(Value::Null), problems("at least one of probability, times and duration is needed"));
    assert_eq!(asked(json!({ "times": { "max": 0 } })), problems("times.max of 0 would allow none"));
    for unreadable in [json!({ "time": { "max": 1 } }), json!({ "duration": { "max": "soon" } }), json!([])] {
        assert!(matches!(asked(unreadable), Err(Undecided::InvalidSettings(_))));
    }
}

#[test]
fn a_failtype_forbidden_in_c_is_denied() {
    let asked = |failtype: u8| judged(FORBID_FAILTYPE, &json!({ "failtype": failtype }), &review("", ""));
    let denials = asked(2).unwrap().denials;
    assert_eq!(denials[0].message, "this failtype is forbidden");
    assert_eq!(asked(1), Ok(Response::default()));
    assert_eq!(asked(3), Err(Undecided::InvalidSettings(vec!["failtype is 0, 1 or 2".into()])));
}

#[test]
fn the_same_question_has_the_same_answer_and_costs_the_same() {
    let other = host(limits::FUEL);
    for (module, settings) in
        [(CAP_LIMITS, json!({ "times": { "max": 3 } })), (FORBID_FAILTYPE, json!({ "failtype": 2 }))]
    {
        let review = review("", ", times: 7");
        let first = HOST.evaluate(module, &settings, &review);
        assert_eq!(first, other.evaluate(module, &settings, &review));
        assert_eq!(first, HOST.evaluate(module, &settings, &review));
        assert!(first.outcome.is_ok() && first.fuel > 0 && first.fuel < limits::FUEL / 20, "{}", first.fuel);
    }
}
