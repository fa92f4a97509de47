//! What is shown of passes over real directories, without agents.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use faultline_core::{Cache, Defaults, ledger::Ledger, tree::Role};
use faultline_policies::{Host, HostConfig};
use tokio::sync::Notify;

mod activity;

use super::{Explanation, experiments, explain, report};
use crate::{
    agents::Fleet,
    clock::ManualClock,
    converge::Execution,
    inventory::{Observer, Provider},
    metrics::Metrics,
    reconcile::{Deps, Pass, reconcile},
    source::Directory,
    store::MemoryStore,
};

struct Stage {
    root: tempfile::TempDir,
    clock: Arc<ManualClock>,
    fleet: Arc<Fleet>,
    deps: Deps,
}

impl Stage {
    /// A source `exp` with these files, and one pod on the node `n1`.
    fn with(files: &[(&str, String)]) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("exp")).unwrap();
        for (path, text) in files {
            fs::write(root.path().join("exp").join(path), text).unwrap();
        }
        let inventory = root.path().join("inventory.yaml");
        fs::write(
            &inventory,
            "observedAt: 2026-01-01T00:00:00Z\nnodes: { n1: {} }\nnamespaces: { shop: {} }\npods:\n\
             - { namespace: shop, name: web, uid: u1, node: n1, phase: Running, containers: [{ name: main, cgroup: a }] }\n",
        )
        .unwrap();
        let clock = Arc::new(ManualClock::at("2026-03-01T12:00:00Z".parse().unwrap()));
        let fleet = Arc::new(Fleet::new(clock.clone(), Arc::new(Metrics::new()), Arc::new(Notify::new())));
        let store = Box::new(MemoryStore::opened_from(Ledger::default()));
        let (source, kept) = (root.path().join("exp"), Duration::from_secs(600));
        let deps = Deps {
            clock: clock.clone(),
            sources: vec![Directory::new("exp", Role::Experiments, source, kept)],
            modules: Box::new(crate::modules::AtOnce::default()),
            inventory: Observer::new(Some(Provider::File(inventory))),
            evaluator: Arc::new(Host::new(HostConfig::default()).unwrap()),
            cache: Cache::default(),
            defaults: Defaults::default(),
            converge: Box::new(Execution::new(store, Arc::clone(&fleet))),
        };
        Self { root, clock, fleet, deps }
    }

    fn pass(&mut self) -> Pass {
        reconcile(&mut self.deps).unwrap()
    }
}

fn experiment(mode: &str) -> String {
    format!(
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: {{ name: web, namespace: chaos }}\nspec:\n  \
         mode: {mode}\n  selector: {{ namespaces: [shop] }}\n  failKernRequest:\n    \
         callchain: [{{ funcname: __x64_sys_mount }}]\n    failtype: 0\n"
    )
}

fn explained(pass: &Pass) -> Explanation {
    explain(pass, &BTreeMap::new(), "chaos", "web").unwrap()
}

#[test]
fn a_broken_document_is_declared_where_it_stands_and_its_problem_is_listed_with_line_and_column() {
    let pass = Stage::with(&[("bad.yaml", experiment("ones"))]).pass();
    assert_eq!(explained(&pass).place.as_deref(), Some("exp:bad.yaml:1"));
    let problems = report(&pass, None).problems;
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].place.to_string(), "exp:bad.yaml:5:9");
}

#[test]
fn of_two_documents_that_declare_the_same_both_places_are_named() {
    let pass = Stage::with(&[("a.yaml", experiment("one")), ("b.yaml", experiment("one"))]).pass();
    let both = "exp:b.yaml:1: exp:a.yaml:1 declares it too, and came first";
    assert!(explained(&pass).why_nots.contains(&both.to_owned()), "{:?}", explained(&pass));
}

#[test]
fn a_run_that_waits_says_for_which_nodes_agent() {
    let pass = Stage::with(&[("a.yaml", experiment("one"))]).pass();
    assert_eq!(explained(&pass).run.unwrap().message, "no agent of node n1 has connected");
    assert_eq!(experiments(&pass, &BTreeMap::new())[0].message, "no agent of node n1 has connected");
}

#[test]
fn a_source_that_vanishes_is_said_of_its_experiments_and_beside_every_list() {
    let mut stage = Stage::with(&[("a.yaml", experiment("one"))]);
    let fresh = stage.pass();
    assert!(report(&fresh, None).sources.is_empty());
    fs::rename(stage.root.path().join("exp"), stage.root.path().join("gone")).unwrap();
    let stale = stage.pass();
    let says = |texts: &[String]| {
        texts.iter().any(|text| text.starts_with("source exp: its last good tree is in force"))
    };
    assert!(says(&report(&stale, None).sources) && says(&explained(&stale).why_nots));
    assert_eq!(report(&stale, Some("no inventory".to_owned())).error.as_deref(), Some("no inventory"));
}
