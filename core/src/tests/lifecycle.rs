//! How runs begin, go on and end.

use faultline_api::{Reason, RunState};

use crate::{
    due::Step,
    testing::{Document, World, at, pods},
};

fn running(document: &Document) -> World {
    let mut world = World::with(pods(3));
    world.write("x.yaml", document.yaml());
    world.settle();
    world
}

#[test]
fn a_run_starts_with_its_first_attach_and_ends_when_its_duration_is_over() {
    let mut world = running(&Document { duration: Some("60s".to_owned()), ..Document::named("x") });
    assert_eq!((world.run("x").state, world.run("x").started), (RunState::Running, Some(at(0))));
    let (plan, _) = world.wait(59).plan();
    assert_eq!(
        (plan.next, plan.nodes["n0"].len() + plan.nodes["n1"].len() + plan.nodes["n2"].len()),
        (Some(at(60)), 1)
    );
    world.wait(1).settle();
    let run = world.run("x");
    assert_eq!(
        (run.state, run.reason, run.ended),
        (RunState::Completed, Reason::DurationElapsed, Some(at(60)))
    );
    assert!(world.hit("x").is_empty());
    assert!(
        world.plan().0.to_text().contains("to run it again, edit it or give faultline.dev/rerun a new value")
    );
}

#[test]
fn without_a_duration_a_run_ends_after_an_hour_and_says_so() {
    let mut world = running(&Document::named("x"));
    assert!(world.plan().0.to_text().contains("1h0m0s (by default: the document gives none)"));
    world.wait(3_600).settle();
    assert_eq!(world.run("x").state, RunState::Completed);
    let mut endless = World::with(pods(1));
    endless.defaults.duration = None;
    endless.write("x.yaml", Document::named("x").yaml()).settle();
    endless.wait(1_000_000).settle();
    assert_eq!(endless.run("x").state, RunState::Running);
}

#[test]
fn an_edit_keeps_the_run_its_start_and_what_it_spent() {
    let mut world = running(&Document { times: Some(9), ..Document::named("x") });
    let victim = world.hit("x");
    world.agents.all.values_mut().for_each(|agent| agent.inject(4));
    world.wait(5);
    world.write("x.yaml", Document { times: Some(6), probability: Some(20), ..Document::named("x") }.yaml());
    let plan = world.pass();
    assert_eq!(plan.runs[0].step, Step::Edit);
    world.settle();
    let run = world.run("x");
    assert_eq!((world.activations("x"), run.started), (vec![1], Some(at(0))));
    assert_eq!(world.hit("x"), victim);
    world.agents.all.values_mut().for_each(|agent| agent.inject(100));
    assert_eq!(world.agents.spent().into_values().sum::<u64>(), 6);
}

#[test]
fn another_predicate_is_an_edit_and_reaches_the_probe() {
    let mut world = running(&Document::named("x"));
    let mut text = Document::named("x").yaml();
    let edits = [
        "        predicate: regs->di == 1\n",
        "        parameters: int first\n",
        "      - predicate: gfpflags & 1\n",
    ];
    for edit in edits {
        text += edit;
        world.write("x.yaml", text.clone());
        let plan = world.pass();
        assert_eq!(plan.runs[0].step, Step::Edit, "{edit}");
        let chain = &plan.nodes.values().flatten().next().unwrap().call_chain;
        let predicates = [chain.frames[0].predicate.as_ref(), chain.target.as_ref()];
        let shown = serde_json::to_string(&predicates).unwrap();
        let added = edit.trim().trim_start_matches("- ").split_once(": ").unwrap().1;
        assert!(shown.contains(added), "{shown}");
        world.settle();
        assert_eq!(world.activations("x"), [1]);
    }
}

#[test]
fn an_edit_of_what_is_over_is_another_run_and_a_new_owner_is_no_edit() {
    let document = Document { duration: Some("1s".to_owned()), ..Document::named("x") };
    let mut world = running(&document);
    world.wait(1).settle();
    let owned = document.yaml().replace("spec:", "  annotations: {faultline.dev/owner: me}\nspec:");
    world.write("x.yaml", owned).settle();
    assert_eq!(world.activations("x"), [1]);
    world.write("x.yaml", Document { probability: Some(5), ..document }.yaml()).settle();
    assert_eq!(world.activations("x"), [1, 2]);
    assert_eq!(world.run("x").state, RunState::Running);
}

#[test]
fn a_new_value_of_rerun_is_another_run_even_while_one_is_on() {
    let with = |rerun: &str| Document { rerun: Some(rerun.to_owned()), ..Document::named("x") };
    let mut world = running(&with("1"));
    world.write("x.yaml", Document::named("x").yaml()).settle();
    world.write("x.yaml", with("1").yaml()).settle();
    assert_eq!(world.activations("x"), [1], "taking it away and putting it back asks for nothing");
    world.write("x.yaml", with("2").yaml()).settle();
    assert_eq!(world.activations("x"), [1, 2]);
    let first = world.ledger.runs.values().next().unwrap();
    assert_eq!((first.state, first.reason), (RunState::Stopped, Reason::Superseded));
    assert_eq!(world.agents.attached().count(), 1);
}

#[test]
fn what_left_the_tree_is_stopped_and_what_comes_back_is_another_run() {
    let mut world = running(&Document::named("x"));
    let file = world.files.remove("x.yaml").unwrap();
    world.settle();
    assert_eq!((world.run("x").state, world.run("x").reason), (RunState::Stopped, Reason::Removed));
    assert!(world.hit("x").is_empty());
    world.write("other.yaml", file).settle();
    assert_eq!(world.activations("x"), [1, 2]);
    assert_eq!(world.run("x").state, RunState::Running);
}

#[test]
fn what_was_completed_and_left_the_tree_may_come_back_too() {
    let document = Document { duration: Some("1s".to_owned()), ..Document::named("x") };
    let mut world = running(&document);
    world.wait(1).settle();
    world.files.clear();
    world.settle();
    assert_eq!(world.run("x").state, RunState::Completed, "what happened is not rewritten");
    world.write("x.yaml", document.yaml()).settle();
    assert_eq!(world.activations("x"), [1, 2]);
}

#[test]
fn the_clock_runs_on_while_a_run_is_held() {
    let mut world = running(&Document { duration: Some("60s".to_owned()), ..Document::named("x") });
    world.guard("g", "", "trap").settle();
    assert_eq!((world.run("x").state, world.run("x").reason), (RunState::Held, Reason::Undecided));
    world.wait(30).settle();
    world.guard("g", "", "allow").settle();
    assert_eq!(world.run("x").state, RunState::Running);
    world.wait(30).settle();
    assert_eq!((world.run("x").state, world.run("x").ended), (RunState::Completed, Some(at(60))));
}

#[test]
fn a_node_that_cannot_attach_is_told_of_once() {
    use crate::{commit, observe, observe::Transition, report::ProbeState};
    let mut world = World::with(pods(1));
    world.write("x.yaml", Document::named("x").yaml());
    let plan = world.pass();
    let mut reports = world.agents.reports();
    reports[0].probes[0].state = ProbeState::Failed { error: "no BTF".to_owned() };
    let committed = commit(&crate::ledger::Ledger { epoch: 1, ..Default::default() }, &plan);
    let seen = observe(&committed, &plan, &reports, world.now);
    let error = "no BTF".to_owned();
    let (run, probe) = (plan.runs[0].key.clone(), plan.nodes["n0"][0].id.clone());
    assert_eq!(seen.transitions, [Transition::AttachFailed { run, probe, error }]);
    assert_eq!(observe(&seen.ledger, &plan, &reports, world.now).transitions, []);
    assert_eq!(seen.ledger.runs.values().next().unwrap().started, None);
    // To wait for a module is no failure.
    let mut waiting = reports.clone();
    waiting[0].probes[0].state = ProbeState::Pending { reason: "module `x` is not loaded".to_owned() };
    let waits = observe(&seen.ledger, &plan, &waiting, world.now).ledger;
    assert!(waits.runs.values().all(|run| run.failures.is_empty() && run.started.is_none()));
    world.ledger = seen.ledger;
    assert!(world.plan().0.to_text().contains("not injectable: app/x#1/0/uid-app-p0/main: no BTF"));
}

#[test]
fn a_generation_rises_only_with_its_content_and_an_epoch_above_every_agent() {
    let mut world = running(&Document::named("x"));
    let generation = |world: &World| world.ledger.nodes.values().map(|told| told.generation).max().unwrap();
    let before = generation(&world);
    world.wait(7).settle();
    assert_eq!(generation(&world), before);
    world.write("x.yaml", Document { probability: Some(1), ..Document::named("x") }.yaml()).settle();
    assert_eq!(generation(&world).counter, before.counter + 1);
    world.ledger.epoch += 1;
    world.settle();
    assert_eq!((generation(&world).epoch, generation(&world).counter), (2, before.counter + 1));
}

#[test]
fn history_is_bounded_and_activations_never_repeat() {
    let mut world = World::with(pods(1));
    for rerun in 0..20 {
        world.write("x.yaml", Document { rerun: Some(format!("r{rerun}")), ..Document::named("x") }.yaml());
        world.settle();
    }
    assert_eq!(world.activations("x"), [16, 17, 18, 19, 20]);
}
