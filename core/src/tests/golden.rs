//! Plans as people and programs read them.

use faultline_api::selector::PodPhase;

use crate::testing::{Document, World, guardrail, node, pod, pods};

/// A world in which most things happen at once.
fn busy() -> World {
    let mut world = World::with(pods(4));
    let inventory = world.inventory.as_mut().unwrap();
    inventory.nodes.insert("stock".to_owned(), node(false));
    inventory.pods.push(pod("app", "old-kernel", "stock"));
    inventory.pods.push(crate::inventory::Pod { phase: PodPhase::Succeeded, ..pod("app", "job", "n0") });
    world.guard("caps", "message: see the runbook", "times 100");
    world.guard("watch", "mode: monitor\nmatch: { namespaces: ['app'] }", "deny");
    world.write("done.yaml", Document { duration: Some("30s".to_owned()), ..Document::named("done") }.yaml());
    world.write("gone.yaml", Document::named("gone").yaml());
    let edited = Document { probability: Some(50), ..Document::named("edited") };
    world.write("edited.yaml", edited.yaml());
    world.settle();
    world.wait(30);
    world.files.remove("gone.yaml");
    world.write("edited.yaml", Document { probability: Some(10), times: Some(500), ..edited }.yaml());
    world.write("new.yaml", Document::named("new").mode("fixed-percent", Some(50)).yaml());
    world.write("typo.yaml", Document::named("typo").yaml().replace("failtype", "failtyp"));
    world.write("twice.yaml", Document::named("edited").yaml());
    world.write("mine.yaml", guardrail("mine", ""));
    world.write("net.yaml", "apiVersion: chaos-mesh.org/v1alpha1\nkind: NetworkChaos\nmetadata: {name: n}\n");
    world.write("chainless.yaml", Document { chain: Vec::new(), ..Document::named("chainless") }.yaml());
    world
        .write("lonely.yaml", Document { namespace: "empty".to_owned(), ..Document::named("lonely") }.yaml());
    world
}

#[test]
fn a_busy_plan_as_text() {
    insta::assert_snapshot!(busy().plan().0.to_text());
}

#[test]
fn a_busy_plan_as_json() {
    insta::assert_snapshot!(busy().plan().0.to_json());
}

#[test]
fn the_first_plan_of_one_experiment_as_json() {
    let mut world = World::with(pods(1));
    world.write("x.yaml", Document { times: Some(7), ..Document::named("x") }.yaml());
    insta::assert_snapshot!(world.plan().0.to_json());
}

#[test]
fn a_plan_with_predicates_as_text_and_their_probes_as_json() {
    let mut world = World::with(pods(1));
    let frames = "      - funcname: d_alloc_parallel\n        parameters: struct dentry *parent, const struct qstr *name\n        \
                  predicate: |\n          STRNCMP(name->name, \"bananas\", 8) &&\n          parent != NULL\n      \
                  - predicate: gfpflags & 1\n";
    world.write("x.yaml", Document::named("x").yaml() + frames);
    let plan = world.plan().0;
    let probes: Vec<_> = plan.nodes.values().flatten().map(|probe| &probe.call_chain).collect();
    insta::assert_snapshot!(format!(
        "{}\n{}",
        plan.to_text(),
        serde_json::to_string_pretty(&probes).unwrap()
    ));
}

#[test]
fn a_plan_without_an_inventory_as_text() {
    let mut world = busy();
    world.inventory = None;
    insta::assert_snapshot!(world.plan().0.to_text());
}

#[test]
fn a_plan_of_nothing_as_text() {
    insta::assert_snapshot!(World::with(Vec::new()).plan().0.to_text());
}
