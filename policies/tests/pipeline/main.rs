//! From files to a plan, with real modules: the examples, and guardrails that are not written as they should be.
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod examples;
mod mistakes;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock},
};

use faultline_api::yaml;
use faultline_core::{
    Cache, Defaults, admit, due,
    inventory::Inventory,
    judge,
    judge::Verdict,
    ledger::Ledger,
    parse, plan,
    plan::Plan,
    select,
    tree::{Fetched, Role, SourceRef, Tree},
};
use faultline_policies::{Host, HostConfig, Ticks};

static HOST: LazyLock<Host> =
    LazyLock::new(|| Host::new(HostConfig { ticks: Ticks::ByHand, ..HostConfig::default() }).unwrap());

const NOW: &str = "2026-03-01T12:00:00Z";

type Files = BTreeMap<String, Arc<[u8]>>;

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// An experiment on the pod of the example inventory, from the lines that differ.
fn experiment(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata:\n  name: {name}\n  namespace: chaos-testing\n{spec}"
    )
}

fn inventory() -> Inventory {
    let bytes = fs::read(examples().join("inventory.yaml")).unwrap();
    let root = yaml::parse(&bytes).remove(0).root.unwrap();
    serde_json::from_value(root.to_json()).unwrap()
}

fn fetched(name: &str, role: Role, files: Files) -> Fetched {
    let source = SourceRef { name: name.to_owned(), role, revision: "sha256:0".to_owned() };
    Fetched::Fresh(Arc::new(Tree { source, files, refused: BTreeMap::new() }))
}

/// The plan for these experiments under these guardrails, with every verdict on each.
fn planned(experiments: Files, guardrails: Files) -> (Plan, BTreeMap<String, Vec<Verdict>>) {
    let fetched =
        [fetched("platform", Role::Platform, guardrails), fetched("team", Role::Experiments, experiments)];
    let (ledger, defaults, mut cache) =
        (Ledger { epoch: 1, ..Ledger::default() }, Defaults::default(), Cache::default());
    let now = NOW.parse().unwrap();
    let parsed = parse(&fetched, &ledger, &mut cache.files);
    assert!(parsed.broken.is_empty(), "{:?}", parsed.broken);
    let judged = judge(&parsed, &ledger, &defaults, &*HOST, &mut cache.verdicts, now);
    assert!(judged.unusable.is_empty(), "{:?}", judged.unusable);
    let judgements = judged.judgements.iter();
    let mut verdicts: BTreeMap<String, Vec<Verdict>> =
        judgements.map(|(id, judgement)| (id.name.clone(), judgement.verdicts.clone())).collect();
    let inventory = inventory();
    let selected = select(due(&judged, &ledger, &defaults, now), Some(&inventory), &defaults);
    let admitted = admit(selected, &*HOST, &mut cache.verdicts, &defaults, now);
    let plan = plan(admitted, &ledger, &defaults, now);
    for run in &plan.runs {
        verdicts.insert(run.key.experiment.name.clone(), run.verdicts.clone());
    }
    (plan, verdicts)
}
