//! What guardrails lead to.

use faultline_api::{Reason, RunState};

use crate::{
    judge::{Decision, Force},
    testing::{Document, World, pods},
};

fn world(document: &Document) -> World {
    let mut world = World::with(pods(4));
    world.write("x.yaml", document.yaml());
    world
}

/// The reason why the only experiment has no run.
fn refusal(world: &World) -> (Option<Reason>, String) {
    let (plan, _) = world.plan();
    assert_eq!(plan.nodes.values().map(Vec::len).sum::<usize>(), 0);
    let why_not = plan.report.why_nots.into_iter().find(|why_not| why_not.subject == "app/x").unwrap();
    (why_not.reason, why_not.message)
}

#[test]
fn a_cap_holds_where_nothing_was_asked_for() {
    for (script, value) in [
        ("times 3", "times       3 (asked for unlimited, tightened)"),
        ("probability 5", "probability 5 % (asked for 100 %, tightened)"),
        ("duration 9", "duration    9s (asked for none, tightened)"),
    ] {
        let mut world = world(&Document { times: Some(0), ..Document::named("x") });
        let text = world.guard("cap", "", script).plan().0.to_text();
        assert!(text.contains(value), "{text}");
    }
}

#[test]
fn what_begins_may_be_denied_and_tried_again_but_a_denied_run_never_resumes() {
    let mut world = world(&Document::named("x"));
    world.guard("g", "message: ask us", "deny").settle();
    assert_eq!(refusal(&world), (Some(Reason::Denied), "g: no experiment passes (ask us)".to_owned()));
    world.guard("g", "", "allow").settle();
    assert_eq!(world.run("x").state, RunState::Running);
    world.guard("g", "", "deny").settle();
    assert_eq!((world.run("x").state, world.run("x").reason), (RunState::Stopped, Reason::Denied));
    assert!(world.hit("x").is_empty());
    world.guard("g", "", "allow").settle();
    assert_eq!(world.run("x").state, RunState::Stopped);
}

#[test]
fn a_guardrail_that_only_monitors_is_heard_and_not_obeyed() {
    let mut world = world(&Document::named("x"));
    world.guard("g", "mode: monitor", "deny").settle();
    assert_eq!(world.run("x").state, RunState::Running);
    assert!(world.plan().0.to_text().contains("g (only monitors): deny"));
}

#[test]
fn what_was_said_of_an_experiment_without_a_run_is_in_the_plan_all_the_same() {
    for script in ["deny", "late deny"] {
        let mut world = world(&Document::named("x"));
        world.guard("g", "", script).guard("watch", "mode: monitor", "times 3").settle();
        let plan = world.plan().0;
        let said = plan.refused["app/x"].iter().map(|verdict| {
            let words = (verdict.decision.as_str(), verdict.force());
            (verdict.guardrail.as_str(), words)
        });
        let said: Vec<_> = said.collect();
        let expected = [("g", ("deny", Force::Obeyed)), ("watch", ("mutate", Force::Monitored))];
        assert!(said.len() == 2 && expected.iter().all(|verdict| said.contains(verdict)), "{said:?}");
        assert_eq!(plan.verdicts().count(), 2);
        world.guard("g", "", "allow").settle();
        let plan = world.plan().0;
        assert!(plan.refused.is_empty() && plan.verdicts().count() == 2);
    }
}

#[test]
fn where_mutation_is_not_allowed_a_tightening_denies_and_one_that_changes_nothing_does_not() {
    let mut over = world(&Document { times: Some(50), ..Document::named("x") });
    over.guard("g", "allowedToMutate: false", "times 10");
    assert_eq!(refusal(&over).0, Some(Reason::Denied));
    let mut within = world(&Document { times: Some(5), ..Document::named("x") });
    within.guard("g", "allowedToMutate: false", "times 10").settle();
    assert_eq!(within.run("x").state, RunState::Running);
}

#[test]
fn a_guardrail_that_cannot_decide_lets_nothing_pass_that_it_matches() {
    for (spec, script) in [("", "trap"), ("", "no script"), ("", "late trap")] {
        let mut world = world(&Document::named("x"));
        world.guard("g", spec, script);
        assert_eq!(refusal(&world).0, Some(Reason::Undecided), "{script}");
    }
    let mut elsewhere = world(&Document::named("x"));
    elsewhere.guard("g", "match: { namespaces: [prod-*] }", "trap").settle();
    assert_eq!(elsewhere.run("x").state, RunState::Running);
}

#[test]
fn a_missing_module_and_an_unreadable_guardrail_let_nothing_pass() {
    let mut missing = world(&Document::named("x"));
    missing.guard("g", "", "allow").platform.as_mut().unwrap().remove("modules/g");
    assert!(refusal(&missing).1.contains("modules/g: no such file in source platform"));
    let mut broken = world(&Document::named("x"));
    broken.guard("g", "match: { namespaces: [prod-*] }\nmood: x", "allow");
    assert_eq!(refusal(&broken).0, Some(Reason::Undecided));
    let mut garbled = world(&Document::named("x"));
    garbled.guard("g", "", "allow").platform.as_mut().unwrap().insert("a.yaml".to_owned(), "{".to_owned());
    assert_eq!(refusal(&garbled).0, Some(Reason::Undecided));
}

#[test]
fn a_guardrail_that_cannot_be_asked_is_told_of_with_its_place_whether_or_not_an_experiment_meets_it() {
    for (spec, script, why) in [
        ("settings: { refused: too much }", "allow", "the settings are not valid: too much"),
        ("settings: { refused: too much }", "late allow", "the settings are not valid: too much"),
        ("", "", "the module cannot be read: modules/g: no such file in source platform"),
    ] {
        let mut world = World::with(pods(1));
        world.guard("g", spec, script);
        if script.is_empty() {
            world.platform.as_mut().unwrap().remove("modules/g");
        }
        let alone = world.plan().0.report.why_nots;
        assert_eq!(alone.len(), 1, "{alone:?}");
        assert_eq!((&*alone[0].subject, alone[0].reason), ("guardrail g", Some(Reason::Invalid)));
        assert_eq!((alone[0].place.as_deref(), &*alone[0].message), (Some("platform:g.yaml:1"), why));
        world.write("x.yaml", Document::named("x").yaml());
        assert_eq!(refusal(&world), (Some(Reason::Undecided), format!("g at platform:g.yaml:1: {why}")));
        assert!(world.plan().0.report.why_nots.contains(&alone[0]));
    }
}

#[test]
fn a_guardrail_in_a_source_of_experiments_does_not_count() {
    let mut world = world(&Document::named("x"));
    world.write("g.yaml", crate::testing::guardrail("g", "")).settle();
    assert_eq!(world.run("x").state, RunState::Running);
    assert!(world.plan().0.to_text().contains("guardrails count only in a platform source"));
}

#[test]
fn a_budget_over_the_fleet_never_evicts_a_runner_for_a_newcomer() {
    let mut world = World::with(pods(4));
    world.write("m.yaml", Document::named("m").mode("fixed", Some(2)).yaml());
    world.settle();
    world.guard("fleet", "", "fleet 2").wait(1);
    // Its name comes first, and it comes too late.
    world.write("a.yaml", Document::named("a").yaml()).settle();
    assert_eq!(world.hit("m").len(), 2);
    assert!(world.activations("a").is_empty());
    world.files.remove("m.yaml");
    world.settle();
    world.settle();
    assert_eq!(world.hit("a").len(), 1);
}

#[test]
fn a_run_that_no_guardrail_is_asked_about_counts_for_those_that_follow() {
    let mut world = World::with(pods(4));
    world.guard("fleet", "match: { failtypes: [0] }", "fleet 2").guard("other", "", "late times 9");
    for (name, failtype) in [("a", 0), ("b", 2), ("c", 0), ("d", 2)] {
        world.write(&format!("{name}.yaml"), Document { failtype, ..Document::named(name) }.yaml());
    }
    world.settle();
    let hit: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| world.hit(name).len()).collect();
    assert_eq!(hit, [1, 1, 0, 1]);
}

#[test]
fn limits_on_targets_and_dropped_pods_apply_to_newcomers_and_runners() {
    let mut fresh = world(&Document::named("x").mode("all", None));
    fresh.guard("g", "", "late targets 2").settle();
    assert_eq!(fresh.hit("x").len(), 2);
    let mut runner = world(&Document::named("x").mode("all", None));
    runner.settle();
    runner.guard("g", "", "drop uid-app-p1").settle();
    assert_eq!(runner.hit("x").len(), 3);
    assert!(!runner.hit("x").contains("uid-app-p1"));
}

#[test]
fn limits_within_a_run_stay_when_the_guardrail_is_gone() {
    let mut world = world(&Document::named("x"));
    world.guard("g", "", "times 4").settle();
    world.platform = Some(Default::default());
    world.settle();
    assert_eq!(world.run("x").tightened.times, Some(4));
    assert_eq!(world.plan().0.runs[0].effective.times, Some(4));
}

#[test]
fn an_empty_call_chain_and_endless_page_faults_are_refused_by_default() {
    let empty = Document { chain: Vec::new(), ..Document::named("x") };
    let pages = Document { failtype: 1, ..Document::named("x") };
    for (document, word) in [(&empty, "empty call chain"), (&pages, "page faults")] {
        let mut world = world(document);
        let (reason, message) = refusal(&world);
        assert_eq!(reason, Some(Reason::Denied));
        assert!(message.contains(word), "{message}");
        world.defaults.refuse_empty_call_chain = false;
        world.defaults.refuse_unbounded_page_faults = false;
        world.settle();
        assert_eq!(world.run("x").state, RunState::Running);
    }
}

#[test]
fn a_chain_of_nothing_but_the_target_functions_predicate_is_not_empty() {
    let mut world = world(&Document { chain: Vec::new(), ..Document::named("x") });
    let text = Document { chain: Vec::new(), ..Document::named("x") }.yaml();
    world.write("x.yaml", text + "    callchain:\n      - predicate: s->size > 4096\n").settle();
    assert_eq!(world.run("x").state, RunState::Running);
}

#[test]
fn a_guardrail_that_bounds_page_faults_makes_them_acceptable() {
    let mut world = world(&Document { failtype: 1, ..Document::named("x") });
    world.guard("cap", "", "times 10").settle();
    assert_eq!(world.run("x").state, RunState::Running);
}

#[test]
fn verdicts_say_which_module_and_settings_they_rest_on() {
    let mut world = world(&Document::named("x"));
    let (plan, _) = world.guard("g", "settings: { a: 1 }", "times 2").plan();
    let verdict = &plan.runs[0].verdicts[0];
    assert!(matches!(verdict.decision, Decision::Mutate { .. }));
    let proof = verdict.proof.as_ref().unwrap();
    assert_eq!(proof.module, crate::digest::sha256(b"times 2"));
    assert_eq!(proof.settings, crate::digest::sha256(br#"{"a":1}"#));
}

#[test]
fn labels_of_targets_decide_whether_a_guardrail_is_asked() {
    let by_label = "match: { labelSelector: { matchLabels: { app: db } } }";
    for (label, times) in [("db", Some(4)), ("web", None)] {
        let mut world = world(&Document { times: None, ..Document::named("x") });
        for pod in world.pods() {
            pod.labels.insert("app".to_owned(), label.to_owned());
        }
        world.guard("g", by_label, "times 4").settle();
        assert_eq!(world.run("x").tightened.times, times, "{label}");
    }
}

#[test]
fn a_guardrail_by_labels_that_cannot_decide_lets_nothing_pass_that_it_matches() {
    for (label, state) in [("db", None), ("web", Some(RunState::Running))] {
        let mut world = world(&Document::named("x"));
        for pod in world.pods() {
            pod.labels.insert("app".to_owned(), label.to_owned());
        }
        world.guard("g", "match: { labelSelector: { matchLabels: { app: db } } }", "trap").settle();
        assert_eq!(world.ledger.runs.values().next().map(|run| run.state), state, "{label}");
    }
}

#[test]
fn labels_of_namespaces_decide_too_and_one_that_the_inventory_lacks_may_have_any() {
    let front = "match: { namespaceSelector: { matchLabels: { tier: front } } }";
    let named = "match: { namespaceSelector: { matchLabels: { kubernetes.io/metadata.name: app } } }";
    for (labels, spec, times) in [
        (Some("front"), front, Some(4)),
        (Some("back"), front, None),
        (None, front, Some(4)),
        (Some("back"), named, Some(4)),
    ] {
        let mut world = world(&Document { times: None, ..Document::named("x") });
        if let Some(tier) = labels {
            let namespace = crate::inventory::Namespace {
                labels: [("tier".to_owned(), tier.to_owned())].into(),
                ..Default::default()
            };
            world.inventory.as_mut().unwrap().namespaces.insert("app".to_owned(), namespace);
        }
        world.guard("g", spec, "times 4").settle();
        assert_eq!(world.run("x").tightened.times, times, "{labels:?} {spec}");
    }
}

#[test]
fn without_an_inventory_a_guardrail_by_labels_is_said_not_to_be_asked_yet() {
    let mut world = world(&Document::named("x"));
    world.inventory = None;
    world.guard("g", "match: { labelSelector: { matchLabels: { app: db } } }", "deny");
    let (plan, _) = world.plan();
    assert!(plan.runs[0].verdicts.is_empty());
    assert!(plan.to_text().contains("not judged on targets: needs selection"));
}

/// Until ten seconds after the start.
const EXCEPTION: &str = "exceptions: [{ experiments: [\"app/x*\"], expiresAt: \"2023-11-14T22:13:30Z\", reason: \
                         game day, ticket: OPS-4 }]";

#[test]
fn an_exception_is_shown_and_lets_pass_what_it_names_until_it_ends() {
    for script in ["deny", "late deny", "trap", "late trap", "times 3"] {
        let mut world = world(&Document { times: None, ..Document::named("x") });
        world.write("y.yaml", Document { times: None, ..Document::named("y") }.yaml());
        world.guard("g", EXCEPTION, script).settle();
        assert_eq!(world.run("x").state, RunState::Running, "{script}");
        assert_eq!(world.run("x").tightened.times, None);
        let other = world.ledger.runs.iter().find(|(key, _)| key.experiment.name == "y");
        assert!(other.is_none_or(|(_, run)| run.tightened.times == Some(3)), "{script}");
        let (plan, _) = world.plan();
        assert!(
            plan.to_text().contains("not obeyed until 2023-11-14T22:13:30Z: game day (OPS-4)"),
            "{script}"
        );
        assert_eq!(plan.next, Some(crate::testing::at(10)), "{script}");

        world.wait(10).settle();
        let run = world.run("x");
        match script {
            "deny" | "late deny" => {
                assert_eq!((run.state, run.reason), (RunState::Stopped, Reason::Denied));
                assert!(
                    run.message.contains("its exception ended at 2023-11-14T22:13:30Z"),
                    "{}",
                    run.message
                );
            }
            "times 3" => assert_eq!(run.tightened.times, Some(3)),
            _ => assert_eq!((run.state, run.reason), (RunState::Held, Reason::Undecided)),
        }
    }
}

#[test]
fn an_exception_from_one_guardrail_is_none_from_its_twin() {
    let mut world = world(&Document::named("x"));
    world.guard("g", EXCEPTION, "deny");
    let platform = world.platform.as_mut().unwrap();
    platform.insert("twin.yaml".to_owned(), crate::testing::guardrail("g", ""));
    assert_eq!(refusal(&world).0, Some(Reason::Denied));
}
