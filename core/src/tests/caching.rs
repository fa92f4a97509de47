//! What a pass costs that follows another: counted, not timed.

use crate::{
    testing::{Document, World, pods},
    tree::{Fetched, Role},
};

const EXPERIMENTS: usize = 20;

/// Settled: every experiment runs.
fn world(script: &str) -> World {
    let mut world = World::with(pods(3));
    for number in 0..EXPERIMENTS {
        world.write(&format!("x{number}.yaml"), Document::named(&format!("x{number}")).yaml());
    }
    world.guard("g", "", script).settle();
    world
}

fn edit(world: &mut World) {
    world.write("x7.yaml", Document { probability: Some(7), ..Document::named("x7") }.yaml());
}

/// Files parsed and evaluations made by the next pass.
fn cost(world: &mut World) -> (u64, u64) {
    let so_far = |world: &World| (world.cache.files.parses(), world.cache.verdicts.evaluations());
    let before = so_far(world);
    world.pass();
    let after = so_far(world);
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn a_cold_pass_reads_every_file_and_asks_about_every_experiment() {
    let mut world = World::with(pods(3));
    world.write("x.yaml", Document::named("x").yaml()).write("y.yaml", Document::named("y").yaml());
    world.guard("g", "", "allow");
    assert_eq!(cost(&mut world), (3, 2));
    // Both have a run now: that is another question, `renew` where it was `create`.
    assert_eq!(cost(&mut world), (0, 2));
}

#[test]
fn where_nothing_changed_nothing_is_parsed_and_nobody_asked() {
    let mut world = world("times 3");
    world.wait(60);
    assert_eq!(cost(&mut world), (0, 0));
    world.pods().pop();
    assert_eq!(cost(&mut world), (0, 0));
}

#[test]
fn one_edit_costs_one_parse_and_one_judgement() {
    let mut world = world("times 3");
    edit(&mut world);
    assert_eq!(cost(&mut world), (1, 1), "as an update");
    assert_eq!(cost(&mut world), (0, 1), "as what its run now is");
    assert_eq!(cost(&mut world), (0, 0));
}

#[test]
fn an_edit_asks_every_guardrail_about_one_experiment_and_a_new_guardrail_is_asked_about_all() {
    const GUARDRAILS: u64 = 10;
    let mut world = world("times 3");
    for number in 1..GUARDRAILS {
        world.guard(&format!("g{number}"), "", &format!("times {}", 3 + number));
        assert_eq!(cost(&mut world), (1, EXPERIMENTS as u64), "the others are not asked again");
    }
    world.settle();
    assert_eq!(cost(&mut world), (0, 0));
    edit(&mut world);
    assert_eq!(cost(&mut world), (1, GUARDRAILS), "as an update");
    assert_eq!(cost(&mut world), (0, GUARDRAILS), "as what its run now is");
    assert_eq!(cost(&mut world), (0, 0));
}

#[test]
fn an_edit_that_changes_no_value_costs_one_parse() {
    let mut world = world("times 3");
    let text = world.files["x7.yaml"].clone();
    world.write("x7.yaml", format!("# why\n{text}"));
    assert_eq!(cost(&mut world), (1, 0));
    world.write("x7.yaml", text.replace("failtype: 0", "failtype: 0\n    probability: 100"));
    assert_eq!(cost(&mut world), (1, 0), "it spells out a default");
}

#[test]
fn a_module_that_reads_the_document_is_asked_again_for_its_text_and_one_that_reads_the_revision_for_each() {
    let experiments = EXPERIMENTS as u64;
    for (script, spelled_out, moved) in [("echo raw", 1, 0), ("echo revision", experiments, experiments)] {
        let mut world = world(script);
        let text = world.files["x7.yaml"].replace("failtype: 0", "failtype: 0\n    probability: 100");
        world.write("x7.yaml", text);
        assert_eq!(cost(&mut world), (1, spelled_out), "{script}");
        let file = world.files.remove("x7.yaml").unwrap();
        world.write("y7.yaml", file);
        assert_eq!(cost(&mut world), (1, moved), "{script}");
    }
}

#[test]
fn other_settings_and_another_module_are_other_questions() {
    let mut world = world("times 3");
    world.guard("g", "settings: { a: 1 }", "times 3");
    assert_eq!(cost(&mut world), (1, EXPERIMENTS as u64));
    world.guard("g", "settings: { a: 1 }", "times 2");
    assert_eq!(cost(&mut world), (0, EXPERIMENTS as u64));
    world.guard("g", "settings: { a: 1 }\nmessage: ask us", "times 2");
    assert_eq!(cost(&mut world), (1, 0), "the message is ours and not the module's");
}

#[test]
fn what_breaks_and_comes_back_is_read_anew_and_what_is_gone_is_forgotten() {
    let mut world = world("times 3");
    let full = (world.cache.files.len(), world.cache.verdicts.len());
    assert_eq!(full, (EXPERIMENTS + 2, EXPERIMENTS));
    let text = world.files.insert("x7.yaml".to_owned(), "{ [".to_owned()).unwrap();
    assert_eq!(cost(&mut world), (1, 0));
    world.write("x7.yaml", text);
    assert_eq!(cost(&mut world), (1, 1));
    world.files.clear();
    world.platform = None;
    world.pass();
    assert!(world.cache.files.is_empty() && world.cache.verdicts.is_empty());
}

#[test]
fn a_tree_that_is_stale_stays_known() {
    let mut world = world("times 3");
    let fetched = world.fetch();
    let error = "gone".to_owned();
    let stale = |fetched: &Fetched| match fetched {
        Fetched::Fresh(tree) if tree.source.role == Role::Experiments => {
            Fetched::Stale { tree: tree.clone(), error: error.clone(), expired: false }
        }
        other => other.clone(),
    };
    world.fetched = Some(fetched.iter().map(stale).collect());
    assert_eq!(cost(&mut world), (0, 0));
}
