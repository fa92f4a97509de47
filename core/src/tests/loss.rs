//! Reconcilers that forget.

use faultline_api::{Reason, RunState};

use crate::{
    desired::DesiredSet,
    ledger::{Activation, CREDIBLE, Generation, Ledger},
    testing::{Agents, Document, World, at, pods},
    tree::{Fetched, Role},
};

fn forgetful(documents: &[Document]) -> World {
    let mut world = World::with(pods(3));
    for document in documents {
        world.write(&format!("{}.yaml", document.name), document.yaml());
    }
    world.settle();
    world
}

fn forget(world: &mut World) {
    world.ledger = Ledger { epoch: 1, ..Ledger::default() };
}

#[test]
fn a_fresh_installation_is_no_loss() {
    let world = forgetful(&[Document::named("x")]);
    assert_eq!((world.run("x").state, world.ledger.epoch), (RunState::Running, 1));
}

#[test]
fn what_agents_know_goes_on_with_its_start_its_targets_and_what_it_spent() {
    let mut world = forgetful(&[Document { times: Some(9), ..Document::named("x") }]);
    let victims = world.hit("x");
    world.agents.all.values_mut().for_each(|agent| agent.inject(4));
    forget(&mut world);
    world.wait(60).settle();
    let run = world.run("x");
    assert_eq!((run.state, run.started), (RunState::Running, Some(at(0))));
    assert_eq!((world.hit("x"), world.activations("x")), (victims, vec![1]));
    assert!(world.ledger.epoch > 1, "the fence stands above what agents accepted");
    world.agents.all.values_mut().for_each(|agent| agent.inject(100));
    assert_eq!(world.agents.spent().into_values().sum::<u64>(), 9);
}

#[test]
fn what_is_over_stays_over_as_far_as_anyone_knows() {
    let mut world = forgetful(&[Document { duration: Some("60s".to_owned()), ..Document::named("x") }]);
    world.wait(60).settle();
    assert_eq!(world.run("x").state, RunState::Completed);
    forget(&mut world);
    world.wait(5).settle();
    assert!(world.run("x").state == RunState::Completed || world.run("x").reason == Reason::Unconfirmed);
    assert_eq!(world.agents.attached().count(), 0);
}

#[test]
fn bounded_experiments_that_nobody_knows_are_held_until_a_rerun() {
    let document = Document { times: Some(5), ..Document::named("y") };
    let mut world = forgetful(&[Document::named("x")]);
    forget(&mut world);
    world.write("y.yaml", document.yaml()).settle();
    assert_eq!((world.run("y").state, world.run("y").reason), (RunState::Held, Reason::Unconfirmed));
    world.wait(100).settle();
    assert_eq!(world.run("y").state, RunState::Held);
    world.write("y.yaml", Document { rerun: Some("yes".to_owned()), ..document }.yaml()).settle();
    assert_eq!((world.run("y").state, world.activations("y")), (RunState::Running, vec![1, 2]));
}

#[test]
fn what_is_unconfirmed_stays_so_whatever_else_holds_it_in_between() {
    let mut world = forgetful(&[Document::named("x")]);
    forget(&mut world);
    world.write("y.yaml", Document::named("y").yaml()).settle();
    let good = world.files["y.yaml"].clone();
    world.guard("g", "", "trap").settle();
    world.guard("g", "", "allow").settle();
    world.write("y.yaml", "{ [").settle();
    world.write("y.yaml", good).settle();
    assert_eq!((world.run("y").state, world.run("y").reason), (RunState::Held, Reason::Unconfirmed));
    assert!(world.hit("y").is_empty());
}

#[test]
fn a_late_agent_confirms_what_was_held_for_its_sake() {
    let mut world = forgetful(&[Document::named("x"), Document::named("y").mode("all", None)]);
    let (x, y) = (world.hit("x"), world.hit("y"));
    forget(&mut world);
    world.agents.all.values_mut().for_each(|agent| agent.connected = false);
    world.settle();
    assert!(world.ledger.runs.values().all(|run| run.started.is_none()), "nobody can have attached");
    for node in ["n0", "n1", "n2"] {
        world.agents.all.get_mut(node).unwrap().connected = true;
        world.settle();
    }
    assert_eq!((world.run("x").state, world.run("y").state), (RunState::Running, RunState::Running));
    assert_eq!((world.hit("x"), world.hit("y")), (x, y));
    assert_eq!((world.run("x").started, world.activations("x")), (Some(at(0)), vec![1]));
}

#[test]
fn an_agent_that_brings_its_own_past_holds_nobody_else() {
    let mut world = forgetful(&[Document::named("x")]);
    let mut stranger = forgetful(&[Document::named("z")]);
    stranger.ledger.epoch = 1;
    let agent = stranger.agents.all.remove("n0").unwrap();
    world.ledger.epoch = 9;
    world.agents.all.insert("n9".to_owned(), agent);
    world.write("y.yaml", Document::named("y").yaml()).settle();
    assert_eq!((world.run("x").state, world.run("y").state), (RunState::Running, RunState::Running));
}

/// A fleet with a run of `x`, which another node's agent joins that says what cannot be so.
fn joined_by_a_liar(epoch: u64, activation: Option<u64>) -> World {
    let mut world = forgetful(&[Document::named("x")]);
    let mut probes: Vec<_> = world.plan().0.nodes.into_values().flatten().take(1).collect();
    probes.iter_mut().for_each(|probe| probe.run.activation = Activation(activation.unwrap_or_default()));
    probes.retain(|_| activation.is_some());
    let mut liar = Agents::on(&["n9"]);
    let generation = Generation { epoch, counter: 1 };
    liar.all.get_mut("n9").unwrap().accept(&DesiredSet { generation, probes }, at(0));
    world.agents.all.append(&mut liar.all);
    world
}

#[test]
fn an_epoch_that_no_restarts_come_to_changes_nothing_for_the_fleet() {
    for epoch in [CREDIBLE, u64::MAX] {
        let mut world = joined_by_a_liar(epoch, None);
        world.write("y.yaml", Document { times: Some(5), ..Document::named("y") }.yaml()).settle();
        assert_eq!((world.run("x").state, world.run("y").state), (RunState::Running, RunState::Running));
        assert_eq!((world.hit("y").len(), world.ledger.epoch), (1, 1));
    }
}

#[test]
fn the_highest_epoch_that_is_believed_leaves_the_fleet_one_to_go_on_in() {
    let mut world = joined_by_a_liar(CREDIBLE - 1, None);
    world.settle();
    assert_eq!(world.ledger.epoch, CREDIBLE);
    world.write("x.yaml", Document::named("x").mode("all", None).yaml()).settle();
    assert_eq!((world.run("x").state, world.hit("x").len()), (RunState::Running, 3));
}

#[test]
fn an_activation_that_no_reruns_come_to_takes_no_experiment_over() {
    for activation in [CREDIBLE, u64::MAX] {
        let mut world = joined_by_a_liar(0, Some(activation));
        world.write("y.yaml", Document { times: Some(5), ..Document::named("y") }.yaml()).settle();
        assert_eq!((world.run("x").state, world.activations("x")), (RunState::Running, vec![1]));
        assert_eq!(world.run("y").state, RunState::Running);
    }
}

#[test]
fn activations_that_only_agents_remember_are_not_used_again() {
    let mut world = forgetful(&[Document::named("x")]);
    let file = world.files.remove("x.yaml").unwrap();
    forget(&mut world);
    world.settle();
    assert_eq!(world.agents.attached().count(), 0);
    world.write("x.yaml", file).settle();
    assert_eq!(world.activations("x"), [2]);
}

#[test]
fn a_source_that_is_read_later_than_the_agents_report_starts_nothing_anew() {
    let finite = |name: &str| Document { duration: Some("9s".to_owned()), ..Document::named(name) };
    let mut world = forgetful(&[finite("x"), finite("y").mode("fixed-percent", Some(0))]);
    world.wait(9).settle();
    forget(&mut world);
    let name = "team".to_owned();
    let error = "not mounted yet".to_owned();
    world.fetched = Some(vec![Fetched::Missing { name, role: Role::Experiments, error }]);
    world.settle();
    world.fetched = None;
    world.settle();
    assert!(world.run("x").state == RunState::Completed || world.run("x").reason == Reason::Unconfirmed);
    assert_eq!((world.run("y").state, world.run("y").reason), (RunState::Held, Reason::Unconfirmed));
    assert_eq!(world.agents.attached().count(), 0);
}

#[test]
fn a_document_that_is_broken_when_the_ledger_is_lost_is_not_started_anew_once_it_is_fixed() {
    let mut world = forgetful(&[Document { times: Some(3), ..Document::named("x") }]);
    let good = world.files["x.yaml"].clone();
    world.agents.all.values_mut().for_each(|agent| agent.inject(3));
    forget(&mut world);
    world.write("x.yaml", "{ [").settle();
    assert_eq!(world.agents.attached().count(), 0);
    world.write("x.yaml", good).settle();
    assert_eq!(world.activations("x"), [1]);
    world.agents.all.values_mut().for_each(|agent| agent.inject(3));
    assert_eq!(world.agents.spent().into_values().sum::<u64>(), 3);
}

#[test]
fn nodes_without_agents_hold_nothing_up() {
    let mut world = World::with(pods(3));
    world.agents = Agents::on(&["n0"]);
    world.write("x.yaml", Document { times: Some(3), ..Document::named("x") }.mode("all", None).yaml());
    world.settle();
    assert_eq!(world.hit("x").len(), 1);
    assert_eq!(world.run("x").state, RunState::Running);
}
