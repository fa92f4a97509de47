//! What a policy is asked, and what its answers come to.

use faultline_core::review::{Evaluator, Inputs, Moment, Operation, Undecided};
use serde_json::{Value, json};

use crate::{
    HOST,
    fixtures::{ask, assert_bad_answer, outcome, review, spoiled},
    wat_guest::{FINE, Guest},
};

/// Gives up with its question for a reason: so it can be read here.
const ECHO: &str = "(call $request (i32.const 1024) (i32.const 1040))
    (call $error (i32.const 1040) (local.get $payload)) i32.const 0";

/// A policy whose answer to `validate` is `said`.
fn saying(said: &str) -> Guest {
    let more = format!("(data (i32.const 1024) {said:?})");
    let validate = format!("(call $response (i32.const 1024) (i32.const {})) i32.const 1", said.len());
    Guest { more: more.leak(), validate: validate.leak(), ..FINE }
}

#[test]
fn a_policy_is_asked_as_kubernetes_asks() {
    let question = |operation| {
        let review = faultline_core::review::Review { operation, ..review("  duration: 5m\n", "") };
        let module = Guest { validate: ECHO, ..FINE }.build();
        match HOST.evaluate(&module, &json!({ "a": [1, "é"] }), &review).outcome {
            Err(Undecided::GaveUp(question)) => serde_json::from_str::<Value>(&question).unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let kind = json!({ "group": "chaos-mesh.org", "version": "v1alpha1", "kind": "KernelChaos" });
    let resource = json!({ "group": "chaos-mesh.org", "version": "v1alpha1", "resource": "kernelchaos" });
    let expected = json!({
        "request": {
            "uid": "",
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": "mount",
            "namespace": "shop",
            "operation": "CREATE",
            "userInfo": {},
            "object": {
                "apiVersion": "chaos-mesh.org/v1alpha1",
                "kind": "KernelChaos",
                "metadata": { "name": "mount", "namespace": "shop" },
                "spec": {
                    "mode": "one",
                    "selector": { "namespaces": ["shop"] },
                    "failKernRequest": { "failtype": 2 },
                    "duration": "5m",
                },
            },
            "dryRun": false,
        },
        "settings": { "a": [1, "é"] },
    });
    assert_eq!(question(Operation::Create), expected);
    for operation in [Operation::Update, Operation::Renew] {
        assert_eq!(question(operation)["request"]["operation"], "UPDATE");
    }
}

#[test]
fn settings_are_validated_as_they_are_written_and_none_are_an_empty_object() {
    let module = Guest { settings: ECHO, ..FINE }.build();
    let told = |settings: Value| match HOST.check(&module, &settings) {
        Err(Undecided::InvalidSettings(problems)) => problems.concat(),
        other => panic!("{other:?}"),
    };
    assert_eq!(told(json!({ "a": 1 })), r#"{"a":1}"#);
    assert_eq!(told(Value::Null), "{}");
}

#[test]
fn a_policy_wants_the_document_and_is_asked_about_it_alone() {
    let description = HOST.describe(&FINE.build()).unwrap();
    assert_eq!((&*description.name, &*description.version), ("unnamed", "unknown"));
    assert_eq!((description.rules, description.moments), (vec!["validate".to_owned()], vec![Moment::Judge]));
    assert_eq!(description.inputs, Inputs { raw: true, ..Inputs::default() });
    let noted = r#"(@custom "io.kubewarden.metadata"
        "{\"protocolVersion\":\"v1\",\"annotations\":{\"io.kubewarden.policy.title\":\"caps\"}}")"#;
    assert_eq!(HOST.describe(&Guest { more: noted, ..FINE }.build()).unwrap().name, "caps");
}

#[test]
fn what_is_not_accepted_is_denied_and_warnings_are_shown() {
    let said = r#"{"accepted":false,"message":"not here","code":403,"warnings":["mind the gap"]}"#;
    let response = outcome(&saying(said)).unwrap();
    let shown = |found: &[faultline_core::review::Finding]| {
        let one = |found: &faultline_core::review::Finding| {
            (found.rule.clone(), found.path.clone(), found.message.clone())
        };
        found.iter().map(one).collect::<Vec<_>>()
    };
    let found = |message: &str| vec![("validate".to_owned(), ".".to_owned(), message.to_owned())];
    assert_eq!(shown(&response.denials), found("not here"));
    assert_eq!(shown(&response.warnings), found("mind the gap"));
    assert_eq!(response.tightenings, []);
}

#[test]
fn an_answer_that_is_none_allows_nothing() {
    for said in ["", "yes", "{}", r#"{"accepted":"true"}"#, r#"{"accepted":true"#, "[true]", "\u{1}"] {
        assert_bad_answer(&saying(said), "");
    }
    let guest = Guest {
        validate: "(call $response (i32.const 0) (i32.const 262145)) i32.const 1",
        memory: r#"(memory (export "memory") 5)"#,
        ..FINE
    };
    assert_bad_answer(&guest, "more than 256 KiB");
    let guest = Guest {
        validate: "(call $error (i32.const 0) (i32.const 262145)) i32.const 0",
        memory: r#"(memory (export "memory") 5)"#,
        ..FINE
    };
    assert_bad_answer(&guest, "more than 256 KiB");
}

#[test]
fn only_one_with_a_response_is_an_answer() {
    let gave_up = |why: &str| Undecided::GaveUp(why.into());
    assert_eq!(spoiled(&Guest { validate: "i32.const 0", ..FINE }), gave_up("the module gives no reason"));
    let error = "(call $error (i32.const 81) (i32.const 3)) i32.const 0";
    assert_eq!(spoiled(&Guest { validate: error, ..FINE }), gave_up("ube"));
    let both = "(call $response (i32.const 48) (i32.const 17)) (call $error (i32.const 80) (i32.const 3))";
    let guest = |returned: &str| Guest { validate: format!("{both} i32.const {returned}").leak(), ..FINE };
    assert_eq!(spoiled(&guest("0")), gave_up("kub"));
    assert_bad_answer(&guest("1"), "at once");
    assert_bad_answer(&guest("2"), "neither 0 nor 1");
    assert_bad_answer(&guest("-1"), "neither 0 nor 1");
    assert_bad_answer(&Guest { validate: "i32.const 1", ..FINE }, "without an answer");
    // What was said before the question is no answer to it.
    let early = r#"(func (export "wapc_init") (call $response (i32.const 48) (i32.const 17)))"#;
    assert_bad_answer(&Guest { validate: "i32.const 1", more: early, ..FINE }, "without an answer");
    // The last word counts.
    let twice = "(call $response (i32.const 0) (i32.const 4)) (call $response (i32.const 48) (i32.const 17)) i32.const 1";
    assert!(outcome(&Guest { validate: twice, ..FINE }).is_ok());
}

#[test]
fn another_version_of_the_protocol_is_refused() {
    let guest = |said: &str| {
        let more = format!("(data (i32.const 1024) {said:?})");
        let version = format!("(call $response (i32.const 1024) (i32.const {})) i32.const 1", said.len());
        Guest { more: more.leak(), version: version.leak(), ..FINE }
    };
    let why = spoiled(&guest(r#""v2""#));
    assert!(matches!(&why, Undecided::RefusedModule(text) if text.contains(r#""v2""#)), "{why:?}");
    assert_bad_answer(&guest("1"), "");
    assert_eq!(
        spoiled(&Guest { version: "(call $error (i32.const 80) (i32.const 4)) i32.const 0", ..FINE }),
        Undecided::GaveUp("kube".into())
    );
}

#[test]
fn settings_that_the_policy_dislikes_are_not_valid() {
    let settings = "(call $response (i32.const 1024) (i32.const 33)) i32.const 1";
    let more = r#"(data (i32.const 1024) "{\"valid\":false,\"message\":\"empty\"}")"#;
    let why = spoiled(&Guest { settings, more, ..FINE });
    assert_eq!(why, Undecided::InvalidSettings(vec!["empty".into()]));
    // So the SDKs say that they cannot read them.
    let error = "(call $error (i32.const 80) (i32.const 4)) i32.const 0";
    let why = spoiled(&Guest { settings: error, ..FINE });
    assert_eq!(why, Undecided::InvalidSettings(vec!["kube".into()]));
    assert_bad_answer(&Guest { settings: "i32.const 1", ..FINE }, "without an answer");
}

#[test]
fn a_mutated_object_is_a_tightening_or_refused_by_its_path() {
    let object = r#""apiVersion":"chaos-mesh.org/v1alpha1","kind":"KernelChaos","metadata":{"name":"mount","namespace":"shop"}"#;
    let mutated = |mode: &str, times: u32| {
        let spec = format!(
            r#"{{"mode":"{mode}","selector":{{"namespaces":["shop"]}},"failKernRequest":{{"failtype":2,"times":{times}}}}}"#
        );
        saying(&format!(r#"{{"accepted":true,"mutated_object":{{{object},"spec":{spec}}}}}"#))
    };
    let response = outcome(&mutated("one", 3)).unwrap();
    let [tightening] = &response.tightenings[..] else { panic!("{response:?}") };
    assert_eq!(tightening.limit.times, Some(3));
    assert_eq!(tightening.finding.path, "spec.failKernRequest.times");
    assert_eq!(tightening.finding.message, "changed from nothing to 3");
    assert_bad_answer(&mutated("all", 3), r#"spec.mode from "one" to "all""#);
    // The same policy, the same answer.
    let module = mutated("one", 3).build();
    assert_eq!(ask(&HOST, &module), ask(&crate::fixtures::host(faultline_policies::limits::FUEL), &module));
}
