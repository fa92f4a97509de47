//! Who is hit.

use std::collections::BTreeSet;

use faultline_api::{Reason, RunState, selector::PodPhase};

use crate::testing::{Document, World, node, pod, pods};

#[test]
fn every_mode_takes_its_share_of_no_one_and_all_pods() {
    for (mode, value, at_0, at_1, at_10) in [
        ("one", None, 0, 1, 1),
        ("all", None, 0, 1, 10),
        ("fixed", Some(3), 0, 1, 3),
        ("fixed", Some(10), 0, 1, 10),
        ("fixed", Some(99), 0, 1, 10),
        ("fixed-percent", Some(1), 0, 1, 1),
        ("fixed-percent", Some(31), 0, 1, 4),
        ("fixed-percent", Some(100), 0, 1, 10),
        ("fixed-percent", Some(0), 0, 0, 0),
        ("random-max-percent", Some(0), 0, 0, 0),
    ] {
        for (there, expected) in [(0, at_0), (1, at_1), (10, at_10)] {
            let mut world = World::with(pods(there));
            world.write("x.yaml", Document::named("x").mode(mode, value).yaml());
            world.settle();
            assert_eq!(world.hit("x").len(), expected, "{mode} {value:?} of {there}");
        }
    }
}

#[test]
fn all_grows_and_percentages_do_not() {
    for (mode, value, expected) in [("all", None, 8), ("fixed-percent", Some(50), 2), ("fixed", Some(6), 6)] {
        let mut world = World::with(pods(4));
        world.write("x.yaml", Document::named("x").mode(mode, value).yaml());
        world.settle();
        *world.pods() = pods(8);
        world.settle();
        assert_eq!(world.hit("x").len(), expected, "{mode}");
    }
}

#[test]
fn a_target_is_replaced_as_often_as_there_are_slots_unless_the_document_says_otherwise() {
    for (replace, expected) in [(None, 2), (Some(0), 1), (Some(3), 4)] {
        let mut world = World::with(pods(1));
        world.write("x.yaml", Document { replace, ..Document::named("x") }.yaml());
        let mut victims = BTreeSet::new();
        for number in 0..6 {
            world.settle();
            victims.extend(world.hit("x"));
            *world.pods() = vec![pod("app", &format!("next{number}"), "n0")];
        }
        assert_eq!(victims.len(), expected, "replace: {replace:?}");
    }
}

#[test]
fn a_replacement_inherits_what_is_left_of_the_slots_budget() {
    let mut world = World::with(pods(1));
    world.write("x.yaml", Document { times: Some(7), ..Document::named("x") }.yaml());
    world.settle();
    world.agents.all.get_mut("n0").unwrap().inject(5);
    world.settle();
    *world.pods() = vec![pod("app", "next", "n1")];
    let plan = world.settle();
    let probe = &plan.nodes["n1"][0];
    assert_eq!((probe.times, probe.spent_elsewhere), (Some(7), 5));
    world.agents.all.get_mut("n1").unwrap().inject(100);
    assert_eq!(world.agents.spent().into_values().collect::<Vec<_>>(), [7]);
}

#[test]
fn a_slot_waits_while_its_old_node_has_not_said_what_it_spent() {
    let mut world = World::with(pods(1));
    world.write("x.yaml", Document { times: Some(7), ..Document::named("x") }.yaml());
    world.settle();
    world.agents.all.get_mut("n0").unwrap().connected = false;
    *world.pods() = vec![pod("app", "next", "n1")];
    let plan = world.settle();
    assert_eq!(plan.nodes["n1"], [], "n0 may still be spending");
    assert!(plan.to_text().contains("node n0 has not said how much of the slot's budget it spent"));
    let old = world.agents.all.get_mut("n0").unwrap();
    old.inject(6);
    old.connected = true;
    let plan = world.settle();
    assert_eq!(plan.nodes["n1"][0].spent_elsewhere, 6);
}

#[test]
fn a_report_from_before_the_node_was_told_confirms_nothing() {
    let mut world = World::with(pods(1));
    // What is known of n0 is from before it attached; meanwhile it spends.
    world.pass();
    world.agents.delay("n0");
    world.write("x.yaml", Document { times: Some(7), ..Document::named("x") }.yaml()).pass();
    world.agents.all.get_mut("n0").unwrap().inject(7);
    *world.pods() = vec![pod("app", "next", "n1")];
    for _ in 0..3 {
        assert!(world.pass().nodes.get("n1").is_none_or(Vec::is_empty));
    }
    world.agents.delay("n0");
    assert_eq!(world.settle().nodes["n1"][0].spent_elsewhere, 7);
}

#[test]
fn a_slot_without_a_budget_does_not_wait() {
    let mut world = World::with(pods(1));
    world.write("x.yaml", Document::named("x").yaml());
    world.settle();
    world.agents.all.get_mut("n0").unwrap().connected = false;
    *world.pods() = vec![pod("app", "next", "n1")];
    assert_eq!(world.settle().nodes["n1"].len(), 1);
}

#[test]
fn pods_that_cannot_be_hit_are_named_with_the_reason() {
    let ended = crate::inventory::Pod { phase: PodPhase::Succeeded, ..pod("app", "done", "n0") };
    let mut empty = pod("app", "empty", "n0");
    empty.containers.clear();
    let mut world = World::with(vec![ended, empty, pod("app", "stock", "n2"), pod("app", "fine", "n0")]);
    world.inventory.as_mut().unwrap().nodes.insert("n2".to_owned(), node(false));
    world.write("x.yaml", Document::named("x").mode("all", None).yaml());
    let plan = world.settle();
    let selection = plan.runs[0].selection.as_ref().unwrap();
    let told: Vec<String> =
        selection.exclusions.iter().map(|not| format!("{}: {}", not.pod, not.cause)).collect();
    assert_eq!(
        told,
        [
            "app/done: its containers have ended",
            "app/empty: it has no such container",
            "app/stock: its node cannot inject this fault: CONFIG_FUNCTION_ERROR_INJECTION is off",
        ]
    );
    assert_eq!((selection.matched, selection.eligible), (4, 1));
}

#[test]
fn what_an_inventory_has_twice_is_named_and_never_hit() {
    let mut twice = pod("app", "containers", "n0");
    twice.containers.push(twice.containers[0].clone());
    let same_uid = |name: &str| crate::inventory::Pod { uid: "u".to_owned(), ..pod("app", name, "n1") };
    let there = vec![twice, same_uid("a"), same_uid("b"), same_uid("c"), pod("app", "fine", "n0")];
    let mut world = World::with(there);
    let all = Document::named("x").mode("all", None).yaml();
    world.write("x.yaml", all.replace("spec:\n", "spec:\n  containerNames: [main]\n"));
    let plan = world.settle();
    let selection = plan.runs[0].selection.as_ref().unwrap();
    let told: Vec<String> =
        selection.exclusions.iter().map(|not| format!("{}: {}", not.pod, not.cause)).collect();
    assert_eq!(
        told,
        [
            "app/a: another pod has its uid `u`",
            "app/b: another pod has its uid `u`",
            "app/c: another pod has its uid `u`",
            "app/containers: two of its containers are called `main`",
        ]
    );
    assert_eq!((selection.matched, selection.eligible), (5, 1));
    assert_eq!(plan.nodes.values().flatten().count(), 1);
}

#[test]
fn a_node_that_nobody_asked_yet_is_eligible_and_the_plan_says_unknown() {
    let mut world = World::with(pods(1));
    world.inventory.as_mut().unwrap().nodes.clear();
    world.write("x.yaml", Document::named("x").yaml());
    let (plan, _) = world.plan();
    assert_eq!(plan.runs[0].selection.as_ref().unwrap().targets[0].mechanism, None);
    assert!(plan.to_text().contains("(kernel unknown)"));
}

#[test]
fn a_node_that_cannot_inject_is_the_reason_whether_its_agent_says_so_before_the_run_or_after() {
    let mut world = World::with(pods(1));
    world.write("x.yaml", Document::named("x").yaml());
    world.inventory.as_mut().unwrap().nodes.insert("n0".to_owned(), node(false));
    let before = world.plan().0.report.why_nots.remove(0);
    assert_eq!(before.reason, Some(Reason::NotInjectable));
    world.inventory.as_mut().unwrap().nodes.clear();
    world.agents.all.clear();
    world.settle();
    world.inventory.as_mut().unwrap().nodes.insert("n0".to_owned(), node(false));
    let plan = world.settle();
    let run = world.run("x");
    assert_eq!(
        (run.state, run.reason, &run.message),
        (RunState::Pending, Reason::NotInjectable, &before.message)
    );
    let after = &plan.report.why_nots[0];
    assert_eq!(after.reason, before.reason);
    assert!(after.message.ends_with(&before.message), "{after:?}");
}

#[test]
fn protected_namespaces_have_no_targets_until_the_default_is_switched_off() {
    let mut world = World::with(vec![pod("kube-system", "dns", "n0")]);
    world.write("x.yaml", Document { namespace: "kube-system".to_owned(), ..Document::named("x") }.yaml());
    let (plan, _) = world.plan();
    assert_eq!(plan.runs, []);
    assert_eq!(plan.report.why_nots[0].reason, Some(Reason::ProtectedNamespace));
    world.defaults.protected_namespaces.clear();
    assert_eq!(world.plan().0.nodes["n0"].len(), 1);
}

#[test]
fn an_experiment_waits_for_its_first_pod_without_having_a_run() {
    let mut world = World::with(Vec::new());
    world.write("x.yaml", Document::named("x").yaml());
    let plan = world.settle();
    assert_eq!(plan.report.why_nots[0].reason, Some(Reason::NoTargets));
    assert!(world.ledger.runs.is_empty());
    *world.pods() = pods(1);
    world.settle();
    assert_eq!(world.run("x").state, RunState::Running);
}

#[test]
fn an_edit_that_narrows_the_selector_drops_only_who_is_no_longer_named() {
    let mut world = World::with(pods(3));
    world.write("x.yaml", Document::named("x").mode("all", None).yaml());
    world.settle();
    world.pods()[1].labels.insert("tier".to_owned(), "web".to_owned());
    let labels = [("tier".to_owned(), "web".to_owned())].into();
    world.write("x.yaml", Document { labels, ..Document::named("x") }.mode("all", None).yaml());
    world.settle();
    assert_eq!(world.hit("x"), ["uid-app-p1".to_owned()].into());
    assert_eq!(world.activations("x"), [1]);
}
