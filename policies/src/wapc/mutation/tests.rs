use std::sync::Arc;

use faultline_api::{Content, decode};
use faultline_core::review::{Operation, SourceFacts};
use serde_json::json;

use super::*;

/// About an experiment with `more` in its spec.
pub(in crate::wapc) fn review(more: &str) -> Review {
    let yaml = format!(
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: {{ name: mount, namespace: shop }}\n\
         spec: {{ selector: {{ namespaces: [shop] }}, {} }}\n",
        if more.is_empty() { "mode: all, failKernRequest: { failtype: 0 }" } else { more }
    );
    let mut file = decode(&yaml);
    let document = file.documents.remove(0);
    let Content::Experiment(experiment) = document.content else { panic!("{:?}", file.diagnostics) };
    Review {
        experiment: Arc::unwrap_or_clone(Arc::from(experiment)),
        raw: document.raw,
        operation: Operation::Create,
        source: SourceFacts { name: "team".into(), revision: "r1".into(), author: None, verified: false },
        admission: None,
    }
}

/// What comes of an experiment with `more` whose value at `pointer` becomes `value` (`null`: nothing).
fn mutate(more: &str, pointer: &str, value: Value) -> Result<Vec<(String, Tightening)>, String> {
    let review = review(more);
    let mut mutated = review.raw.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    mutated.pointer_mut(parent).unwrap().as_object_mut().unwrap().insert(key.to_owned(), value);
    let found = tightenings(&review, &mutated, None).map_err(|why| why.to_string())?;
    Ok(found.into_iter().map(|one| (one.finding.path, one.limit)).collect())
}

const FREE: &str = "mode: all, failKernRequest: { failtype: 0 }";
const BOUND: &str = r#"mode: fixed, value: "3", duration: 10m, failKernRequest: { failtype: 0, probability: 50, times: 100 }"#;
const SHARE: &str = r#"mode: fixed-percent, value: "50", failKernRequest: { failtype: 0, times: 0 }"#;

#[test]
fn a_change_to_less_is_a_tightening() {
    let none = Tightening::default;
    let probability = |value| Tightening { probability: Percent::new(value), ..none() };
    let times = |value| Tightening { times: Some(value), ..none() };
    let duration = |secs| Tightening { duration: Some(GoDuration::from_secs(secs)), ..none() };
    let targets = |value| Tightening { targets: Some(value), ..none() };
    for (more, pointer, value, limit) in [
        (FREE, "/spec/failKernRequest/probability", json!(5), probability(5)),
        (FREE, "/spec/failKernRequest/probability", json!(0), probability(0)),
        (BOUND, "/spec/failKernRequest/probability", json!(49), probability(49)),
        (FREE, "/spec/failKernRequest/times", json!(7), times(7)),
        (SHARE, "/spec/failKernRequest/times", json!(7), times(7)),
        (BOUND, "/spec/failKernRequest/times", json!(99), times(99)),
        (FREE, "/spec/duration", json!("90s"), duration(90)),
        (BOUND, "/spec/duration", json!("9m59s"), duration(599)),
        (FREE, "/spec/mode", json!("one"), targets(1)),
        (BOUND, "/spec/mode", json!("one"), targets(1)),
        (BOUND, "/spec/value", json!("2"), targets(2)),
        (BOUND, "/spec/value", json!(1), targets(1)),
    ] {
        let path = pointer[1..].replace('/', ".");
        assert_eq!(mutate(more, pointer, value.clone()), Ok(vec![(path, limit)]), "{pointer} {value}");
    }
}

#[test]
fn what_comes_to_the_same_is_no_change() {
    for (more, pointer, value) in [
        (FREE, "/spec/failKernRequest/probability", json!(100)),
        (BOUND, "/spec/failKernRequest/probability", json!(50.0)),
        (FREE, "/spec/failKernRequest/times", json!(0)),
        (SHARE, "/spec/failKernRequest/times", Value::Null),
        (BOUND, "/spec/duration", json!("600s")),
        (BOUND, "/spec/value", json!(3)),
        (FREE, "/spec/value", json!("7")),
        (FREE, "/status", Value::Null),
    ] {
        assert_eq!(mutate(more, pointer, value.clone()), Ok(vec![]), "{pointer} {value}");
    }
}

#[test]
fn any_other_change_is_refused_by_its_path() {
    for (more, pointer, value, part) in [
        (
            BOUND,
            "/spec/failKernRequest/probability",
            json!(51),
            "spec.failKernRequest.probability from 50 to 51",
        ),
        (BOUND, "/spec/failKernRequest/probability", Value::Null, "from 50 to nothing"),
        (FREE, "/spec/failKernRequest/probability", json!(101), "from nothing to 101"),
        (FREE, "/spec/failKernRequest/probability", json!(-1), "from nothing to -1"),
        (FREE, "/spec/failKernRequest/probability", json!(0.5), "from nothing to 0.5"),
        (FREE, "/spec/failKernRequest/probability", json!("5"), "from nothing to \"5\""),
        (BOUND, "/spec/failKernRequest/times", json!(101), "spec.failKernRequest.times from 100 to 101"),
        (BOUND, "/spec/failKernRequest/times", json!(0), "from 100 to 0"),
        (BOUND, "/spec/failKernRequest/times", Value::Null, "from 100 to nothing"),
        (FREE, "/spec/failKernRequest/times", json!(-3), "from nothing to -3"),
        (BOUND, "/spec/duration", json!("11m"), "spec.duration from \"10m\" to \"11m\""),
        (BOUND, "/spec/duration", Value::Null, "from \"10m\" to nothing"),
        (FREE, "/spec/duration", json!("0s"), "from nothing to \"0s\""),
        (FREE, "/spec/duration", json!("soon"), "from nothing to \"soon\""),
        (FREE, "/spec/duration", json!(60), "from nothing to 60"),
        (BOUND, "/spec/mode", json!("all"), "spec.mode from \"fixed\" to \"all\""),
        (BOUND, "/spec/mode", json!("fixed-percent"), "spec.mode"),
        (BOUND, "/spec/mode", json!("some"), "spec.mode"),
        (BOUND, "/spec/mode", Value::Null, "spec.mode"),
        (BOUND, "/spec/value", json!("4"), "spec.value from \"3\" to \"4\""),
        (BOUND, "/spec/value", json!("0"), "spec.value"),
        (BOUND, "/spec/value", Value::Null, "spec.value"),
        // It may well be fewer, but that depends on how many pods there are.
        (SHARE, "/spec/value", json!("49"), "spec.value"),
        (SHARE, "/spec/mode", json!("one"), "spec.mode"),
        (FREE, "/spec/failKernRequest/failtype", json!(1), "spec.failKernRequest.failtype from 0 to 1"),
        (FREE, "/spec/failKernRequest", Value::Null, "spec.failKernRequest from {\"failtype\":0} to nothing"),
        (
            FREE,
            "/spec/selector/namespaces",
            json!(["shop", "bank"]),
            "spec.selector.namespaces[1] from nothing",
        ),
        (FREE, "/spec/selector", json!({}), "spec.selector.namespaces from [\"shop\"] to nothing"),
        (FREE, "/metadata/labels", json!({ "a": "b" }), "metadata.labels from nothing to {\"a\":\"b\"}"),
        (FREE, "/metadata/name", json!("other"), "metadata.name"),
        (FREE, "/kind", json!("PodChaos"), "kind from"),
        (FREE, "/status", json!({}), "status from nothing to {}"),
        (FREE, "/spec", json!([]), "spec from"),
    ] {
        let why = mutate(more, pointer, value.clone()).expect_err(pointer);
        assert!(why.contains(part) && why.contains("no tightening"), "{pointer} {value}: {why}");
    }
}

#[test]
fn one_change_too_many_refuses_them_all() {
    let review = review(BOUND);
    let mut mutated = review.raw.clone();
    mutated["spec"]["duration"] = json!("1m");
    mutated["spec"]["failKernRequest"]["times"] = json!(1);
    let found = tightenings(&review, &mutated, Some("too bold")).unwrap();
    let shown: Vec<_> = found.iter().map(|one| (&*one.finding.path, &*one.finding.message)).collect();
    assert_eq!(shown, [("spec.duration", "too bold"), ("spec.failKernRequest.times", "too bold")]);
    mutated["spec"]["failKernRequest"]["probability"] = json!(60);
    assert!(matches!(tightenings(&review, &mutated, None), Err(Undecided::BadAnswer(_))));
}

#[test]
fn mode_and_value_are_one_limit() {
    let review = review(FREE);
    let mut mutated = review.raw.clone();
    mutated["spec"]["mode"] = json!("fixed");
    mutated["spec"]["value"] = json!("2");
    let found = tightenings(&review, &mutated, None).unwrap();
    let limits: Vec<_> = found.iter().map(|one| (&*one.finding.path, one.limit.targets)).collect();
    assert_eq!(limits, [("spec.mode", Some(2))]);
}

#[test]
fn an_object_that_is_none_is_refused() {
    for mutated in [json!("{}"), json!([]), json!(7), Value::Null] {
        let why = tightenings(&review(FREE), &mutated, None).unwrap_err().to_string();
        assert!(why.contains("changes . from {"), "{why}");
    }
}
