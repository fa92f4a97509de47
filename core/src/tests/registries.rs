//! Guardrails whose modules come from a registry.

use faultline_api::{OciReference, Reason, RunState};

use crate::{
    judge::Decision,
    parse::Module,
    testing::{Document, World, guardrail, pods},
};

fn reference() -> OciReference {
    format!("localhost:5000/caps@sha256:{}", "ab".repeat(32)).parse().unwrap()
}

/// An experiment, and a guardrail that is concerned by it and has its module in a registry.
fn world(spec: &str) -> World {
    let mut world = World::with(pods(2));
    world.write("x.yaml", Document::named("x").yaml());
    let yaml = guardrail("g", spec).replace("path: modules/g", &format!("oci: {}", reference()));
    world.platform.get_or_insert_default().insert("g.yaml".to_owned(), yaml);
    world
}

fn arrived(script: &str) -> Result<Module, String> {
    Ok(Module::new(script.as_bytes().into()))
}

#[test]
fn until_its_module_is_there_a_guardrail_lets_nothing_pass_and_says_why() {
    let mut world = world("");
    for (obtained, why) in [(None, "it was not fetched"), (Some("refused"), "refused")] {
        let why = format!("the module cannot be read: {}: {why}", reference());
        if let Some(error) = obtained {
            world.registries.insert(reference(), Err(error.to_owned()));
        }
        let (plan, _) = world.plan();
        assert!(plan.runs.is_empty());
        let of = |subject: &str| {
            plan.report.why_nots.iter().find(|why_not| why_not.subject == subject).cloned().unwrap()
        };
        assert_eq!(
            (of("guardrail g").reason, of("guardrail g").message),
            (Some(Reason::Undecided), why.clone())
        );
        assert_eq!(of("app/x").reason, Some(Reason::Undecided));
        assert_eq!(of("app/x").message, format!("g at platform:g.yaml:1: {why}"));
    }
}

#[test]
fn with_its_module_it_judges_and_the_digest_in_the_proof_is_that_of_the_bytes() {
    let mut world = world("");
    world.registries.insert(reference(), arrived("times 2"));
    let (plan, _) = world.plan();
    let verdict = &plan.runs[0].verdicts[0];
    assert!(matches!(verdict.decision, Decision::Mutate { .. }));
    assert_eq!(verdict.proof.as_ref().unwrap().module, crate::digest::sha256(b"times 2"));
}

#[test]
fn a_run_is_held_while_the_module_is_away_and_goes_on_when_it_is_back() {
    let mut world = world("");
    world.registries.insert(reference(), arrived("allow"));
    world.settle();
    assert_eq!(world.run("x").state, RunState::Running);
    world.registries.insert(reference(), Err("away".to_owned()));
    world.settle();
    assert_eq!((world.run("x").state, world.run("x").reason), (RunState::Held, Reason::Undecided));
    assert!(world.hit("x").is_empty());
    world.registries.insert(reference(), arrived("allow"));
    world.settle();
    assert_eq!(world.run("x").state, RunState::Running);
    assert_eq!(world.activations("x").len(), 1);
}

#[test]
fn a_module_that_is_away_holds_back_only_what_its_guardrail_matches() {
    let mut world = world("match: { namespaces: [prod-*] }");
    world.settle();
    assert_eq!(world.run("x").state, RunState::Running);
}

#[test]
fn only_what_is_named_is_wanted() {
    let mut world = world("");
    world.guard("by-path", "", "allow");
    let parsed = crate::parse(&world.fetch(), &world.ledger, &mut world.cache.files);
    assert_eq!(parsed.wanted_modules(), [reference()].into());
}
