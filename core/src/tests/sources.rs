//! Sources that break, vanish, go stale, and disagree.

use faultline_api::{Reason, RunState};

use crate::{
    testing::{Document, World, pods, source, tree},
    tree::{Fetched, Role},
};

fn ten() -> World {
    let mut world = World::with(pods(3));
    for number in 0..10 {
        let name = format!("x{number}");
        world.write(&format!("{name}.yaml"), Document::named(&name).yaml());
    }
    world
}

#[test]
fn one_broken_file_among_ten_stops_only_itself() {
    let mut world = ten();
    let text = world.files["x3.yaml"].replace("mode: one", "mode: won");
    world.write("x3.yaml", text);
    let plan = world.settle();
    assert_eq!(world.ledger.runs.values().filter(|run| run.state == RunState::Running).count(), 9);
    assert_eq!(plan.report.files.len(), 1);
    assert!(plan.report.files[0].rendered.contains("mode: won"), "{}", plan.report.files[0].rendered);
}

#[test]
fn experiments_and_guardrails_in_json_count_as_those_in_yaml_do() {
    let mut world = World::with(pods(3));
    let experiment = serde_json::json!({
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "KernelChaos",
        "metadata": {"name": "x", "namespace": "app"},
        "spec": {
            "mode": "one",
            "selector": {"namespaces": ["app"]},
            "failKernRequest": {"failtype": 0, "callchain": [{"funcname": "__x64_sys_mount"}]},
        },
    });
    let guardrail = serde_json::json!({
        "apiVersion": "faultline.dev/v1alpha1",
        "kind": "Guardrail",
        "metadata": {"name": "g"},
        "spec": {"module": {"path": "modules/g"}},
    });
    world.write("x.json", experiment.to_string()).settle();
    assert_eq!(world.run("x").state, RunState::Running);
    let files = [("g.json", guardrail.to_string()), ("modules/g", "deny".to_owned())];
    world.platform = Some(files.map(|(path, text)| (path.to_owned(), text)).into());
    world.settle();
    assert_eq!((world.run("x").state, world.run("x").reason), (RunState::Stopped, Reason::Denied));
}

#[test]
fn a_run_whose_document_breaks_is_held_and_goes_on_when_it_is_fixed() {
    for breakage in ["mood: one", "{ [", "mode: one\nmode: all"] {
        let mut world = ten();
        world.settle();
        let good = world.files["x3.yaml"].clone();
        world.write("x3.yaml", good.replace("mode: one", breakage)).settle();
        assert_eq!(
            (world.run("x3").state, world.run("x3").reason),
            (RunState::Held, Reason::Invalid),
            "{breakage}"
        );
        assert!(world.hit("x3").is_empty());
        world.write("x3.yaml", good).settle();
        assert_eq!((world.run("x3").state, world.activations("x3")), (RunState::Running, vec![1]));
    }
}

#[test]
fn a_file_that_cannot_be_read_holds_its_run() {
    let mut world = ten();
    world.settle();
    let files: Vec<_> = world.files.clone().into_iter().filter(|(path, _)| path != "x3.yaml").collect();
    let mut broken = tree("team", Role::Experiments, &files);
    broken.refused.insert("x3.yaml".to_owned(), "it leads out of the root".to_owned());
    world.fetched = Some(vec![Fetched::Fresh(broken.into())]);
    world.settle();
    assert_eq!((world.run("x3").state, world.run("x3").reason), (RunState::Held, Reason::Invalid));
    assert_eq!(world.run("x4").state, RunState::Running);
}

#[test]
fn a_failed_fetch_keeps_the_last_tree_for_a_time_and_then_drains() {
    let mut world = ten();
    world.settle();
    let Fetched::Fresh(tree) = world.fetch().remove(0) else { panic!("a fresh tree") };
    let stale = |expired| Fetched::Stale { tree: tree.clone(), error: "gone".to_owned(), expired };
    world.fetched = Some(vec![stale(false)]);
    world.settle();
    assert_eq!(world.run("x0").state, RunState::Running);
    world.fetched = Some(vec![stale(true)]);
    world.settle();
    assert_eq!((world.run("x0").state, world.run("x0").reason), (RunState::Held, Reason::SourceStale));
    assert_eq!(world.agents.attached().count(), 0);
    world.fetched = None;
    world.settle();
    assert_eq!(world.run("x0").state, RunState::Running);
}

#[test]
fn a_source_that_was_never_read_starts_nothing_and_removes_nothing() {
    let mut world = ten();
    world.settle();
    let error = "no such directory".to_owned();
    world.fetched = Some(vec![Fetched::Missing { name: "team".to_owned(), role: Role::Experiments, error }]);
    world.settle();
    assert_eq!((world.run("x0").state, world.run("x0").reason), (RunState::Held, Reason::SourceStale));
    world.fetched = None;
    world.settle();
    assert_eq!((world.run("x0").state, world.activations("x0")), (RunState::Running, vec![1]));
}

#[test]
fn an_empty_tree_prunes() {
    let mut world = ten();
    world.settle();
    world.files.clear();
    world.settle();
    assert!(world.ledger.runs.values().all(|run| run.reason == Reason::Removed));
}

#[test]
fn guardrails_that_were_never_read_or_not_for_too_long_let_nothing_pass() {
    let mut world = ten();
    world.settle();
    let error = || "gone".to_owned();
    let team = world.fetch().remove(0);
    let missing = Fetched::Missing { name: "platform".to_owned(), role: Role::Platform, error: error() };
    let tree = tree("platform", Role::Platform, &[]).into();
    let expired = Fetched::Stale { tree, error: error(), expired: true };
    for platform in [missing, expired] {
        world.fetched = Some(vec![platform, team.clone()]);
        world.settle();
        assert_eq!((world.run("x0").state, world.run("x0").reason), (RunState::Held, Reason::Undecided));
        assert_eq!(world.agents.attached().count(), 0);
    }
}

#[test]
fn a_platform_path_that_cannot_be_read_lets_nothing_pass_whatever_it_is_called() {
    let reason = |path: &str| {
        let mut world = World::with(pods(1));
        world.write("x.yaml", Document::named("x").yaml());
        let mut platform = tree("platform", Role::Platform, &[]);
        platform.refused.insert(path.to_owned(), "it cannot be read".to_owned());
        world.fetched = Some(vec![Fetched::Fresh(platform.into()), world.fetch().remove(0)]);
        let report = world.plan().0.report;
        report.why_nots.into_iter().find(|why_not| why_not.subject == "app/x").and_then(|found| found.reason)
    };
    for path in ["org", "org/guardrails.d", "v1.2", "g.yaml", "g.JSON", "README.md"] {
        assert_eq!(reason(path), Some(Reason::Undecided), "{path}");
    }
    assert_eq!(reason("modules/unused.wasm"), None, "no guardrail names it");
}

#[test]
fn of_two_places_the_incumbent_keeps_the_experiment_and_both_are_named() {
    let mut world = World::with(pods(1));
    world.write("m.yaml", Document::named("x").yaml()).settle();
    world.write("a.yaml", Document { probability: Some(1), ..Document::named("x") }.yaml()).settle();
    assert_eq!((world.run("x").place.path.as_str(), world.activations("x")), ("m.yaml", vec![1]));
    let text = world.plan().0.to_text();
    assert!(text.contains("team:m.yaml:1 declares it too, and came first"), "{text}");
    assert!(text.contains("declared at team:a.yaml:1"), "{text}");
    world.files.remove("m.yaml");
    world.settle();
    assert_eq!((world.run("x").place.path.as_str(), world.activations("x")), ("a.yaml", vec![1]));
}

#[test]
fn nobody_takes_an_experiment_whose_own_document_cannot_be_read_now() {
    let mut world = World::with(pods(1));
    world.write("m.yaml", Document::named("x").yaml()).settle();
    world.write("m.yaml", "{ [").write("a.yaml", Document::named("x").yaml()).settle();
    assert_eq!((world.run("x").state, world.run("x").place.path.as_str()), (RunState::Held, "m.yaml"));
    assert!(
        world
            .plan()
            .0
            .to_text()
            .contains("team:m.yaml:1 declares it too, came first, and cannot be read now")
    );
}

#[test]
fn a_renamed_file_and_another_source_change_nothing() {
    let mut world = World::with(pods(3));
    world.write("m.yaml", Document::named("x").yaml()).settle();
    let before = world.hit("x");
    let text = world.files["m.yaml"].clone();
    let moved = source("other", Role::Experiments, &[("n.yaml".to_owned(), text)]);
    world.fetched = Some(vec![source("team", Role::Experiments, &[]), moved]);
    world.settle();
    assert_eq!((world.hit("x"), world.activations("x")), (before, vec![1]));
    assert_eq!(world.run("x").place.source, "other");
}

#[test]
fn other_kinds_are_counted_and_a_halt_that_is_not_understood_stops_everything() {
    let mut world = ten();
    world.write("net.yaml", "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: n}\n");
    let plan = world.settle();
    assert_eq!(plan.report.skipped["chaos-mesh.org/v1alpha1 NetworkChaos"], 1);
    assert_eq!(world.ledger.runs.len(), 10);
    world.write(
        "halt.yaml",
        "apiVersion: faultline.dev/v1alpha1\nkind: Halt\nmetadata: {name: h}\nspec: {reason: now}\n",
    );
    world.settle();
    assert!(world.ledger.runs.values().all(|run| run.state == RunState::Held));
}
