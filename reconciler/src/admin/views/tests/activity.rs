//! What is shown of probes, from what an agent says of them.

use std::time::Duration;

use faultline_api::Fault;
use faultline_core::{
    activity::Activity,
    inventory::{Injectability, KernelReport},
    ledger::RunKey,
    refusal::{Guarded, Refusal},
    report::{AttachPoint, Counters, NodeReport, ProbeReport, ProbeState},
};
use jiff::Timestamp;

use super::{super::TargetView, *};
use crate::{admin::views::runs, publish};

/// The session of the only agent.
const SESSION: u64 = 1;

impl Stage {
    /// One experiment, `chaos/web`, that is told to the agent of `n1`; `request` goes under `failKernRequest`.
    fn told(request: &str) -> Self {
        let mut stage = Self::with(&[("a.yaml", experiment("one") + request)]);
        stage.says(&[]);
        stage.pass();
        stage
    }

    /// The agent reports these probes in place of what it reported before.
    fn says(&self, probes: &[ProbeReport]) {
        let can = |fault| (fault, Injectability::Yes { mechanism: "fmod_ret".to_owned() });
        let faults = Fault::ALL.into_iter().map(can).collect();
        let report = NodeReport {
            node: "n1".to_owned(),
            boot_id: "boot".to_owned(),
            accepted: self
                .deps
                .converge
                .ledger()
                .nodes
                .get("n1")
                .map(|told| told.generation)
                .unwrap_or_default(),
            kernel: KernelReport { faults, ..KernelReport::default() },
            probes: probes.to_vec(),
        };
        self.fleet.joined(SESSION, report);
    }

    /// Its target, as `explain` has it after a pass or two.
    fn target(&mut self) -> TargetView {
        let shown = self.explained();
        assert_eq!(shown.targets.len(), 1, "{shown:?}");
        shown.targets.into_iter().next().unwrap()
    }

    fn explained(&mut self) -> Explanation {
        self.pass();
        let pass = self.pass();
        explain(&pass, &self.fleet.nodes(), "chaos", "web").unwrap()
    }

    /// Activity and message of the only run in `get runs`, which are those of its experiment in `get experiments`.
    fn line(&mut self) -> (String, String) {
        self.pass();
        let (pass, nodes) = (self.pass(), self.fleet.nodes());
        let (run, experiment) = (&runs(&pass, &nodes)[0], &experiments(&pass, &nodes)[0]);
        assert_eq!((&run.activity, &run.message), (&experiment.activity, &experiment.message));
        (run.activity.to_string(), run.message.clone())
    }

    /// The samples of `faultline_probes`.
    fn samples(&mut self) -> Vec<String> {
        self.pass();
        let pass = self.pass();
        let metrics = Metrics::new();
        metrics.stand(publish::standing(&pass, &self.fleet.nodes(), pass.plan.at));
        let page = metrics.page();
        let samples = page.lines().filter_map(|line| line.strip_prefix("faultline_probes{"));
        samples.map(str::to_owned).collect()
    }
}

fn noon() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// The probe on the only pod, attached at noon.
fn attached(counters: Counters) -> ProbeReport {
    ProbeReport {
        id: "chaos/web#1/0/u1/main".to_owned(),
        run: run(),
        slot: 0,
        uid: "u1".to_owned(),
        container: "main".to_owned(),
        state: ProbeState::Attached,
        attach_points: Vec::new(),
        attached_at: Some(noon()),
        ends: None,
        times: None,
        spent: counters.injections,
        counters,
    }
}

fn run() -> RunKey {
    "chaos/web#1".parse().unwrap()
}

fn turned_down() -> Counters {
    Counters { hits: 812, rejected: 812, ..Counters::default() }
}

#[test]
fn a_target_says_since_when_it_is_attached_and_how_far_it_came() {
    let missed = Counters { hits: 9, matches: 7, missed_returns: 3, injections: 4, ..Counters::default() };
    let failed = ProbeReport {
        state: ProbeState::Failed { error: "no such function".to_owned() },
        ..attached(Counters::default())
    };
    let table = [
        (
            attached(Counters::default()),
            Activity::NeverReached,
            "attached for 3m0s; the function that fails was never reached",
        ),
        (
            attached(turned_down()),
            Activity::NeverMatched,
            "attached for 3m0s; reached 812 times, never matched: a predicate turned 812 down",
        ),
        (
            attached(missed),
            Activity::Injecting,
            "attached for 3m0s; reached 9 times, matched 7 times, injected 4 times",
        ),
        (failed.clone(), Activity::Failed, "not attached: no such function"),
        (
            ProbeReport { counters: missed, ..failed },
            Activity::Failed,
            "not attached: no such function; before, reached 9 times, matched 7 times, injected 4 times",
        ),
    ];
    for (probe, activity, message) in table {
        let mut stage = Stage::told("");
        stage.clock.advance(Duration::from_secs(180));
        stage.says(std::slice::from_ref(&probe));
        let shown = stage.target();
        assert_eq!((shown.activity, shown.message.as_str()), (activity, message));
        assert_eq!((shown.counters, shown.connected), (Some(probe.counters), true));
        assert_eq!(shown.warning.is_some(), probe.counters.missed_returns > 0);
    }
}

#[test]
fn a_target_says_by_reason_why_calls_were_not_injected_into_and_names_the_only_predicate() {
    let guarded_by = Guarded { nofail: 2, ..Guarded::default() };
    let counters = Counters { guarded: 3, guarded_by, ..turned_down() };
    let predicated = "__x64_sys_mount, parameters: int flags, predicate: flags == 1 }";
    let mut stage = Stage::with(&[("a.yaml", experiment("one").replace("__x64_sys_mount }", predicated))]);
    stage.says(&[]);
    stage.pass();
    stage.says(&[attached(counters)]);
    let explanation = stage.explained();
    let chain: Vec<_> =
        explanation.chain.iter().map(|frame| (frame.function.as_str(), frame.predicate.as_deref())).collect();
    assert_eq!(chain, [("__x64_sys_mount", Some("flags == 1")), ("should_failslab", None)]);
    let refusals = explanation.targets[0].refusals.iter();
    let refusals: Vec<_> = refusals.map(|r| (r.reason, r.count, r.function.as_deref())).collect();
    assert_eq!(
        refusals,
        [
            (Refusal::Predicate, 812, Some("__x64_sys_mount")),
            (Refusal::NoFail, 2, None),
            (Refusal::Guarded, 1, None)
        ]
    );
}

#[test]
fn runs_that_the_kernel_passed_over_are_a_warning_that_says_what_follows() {
    let point = |function: &str, missed_runs| AttachPoint {
        function: function.to_owned(),
        mechanism: "fentry/fexit".to_owned(),
        others: Vec::new(),
        missed_runs,
    };
    let points = vec![point("mount", 0), point("path_mount", 3), point("should_failslab", 1)];
    let counters = Counters { hits: 9, matches: 7, missed_returns: 1, injections: 4, ..Counters::default() };
    let mut stage = Stage::told("");
    stage.says(&[ProbeReport { attach_points: points, ..attached(counters) }]);
    assert_eq!(
        stage.target().warning.as_deref(),
        Some(
            "missed returns: what was matched was dropped once, because exits went unseen; missed runs: the kernel \
             passed over runs of our programs, whoever called (3 on path_mount, 1 on should_failslab); what is missed \
             in scope is not injected, so injections may be below the stated probability"
        )
    );
}

#[test]
fn a_target_whose_agent_has_not_spoken_of_it_is_pending_and_says_whom_it_waits_for() {
    let mut silent = Stage::with(&[("a.yaml", experiment("one"))]);
    let shown = silent.target();
    assert_eq!((shown.activity, shown.counters, shown.heard), (Activity::Pending, None, None));
    assert_eq!(shown.message, "no agent of node n1 has connected");
    let shown = Stage::told("").target();
    assert_eq!((shown.activity, shown.connected), (Activity::Pending, true));
    assert_eq!(shown.message, "the agent of node n1 has not said that it attached");
}

#[test]
fn a_probe_that_waits_for_a_module_is_pending_and_says_for_which() {
    let mut stage = Stage::told("");
    let waits = || ProbeState::Pending { reason: "module `ext4` is not loaded".to_owned() };
    let never = ProbeReport { state: waits(), attached_at: None, ..attached(Counters::default()) };
    stage.says(&[never]);
    let told = "waiting: module `ext4` is not loaded";
    assert_eq!((stage.target().activity, stage.target().message.as_str()), (Activity::Pending, told));
    assert_eq!(stage.line(), ("pending".to_owned(), told.to_owned()));
    assert_eq!(stage.samples(), ["experiment=\"chaos/web\",node=\"n1\",state=\"pending\"} 1"]);
    // The module goes under a probe that was attached.
    stage.says(&[attached(turned_down())]);
    stage.pass();
    stage.says(&[ProbeReport { state: waits(), ..attached(turned_down()) }]);
    assert_eq!(stage.line(), ("pending".to_owned(), told.to_owned()));
    assert!(stage.target().message.starts_with(&format!("{told}; before, reached 812 times")));
}

#[test]
fn a_list_says_why_nothing_came_of_a_run_and_nothing_more_where_something_did() {
    let missed = Counters { hits: 9, matches: 7, missed_returns: 3, injections: 4, ..Counters::default() };
    let warning = "missed returns: what was matched was dropped 3 times, because exits went unseen";
    let fine = Counters { missed_returns: 0, ..missed };
    for (counters, activity, message) in [
        (Counters::default(), "never reached", "the function that fails was never reached"),
        (turned_down(), "never matched", "reached 812 times, never matched: a predicate turned 812 down"),
        (fine, "injecting", ""),
        (missed, "injecting", warning),
    ] {
        let mut stage = Stage::told("");
        stage.says(&[attached(counters)]);
        assert_eq!(stage.line(), (activity.to_owned(), message.to_owned()));
    }
}

#[test]
fn what_an_agent_said_before_it_went_is_shown_as_that() {
    let mut stage = Stage::told("");
    stage.says(&[attached(turned_down())]);
    stage.pass();
    stage.fleet.left("n1", SESSION);
    stage.clock.advance(Duration::from_secs(3_000));
    let shown = stage.target();
    assert_eq!((shown.activity, shown.connected), (Activity::NeverMatched, false));
    assert_eq!(
        shown.message,
        "attached for 0s; reached 812 times, never matched: a predicate turned 812 down; \
         last heard at 2026-03-01T12:00:00Z, the agent of node n1 is not connected"
    );
    assert_eq!(
        stage.line().1,
        "the agent of node n1 is not connected; reached 812 times, never matched: a predicate turned 812 down"
    );
    assert_eq!(stage.samples(), ["experiment=\"chaos/web\",node=\"n1\",state=\"unknown\"} 1"]);
}

#[test]
fn a_used_up_budget_is_said_though_the_probe_is_detached_for_it() {
    let mut stage = Stage::told("    times: 4\n");
    let counters = Counters { hits: 9, matches: 7, exhausted: 3, injections: 4, ..Counters::default() };
    stage.says(&[attached(Counters { injections: 1, ..Counters::default() })]);
    stage.pass();
    let spent = ProbeReport { times: Some(4), ..attached(counters) };
    stage.says(std::slice::from_ref(&spent));
    assert_eq!(stage.line(), ("exhausted".to_owned(), String::new()));
    stage.says(&[ProbeReport { state: ProbeState::Detached, ..spent }]);
    assert_eq!(
        stage.target().message,
        "detached; its budget is used up; reached 9 times, matched 7 times, injected 4 times: \
         3 after the budget was used up"
    );
    assert_eq!(stage.samples(), ["experiment=\"chaos/web\",node=\"n1\",state=\"exhausted\"} 1"]);
}

#[test]
fn a_run_that_is_over_says_what_it_came_to_and_counts_in_no_metric() {
    let mut stage = Stage::told("");
    stage.says(&[attached(turned_down())]);
    stage.pass();
    assert_eq!(stage.samples(), ["experiment=\"chaos/web\",node=\"n1\",state=\"never_matched\"} 1"]);
    fs::remove_file(stage.root.path().join("exp/a.yaml")).unwrap();
    stage.says(&[ProbeReport { state: ProbeState::Detached, ..attached(turned_down()) }]);
    let shown = stage.explained();
    let target = &shown.targets[0];
    assert_eq!(
        (shown.run.unwrap().activity.to_string(), shown.targets.len()),
        ("never matched".to_owned(), 1)
    );
    assert_eq!((target.container.as_str(), target.node.as_str()), ("shop/web/main", "n1"));
    assert_eq!(target.message, "detached; reached 812 times, never matched: a predicate turned 812 down");
    assert!(stage.samples().is_empty());
}

#[test]
fn what_other_nodes_spent_of_a_slots_budget_counts_too() {
    let mut stage = Stage::told("    times: 4\n");
    let counters = Counters { hits: 1, matches: 1, injections: 1, ..Counters::default() };
    stage.says(&[ProbeReport { times: Some(4), ..attached(counters) }]);
    let mut pass = stage.pass();
    for (elsewhere, activity) in [(2, "injecting"), (3, "exhausted")] {
        pass.ledger.runs.get_mut(&run()).unwrap().slots[0].record("n2", "main", elsewhere);
        assert_eq!(runs(&pass, &stage.fleet.nodes())[0].activity.to_string(), activity);
    }
}
