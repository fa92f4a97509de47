//! The same module, settings and review give the same evaluation, fuel included: on another host, again, and in
//! parallel.

use std::sync::LazyLock;

use faultline_api::{CallChain, Experiment, Frame, GoDuration, Percent};
use faultline_core::review::{Evaluator, Moment};
use faultline_policies::{Host, limits};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    HOST,
    fixtures::{CAP_LIMITS, DENY_ALL, admitted, experiment, host, review},
};

static OTHER_HOST: LazyLock<Host> = LazyLock::new(host);

fn experiments() -> impl Strategy<Value = Experiment> {
    let chain = prop::collection::vec("[a-z_]{1,20}", 0..8);
    (0..=100_u8, prop::option::of(1..1_000_u64), prop::option::of(any::<u64>()), chain).prop_map(
        |(probability, times, nanos, chain)| Experiment {
            probability: Percent::new(probability).unwrap(),
            times,
            duration: nanos.map(GoDuration::from_nanos),
            call_chain: CallChain {
                frames: chain.into_iter().map(|function| Frame { function, predicate: None }).collect(),
                target: None,
            },
            ..experiment()
        },
    )
}

fn settings() -> impl Strategy<Value = Value> {
    let valid = (0..=100_u8, 1..1_000_u64, 1..100_000_u64, any::<bool>()).prop_map(|(percent, times, secs, deny)| {
        let on_exceed = if deny { "deny" } else { "tighten" };
        let duration = format!("{secs}s");
        json!({ "probability": { "max": percent }, "times": { "max": times }, "duration": { "max": duration }, "onExceed": on_exceed })
    });
    let invalid = prop_oneof![
        Just(json!({})),
        Just(Value::Null),
        any::<u64>().prop_map(|max| json!({ "probability": { "max": max } })),
        "\\PC{0,40}".prop_map(|name| json!({ name: 1 })),
    ];
    prop_oneof![4 => valid, 1 => invalid]
}

proptest! {
    #[test]
    fn the_same_question_has_the_same_answer(experiment in experiments(), settings in settings(), second in any::<bool>()) {
        let review = if second { admitted(experiment) } else { review(experiment) };
        let (one, other) = (&*HOST, &*OTHER_HOST);
        let first = one.evaluate(CAP_LIMITS, &settings, &review);
        prop_assert_eq!(&first, &other.evaluate(CAP_LIMITS, &settings, &review));
        prop_assert_eq!(&first, &one.evaluate(CAP_LIMITS, &settings, &review));
        prop_assert!(first.fuel > 0 && first.fuel < limits::FUEL / 100);
    }

    #[test]
    fn what_is_tightened_is_within_the_caps(experiment in experiments(), percent in 0..=100_u8, times in 1..1_000_u64) {
        let settings = json!({ "probability": { "max": percent }, "times": { "max": times } });
        let response = HOST.evaluate(CAP_LIMITS, &settings, &review(experiment.clone())).outcome.unwrap();
        let limit = response.tightenings.iter().fold(Default::default(), |met, one| one.limit.meet(&met));
        let faultline_api::Tightening { probability: cap, times: most, .. } = limit;
        prop_assert!(cap.map_or(experiment.probability, |cap| cap.min(experiment.probability)).get() <= percent);
        let effective = most.into_iter().chain(experiment.times).min();
        prop_assert!(effective.is_some_and(|effective| effective <= times));
    }
}

#[test]
fn more_calls_at_once_than_there_is_room_for_wait_and_agree() {
    let host = &*HOST;
    let settings = json!({ "times": { "max": 3 } });
    let expected = host.evaluate(CAP_LIMITS, &settings, &review(experiment()));
    std::thread::scope(|scope| {
        for _ in 0..limits::PARALLEL * 2 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(host.evaluate(CAP_LIMITS, &settings, &review(experiment())), expected);
                }
            });
        }
    });
}

#[test]
fn another_module_changes_the_verdict_and_nothing_else_does() {
    let host = &*HOST;
    let settings = json!({ "times": { "max": 3 } });
    let caps = host.evaluate(CAP_LIMITS, &settings, &review(experiment()));
    let denied = host.evaluate(DENY_ALL, &settings, &review(experiment()));
    assert_ne!(caps.module_digest, denied.module_digest);
    assert_eq!(caps.outcome.unwrap().denials.len(), 0);
    assert_eq!(denied.outcome.unwrap().denials.len(), 1);
}

#[test]
fn a_guest_is_asked_at_both_moments_and_can_tell_them_apart() {
    let host = &*HOST;
    let description = host.describe(DENY_ALL).unwrap();
    assert_eq!(
        (&*description.name, &*description.moments),
        ("deny_all", &[Moment::Judge, Moment::Admit][..])
    );
    let message =
        |review| host.evaluate(DENY_ALL, &Value::Null, &review).outcome.unwrap().denials.remove(0).message;
    assert_eq!(message(review(experiment())), "everything is denied, here at judge");
    assert_eq!(message(admitted(experiment())), "everything is denied, here at admit");
}

#[test]
fn compiled_code_is_kept_where_the_host_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let config = faultline_policies::HostConfig {
        compilation_cache: Some(folder.path().to_owned()),
        ..faultline_policies::HostConfig::default()
    };
    let settings = json!({ "times": { "max": 3 } });
    let evaluate = || {
        let host = Host::new(config.clone()).unwrap();
        host.evaluate(CAP_LIMITS, &settings, &review(experiment()))
    };
    assert_eq!(evaluate(), evaluate());
    assert!(std::fs::read_dir(folder.path()).unwrap().next().is_some(), "the cache holds something");
}
