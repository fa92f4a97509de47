//! What holds for every world that the generators can make.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*};

use crate::{
    commit,
    invariants::check_plan,
    ledger::{Ledger, RunKey},
    observe,
    plan::Plan,
    testing::{Change, Document, World, changes, documents, inventory, pod, pods},
};

/// Does what is to happen between two passes.
fn apply(world: &mut World, change: &Change, step: usize) {
    match change {
        Change::Write(document) => _ = world.write(&file(&document.name), document.yaml()),
        Change::Delete(number) => _ = world.files.remove(&file(&format!("e{number}"))),
        Change::Break(number) => {
            if let Some(text) = world.files.get_mut(&file(&format!("e{number}"))) {
                *text = text.replace("mode:", "mood:");
            }
        }
        Change::SpellOut(number) => {
            let text = world.files.get_mut(&file(&format!("e{number}")));
            if let Some(text) = text.filter(|text| !text.contains("probability:")) {
                *text = text.replace("failKernRequest:\n", "failKernRequest:\n    probability: 100\n");
            }
        }
        Change::AddPod(node) => world.pods().push(pod("app", &format!("new{step}"), &format!("n{node}"))),
        Change::RemovePod(index) => {
            let pods = world.pods();
            if !pods.is_empty() {
                pods.remove(index.index(pods.len()));
            }
        }
        Change::Toggle(number) => {
            let agent = world.agents.all.get_mut(&format!("n{number}")).unwrap();
            agent.connected = !agent.connected;
        }
        Change::Delay(number) => world.agents.delay(&format!("n{number}")),
        Change::Wait(seconds) => _ = world.wait(u32::from(*seconds)),
        Change::Inject(count) => {
            world.agents.all.values_mut().for_each(|agent| agent.inject(u64::from(*count)));
        }
        Change::Guard(script) => _ = world.guard("only", "", script),
    }
}

fn file(name: &str) -> String {
    format!("{name}.yaml")
}

/// The uid in each slot of each live run.
fn holders(ledger: &Ledger) -> BTreeMap<(RunKey, usize), String> {
    let live = ledger.runs.iter().filter(|(_, run)| run.wants_probes());
    let slots = live.flat_map(|(key, run)| run.slots.iter().enumerate().map(move |slot| (key, slot)));
    slots.filter_map(|(key, (index, slot))| Some(((key.clone(), index), slot.pod.clone()?))).collect()
}

/// No slot ever spends more than the loosest `times` that its run ever had.
fn check_budgets(world: &World, loosest: &mut BTreeMap<RunKey, Option<u64>>, plan: &Plan) {
    for planned in &plan.runs {
        let times = planned.effective.times;
        let known = loosest.entry(planned.key.clone()).or_insert(times);
        *known = known.zip(times).map(|(known, now)| known.max(now));
    }
    for ((run, slot, container), spent) in world.agents.spent() {
        let most = loosest.get(&run).copied().flatten();
        assert!(most.is_none_or(|most| spent <= most), "{run} slot {slot} {container}: {spent} of {most:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_plans_keep_their_invariants_and_slots_their_budgets(steps in changes()) {
        let mut world = World::with(pods(3));
        let mut loosest = BTreeMap::new();
        let mut over = BTreeMap::new();
        for (number, step) in steps.iter().enumerate() {
            apply(&mut world, step, number);
            let before = world.ledger.clone();
            let plan = world.pass();
            prop_assert_eq!(check_plan(&plan, &before), []);
            check_budgets(&world, &mut loosest, &plan);
            for (key, run) in &world.ledger.runs {
                if let Some(ended) = over.get(key) {
                    prop_assert_eq!((run.state, run.ended), *ended, "{} came back", key);
                }
                if run.state.is_over() {
                    over.insert(key.clone(), (run.state, run.ended));
                }
            }
        }
    }

    #[test]
    fn what_is_remembered_changes_no_plan_and_is_bounded_by_the_trees(steps in changes()) {
        let mut world = World::with(pods(3));
        world.guard("raw", "", "echo raw").guard("operation", "", "echo operation");
        for (number, step) in steps.iter().enumerate() {
            apply(&mut world, step, number);
            let cold = world.plan().0.to_json();
            prop_assert_eq!(cold, world.pass().to_json());
            let guardrails = world.platform.as_ref().map_or(0, |files| files.len() / 2);
            let (files, experiments) = (world.files.len() + 2 * guardrails, world.files.len());
            prop_assert!(world.cache.files.len() <= files);
            prop_assert!(world.cache.verdicts.len() <= guardrails * experiments);
        }
    }

    #[test]
    fn new_pods_never_move_a_live_target(
        wanted in vec(documents(), 1..6), before in 0..6_usize, more in 1..6_u8,
    ) {
        let mut world = World::with(pods(before));
        wanted.iter().for_each(|document| _ = world.write(&file(&document.name), document.yaml()));
        world.settle();
        let held = holders(&world.ledger);
        for number in 0..more {
            world.pods().push(pod("app", &format!("late{number}"), "n1"));
        }
        world.settle();
        let now = holders(&world.ledger);
        for (slot, uid) in held {
            prop_assert_eq!(now.get(&slot), Some(&uid));
        }
    }

    #[test]
    fn an_edit_keeps_the_run_and_the_targets_that_it_still_selects(
        first in documents(), second in documents(), there in 1..6_usize,
    ) {
        let mut world = World::with(pods(there));
        let (first, second) = (named(first), named(second));
        world.write("x.yaml", first.yaml());
        world.settle();
        let Some((key, run)) = world.ledger.runs.first_key_value() else { return Ok(()) };
        let (key, held) = (key.clone(), run.slots.clone());
        world.write("x.yaml", second.yaml());
        world.settle();
        let run = &world.ledger.runs[&key];
        prop_assume!(!run.state.is_over());
        for (old, new) in held.iter().zip(&run.slots).take(run.usable_slots()) {
            prop_assert_eq!(&old.pod, &new.pod);
        }
    }

    #[test]
    fn without_its_document_nothing_stays_attached(wanted in vec(documents(), 1..6), there in 0..6_usize) {
        let mut world = World::with(pods(there));
        wanted.iter().for_each(|document| _ = world.write(&file(&document.name), document.yaml()));
        world.settle();
        world.files.clear();
        let plan = world.settle();
        prop_assert_eq!(plan.nodes.values().map(Vec::len).sum::<usize>(), 0);
        prop_assert_eq!(world.agents.attached().count(), 0);
    }

    #[test]
    fn seeing_a_report_twice_is_seeing_it_once(steps in changes()) {
        let mut world = World::with(pods(3));
        for (number, step) in steps.iter().enumerate() {
            apply(&mut world, step, number);
            world.pass();
        }
        let (plan, ledger) = world.plan();
        let (committed, reports) = (commit(&ledger, &plan), world.agents.reports());
        let once = observe(&committed, &plan, &reports, world.now);
        let twice = observe(&once.ledger, &plan, &reports, world.now);
        prop_assert_eq!(&once.ledger, &twice.ledger);
        prop_assert_eq!(twice.transitions, []);
    }

    #[test]
    fn a_completed_run_never_runs_again_while_its_document_stays(
        document in documents(), waits in vec(1..2_000_u32, 1..8), there in 1..6_usize,
    ) {
        let mut world = World::with(pods(there));
        let document = Document { duration: Some("10s".to_owned()), ..named(document) };
        world.write("x.yaml", document.yaml());
        world.settle();
        world.wait(10);
        world.settle();
        for wait in waits {
            world.wait(wait);
            world.pods().push(pod("app", &format!("late{wait}"), "n0"));
            world.settle();
            prop_assert_eq!(world.agents.attached().count(), 0);
            prop_assert!(world.activations("x").len() <= 1);
        }
    }

    #[test]
    fn no_guardrail_ever_loosens_a_run(
        document in documents(), scripts in vec("(times|probability|duration|targets) [0-9]", 1..6),
    ) {
        let mut world = World::with(pods(4));
        world.write("x.yaml", named(document).yaml());
        let mut last = None;
        for script in scripts {
            world.guard("only", "", &script);
            world.pass();
            let Some(run) = world.ledger.runs.values().next() else { continue };
            let limit = run.tightened.clone();
            if let Some(last) = last.replace(limit.clone()) {
                prop_assert_eq!(limit.meet(&last), limit);
            }
        }
    }
}

fn named(document: Document) -> Document {
    // A rerun is another run, and an empty name would be another experiment.
    Document { name: "x".to_owned(), rerun: None, ..document }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn two_replicas_write_the_same_bytes(wanted in vec(documents(), 0..8), there in inventory()) {
        let mut one = World::with(Vec::new());
        wanted.iter().for_each(|document| _ = one.write(&file(&document.name), document.yaml()));
        one.guard("cap", "", "times 5");
        one.inventory = Some(there.clone());
        let mut other = World::with(Vec::new());
        (other.files, other.platform) = (one.files.clone(), one.platform.clone());
        other.inventory = Some(there);
        // Neither the order in which pods are observed nor what is remembered of verdicts may show.
        other.pods().reverse();
        let first = one.plan().0.to_json();
        prop_assert_eq!(&first, &other.plan().0.to_json());
        prop_assert_eq!(&first, &other.pass().to_json());
        one.pass();
        prop_assert_eq!(one.plan().0.to_json(), other.pass().to_json());
    }
}

#[test]
fn a_percentage_is_drawn_from_zero_to_its_maximum_and_again_for_every_activation() {
    let mut sizes = BTreeSet::new();
    let mut world = World::with(pods(10));
    for rerun in 0..60 {
        let document = Document { rerun: Some(format!("r{rerun}")), ..Document::named("x") };
        world.write("x.yaml", document.mode("random-max-percent", Some(50)).yaml());
        world.settle();
        sizes.insert(world.hit("x").len());
    }
    assert_eq!(sizes, (0..=5).collect());
}
