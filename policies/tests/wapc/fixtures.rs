//! What these tests share.

use faultline_api::{Content, decode};
use faultline_core::review::{Evaluation, Evaluator, Operation, Response, Review, SourceFacts, Undecided};
use faultline_policies::{Host, HostConfig, Ticks};
use serde_json::json;

use crate::{HOST, wat_guest::Guest};

/// A host in which no wall-clock time passes.
pub(crate) fn host(fuel: u64) -> Host {
    Host::new(HostConfig { fuel, ticks: Ticks::ByHand, ..HostConfig::default() }).unwrap()
}

/// Bio faults in one pod, with `more` in the spec and `request` in its `failKernRequest`.
pub(crate) fn review(more: &str, request: &str) -> Review {
    let yaml = format!(
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: {{ name: mount, namespace: shop }}\n\
         spec:\n  mode: one\n  selector: {{ namespaces: [shop] }}\n  failKernRequest: {{ failtype: 2{request} }}\n{more}"
    );
    let mut file = decode(&yaml);
    let document = file.documents.remove(0);
    let Content::Experiment(experiment) = document.content else { panic!("{:?}", file.diagnostics) };
    Review {
        experiment: *experiment,
        raw: document.raw,
        operation: Operation::Create,
        source: SourceFacts { name: "team".into(), revision: "r1".into(), author: None, verified: false },
        admission: None,
    }
}

/// Asks a module about an experiment that limits nothing.
pub(crate) fn ask(host: &Host, module: &[u8]) -> Evaluation {
    host.evaluate(module, &json!({}), &review("", ""))
}

/// What a guest comes to on the common host.
pub(crate) fn outcome(guest: &Guest) -> Result<Response, Undecided> {
    ask(&HOST, &guest.build()).outcome
}

/// Why a guest that misbehaves cannot be asked; a well-behaved one is asked after it.
pub(crate) fn spoiled(guest: &Guest) -> Undecided {
    let why = outcome(guest).expect_err("it cannot be decided");
    assert_eq!(outcome(&crate::wat_guest::FINE), Ok(Response::default()));
    why
}

/// Asserts that the answer is refused, for a reason with `part` in it.
pub(crate) fn assert_bad_answer(guest: &Guest, part: &str) {
    match spoiled(guest) {
        Undecided::BadAnswer(why) if why.contains(part) => {}
        other => panic!("expected a bad answer with {part:?}: {other:?}"),
    }
}
