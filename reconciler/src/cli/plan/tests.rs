//! What `run` does and what `plan` shows are the same, byte for byte, over generated trees with a history.

mod history;

use std::{cell::RefCell, fs, path::Path};

use clap::Parser as _;
use faultline_core::report::{Counters, NodeReport, ProbeReport, ProbeState};
use jiff::SignedDuration;
use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    test_runner::TestRunner,
};
use tokio::sync::Notify;

use super::*;
use crate::{
    agents::Fleet,
    cli::{Cli, Command},
    converge::Execution,
    metrics::Metrics,
    reconcile::Pass,
    record::Recorder,
    source::Directory,
    store::MemoryStore,
};
use faultline_core::tree::Role;
use history::{Event, History, NODES};

/// A reconciler without a network: its agents are the test.
struct Rehearsal {
    deps: Deps,
    fleet: Arc<Fleet>,
    clock: Arc<ManualClock>,
    recorder: Recorder,
    root: tempfile::TempDir,
    sessions: u64,
}

thread_local! {
    /// Guardrails are compiled once.
    static HOST: RefCell<Option<Arc<Host>>> = const { RefCell::new(None) };
}

fn shared_host() -> Arc<Host> {
    HOST.with_borrow_mut(|host| {
        Arc::clone(host.get_or_insert_with(|| Arc::new(Host::new(HostConfig::default()).unwrap())))
    })
}

impl Rehearsal {
    fn new(history: &History) -> Self {
        let root = tempfile::tempdir().unwrap();
        for directory in ["experiments", "platform", "state"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        history.write_guardrails(&root.path().join("platform"));
        let clock = Arc::new(ManualClock::at("2026-03-01T12:00:00.123456789Z".parse().unwrap()));
        let fleet = Arc::new(Fleet::new(clock.clone(), Arc::new(Metrics::new()), Arc::new(Notify::new())));
        let source = |name: &str, role| {
            Directory::new(name, role, root.path().join(name), std::time::Duration::from_secs(600))
        };
        let store = Box::new(MemoryStore::opened_from(Ledger::default()));
        let deps = Deps {
            clock: clock.clone(),
            sources: vec![source("platform", Role::Platform), source("experiments", Role::Experiments)],
            modules: Box::new(crate::modules::AtOnce::default()),
            inventory: Observer::new(Some(Provider::File(root.path().join("inventory.yaml")))),
            evaluator: shared_host(),
            cache: Cache::default(),
            defaults: faultline_core::Defaults::default(),
            converge: Box::new(Execution::new(store, Arc::clone(&fleet))),
        };
        let recorder = Recorder::beneath(&root.path().join("state")).unwrap();
        Self { deps, fleet, clock, recorder, root, sessions: 0 }
    }

    fn path(&self, relative: &str) -> std::path::PathBuf {
        self.root.path().join(relative)
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Write { file, text } => {
                fs::write(self.path(&format!("experiments/{file}")), text).unwrap();
            }
            Event::Remove { file } => drop(fs::remove_file(self.path(&format!("experiments/{file}")))),
            Event::Inventory(text) => fs::write(self.path("inventory.yaml"), text).unwrap(),
            Event::Wait(seconds) => self.clock.advance(std::time::Duration::from_secs(*seconds)),
            Event::Report { .. } => {}
        }
    }

    /// The agents do what the last plan told them, except that some fail.
    fn report(&mut self, pass: &Pass, failing: bool, spent: u64) {
        for node in NODES {
            self.sessions += 1;
            let told = pass.ledger.nodes.get(node).map(|told| told.generation);
            let probes = pass.plan.nodes.get(node).into_iter().flatten();
            let probes = probes.map(|probe| ProbeReport {
                id: probe.id.clone(),
                run: probe.run.clone(),
                slot: probe.slot,
                uid: probe.target.uid.clone(),
                container: probe.target.container.clone(),
                state: if failing {
                    ProbeState::Failed { error: "no such function".to_owned() }
                } else {
                    ProbeState::Attached
                },
                attach_points: Vec::new(),
                attached_at: (!failing).then(|| self.clock.now() - SignedDuration::from_millis(3)),
                ends: None,
                times: probe.times,
                spent,
                counters: Counters::default(),
            });
            let report = NodeReport {
                node: node.to_owned(),
                boot_id: "b".to_owned(),
                accepted: told.unwrap_or_default(),
                kernel: history::kernel(node),
                probes: probes.collect(),
            };
            self.fleet.joined(self.sessions, report);
        }
    }

    /// A pass, and the plan that `faultline plan` makes of what was recorded with it.
    fn pass_and_compare(&mut self) -> Pass {
        let pass = reconcile(&mut self.deps).unwrap();
        self.recorder.record(&pass).unwrap();
        let plans = self.path("state/plans");
        let newest = fs::read_dir(&plans).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
        let recorded = fs::read_to_string(newest.join("plan.json")).unwrap();
        // A pass that changed nothing is not recorded again; then the inputs of the last record give its plan.
        let at =
            serde_json::from_str::<serde_json::Value>(&recorded).unwrap()["at"].as_str().unwrap().to_owned();
        if at == pass.plan.at.to_string() {
            assert_eq!(self.planned(&newest, &at), recorded, "what `plan` shows is what `run` did");
        }
        pass
    }

    fn planned(&self, record: &Path, now: &str) -> String {
        let path = |path: &Path| path.display().to_string();
        let arguments = [
            "faultline".to_owned(),
            "plan".to_owned(),
            format!("--source=experiments={}", path(&self.path("experiments"))),
            format!("--platform=platform={}", path(&self.path("platform"))),
            format!("--ledger={}", path(&record.join("ledger.json"))),
            format!("--inventory={}", path(&record.join("inventory.json"))),
            format!("--now={now}"),
            "--output=json".to_owned(),
        ];
        let Command::Plan(command) = Cli::parse_from(arguments).command else { unreachable!("it is plan") };
        rendered(&command.pass(shared_host()).unwrap().plan, None, Format::Json).unwrap()
    }
}

#[test]
fn what_plan_shows_is_what_run_did_byte_for_byte_over_a_thousand_trees() {
    const TREES: usize = 1_000;
    let mut runner = TestRunner::deterministic();
    let (mut passes, mut with_probes) = (0, 0);
    for _ in 0..TREES {
        let history = history::histories().new_tree(&mut runner).unwrap().current();
        let mut rehearsal = Rehearsal::new(&history);
        for step in &history.steps {
            step.iter().for_each(|event| rehearsal.event(event));
            let pass = rehearsal.pass_and_compare();
            for event in step {
                if let Event::Report { failing, spent } = event {
                    rehearsal.report(&pass, *failing, *spent);
                    rehearsal.pass_and_compare();
                }
            }
            passes += 1;
            with_probes += usize::from(pass.plan.nodes.values().any(|probes| !probes.is_empty()));
        }
    }
    // The histories are worth something only if a good part of them comes to injecting.
    assert!(passes >= TREES && with_probes * 4 >= passes, "{with_probes} of {passes} plans inject");
}
