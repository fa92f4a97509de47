//! `faultline run` as a process, with an agent that only says that it attaches: what is told when, what is kept, and
//! what a restart, a loss and a stop come to.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "run/agent.rs"]
mod agent;
#[path = "run/modules.rs"]
mod modules;
#[path = "run/registry.rs"]
mod registry;
#[path = "run/stage.rs"]
mod stage;

use std::{fs, time::Duration};

use agent::{FakeAgent, fresh};
use faultline_core::{ledger::Generation, refusal::Guarded, report::Counters};
use faultline_wire::{
    Version,
    client::{ConnectTo, Received, connect},
    message::{Desired, Hello},
};
use rustix::process::Signal;
use stage::{LEASE, PATIENCE, Stage, experiment, holds};
use tokio::time::{sleep, timeout};

/// Waits until `wanted` holds, and fails with the log.
async fn eventually(stage: &Stage, what: &str, mut wanted: impl FnMut() -> bool) {
    let waited = timeout(PATIENCE, async {
        while !wanted() {
            sleep(Duration::from_millis(50)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}: {:?}\n{}", stage.runs(), stage.log());
}

fn has(stage: &Stage, run: &str, state: &str) -> bool {
    stage.runs().iter().any(|(key, at, _)| key == run && at == state)
}

fn probes(desired: &Desired) -> usize {
    desired.set.probes.len()
}

/// A reconciler with one experiment, and an agent that holds it.
async fn running(spec: &str) -> (Stage, FakeAgent) {
    let mut stage = Stage::empty();
    stage.write("experiments/web.yaml", &experiment("web", spec, ""));
    stage.start();
    let mut agent = FakeAgent::dial(&stage.agents(), fresh()).await;
    agent.desired_that(|desired| probes(desired) == 1).await;
    pump(&mut agent, || has(&stage, "chaos/web#1", "Running")).await;
    (stage, agent)
}

/// Answers the reconciler until `wanted` holds.
async fn pump(agent: &mut FakeAgent, mut wanted: impl FnMut() -> bool) {
    let pumped = timeout(PATIENCE, async {
        while !wanted() {
            if let Ok(desired) = timeout(Duration::from_millis(100), agent.desired()).await {
                agent.accept(&desired).await;
            }
        }
    });
    assert!(pumped.await.is_ok(), "it never came to be");
}

#[tokio::test]
async fn an_experiment_is_told_acknowledged_edited_in_place_and_recovered() {
    let (stage, mut agent) = running("").await;
    let id = agent.report.probes[0].id.clone();
    assert_eq!(id, "chaos/web#1/0/u1/main");

    agent.spend(3).await;
    stage.write("experiments/web.yaml", &experiment("web", "", "    probability: 40\n"));
    let edited = agent
        .desired_that(|desired| desired.set.probes.iter().any(|probe| probe.probability.get() == 40))
        .await;
    assert_eq!(edited.set.probes[0].id, id, "the run and its target stay");
    pump(&mut agent, || String::from_utf8_lossy(&stage.ask(&["get", "runs"]).stdout).contains("Running"))
        .await;

    fs::remove_file(stage.path("experiments/web.yaml")).unwrap();
    agent.desired_that(|desired| probes(desired) == 0).await;
    pump(&mut agent, || has(&stage, "chaos/web#1", "Stopped")).await;
    let explained = stage.ask(&["explain", "chaos/web"]);
    let text = String::from_utf8_lossy(&explained.stdout).into_owned();
    assert!(text.contains("chaos/web#1 is Stopped (Removed)") && text.contains("spent       3"), "{text}");
    let unknown = stage.ask(&["explain", "chaos/none"]);
    assert_eq!(unknown.status.code(), Some(1));
}

#[tokio::test]
async fn every_recorded_plan_can_be_made_again_byte_for_byte_by_the_plan_command() {
    let (stage, mut agent) = running("  duration: 1h\n").await;
    stage.write("experiments/other.yaml", &experiment("other", "", "    times: 7\n"));
    agent.desired_that(|desired| probes(desired) == 2).await;
    pump(&mut agent, || has(&stage, "chaos/other#1", "Running")).await;
    let record = stage.records().pop().unwrap();
    let recorded = fs::read(record.join("plan.json")).unwrap();
    let at =
        serde_json::from_slice::<serde_json::Value>(&recorded).unwrap()["at"].as_str().unwrap().to_owned();
    let planned = stage
        .faultline("plan")
        .arg(format!("--source=experiments={}", stage.path("experiments").display()))
        .arg(format!("--platform=platform={}", stage.path("platform").display()))
        .arg(format!("--inventory={}", record.join("inventory.json").display()))
        .arg(format!("--ledger={}", record.join("ledger.json").display()))
        .arg(format!("--now={at}"))
        .args(["-o", "json"])
        .output()
        .unwrap();
    assert!(
        holds(&record.join("plan.json"), &planned.stdout),
        "{}",
        String::from_utf8_lossy(&planned.stdout)
    );
    assert_eq!(planned.status.code(), Some(0));
}

#[tokio::test]
async fn leases_are_renewed_three_times_within_each_and_stop_with_the_reconciler() {
    let (mut stage, mut agent) = running("").await;
    let mut renewals = 0;
    let counted = timeout(LEASE * 2, async {
        loop {
            if let Received::Renew(renew) = agent.receive().await {
                assert_eq!(renew.generation, agent.report.accepted);
                renewals += 1;
            }
        }
    });
    assert!(counted.await.is_err());
    assert!((4..=7).contains(&renewals), "{renewals} renewals in two leases");
    assert_eq!(stage.stop(Signal::TERM), Some(0), "a stop is no failure");
    assert!(agent.ends().await, "the session is closed, and nothing was told to detach");
}

#[tokio::test]
async fn after_a_kill_the_run_goes_on_under_a_higher_epoch() {
    let (mut stage, mut agent) = running("").await;
    agent.spend(5).await;
    pump(&mut agent, || {
        String::from_utf8_lossy(&stage.ask(&["get", "runs", "-o", "json"]).stdout).contains("\"spent\": 5")
    })
    .await;
    let (before, report) = (agent.report.accepted, agent.report.clone());
    assert_eq!(stage.stop(Signal::KILL), None);
    stage.start();
    let mut agent = FakeAgent::dial(&stage.agents(), report).await;
    let again = agent.desired().await;
    assert!(again.set.generation.epoch > before.epoch);
    assert_eq!(again.set.probes[0].id, "chaos/web#1/0/u1/main", "the same run, slot and target");
    agent.accept(&again).await;
    pump(&mut agent, || has(&stage, "chaos/web#1", "Running")).await;
    assert_eq!(stage.runs().len(), 1);
}

#[tokio::test]
async fn with_the_ledger_lost_what_completed_is_not_started_again() {
    let (mut stage, mut agent) = running("  duration: 2s\n").await;
    agent.desired_that(|desired| probes(desired) == 0).await;
    pump(&mut agent, || has(&stage, "chaos/web#1", "Completed")).await;
    let report = agent.report.clone();
    stage.stop(Signal::KILL);
    fs::remove_dir_all(stage.path("state")).unwrap();
    stage.start();
    // It plans without the agent first, as after any start; nothing of that plan may reach the agent.
    eventually(&stage, "a first pass", || !stage.runs().is_empty()).await;
    let mut agent = FakeAgent::dial(&stage.agents(), report).await;
    let first = agent.desired().await;
    assert_eq!(probes(&first), 0, "told only after what it reported was taken into account: {first:?}");
    agent.accept(&first).await;
    pump(&mut agent, || stage.runs().iter().all(|(_, state, _)| state == "Completed" || state == "Held"))
        .await;
}

#[tokio::test]
async fn an_agent_that_knows_something_newer_is_given_a_higher_epoch() {
    let (stage, mut agent) = running("").await;
    stage.write("experiments/web.yaml", &experiment("web", "", "    probability: 1\n"));
    let desired = agent.desired().await;
    let newer = Generation { epoch: desired.set.generation.epoch + 41, counter: 7 };
    agent.refuse(&desired, newer).await;
    let above = agent.desired_that(|desired| desired.set.generation > newer).await;
    assert_eq!(probes(&above), 1);
}

#[tokio::test]
async fn one_broken_file_stops_only_itself_and_a_vanished_directory_stops_nothing() {
    let (stage, mut agent) = running("").await;
    stage.write("experiments/broken.yaml", "kind: KernelChaos\nspec: [\n");
    stage.write("experiments/more.yaml", &experiment("more", "", ""));
    agent.desired_that(|desired| probes(desired) == 2).await;
    fs::rename(stage.path("experiments"), stage.path("elsewhere")).unwrap();
    stage.write(
        "inventory.yaml",
        &fs::read_to_string(stage.path("inventory.yaml")).unwrap().replace("2026-01-01", "2026-01-02"),
    );
    let three_seconds = async {
        loop {
            let desired = agent.desired().await;
            agent.accept(&desired).await;
            assert_eq!(probes(&desired), 2, "the last good tree stays in force");
        }
    };
    assert!(timeout(Duration::from_secs(3), three_seconds).await.is_err());
    fs::rename(stage.path("elsewhere"), stage.path("experiments")).unwrap();
    fs::remove_file(stage.path("experiments/more.yaml")).unwrap();
    agent.desired_that(|desired| probes(desired) == 1).await;
}

#[tokio::test]
async fn what_happens_is_in_the_metrics_and_in_the_health() {
    let (stage, mut agent) = running("").await;
    stage.write("experiments/broken.yaml", "kind: KernelChaos\nspec: [\n");
    agent.spend(3).await;
    agent.spend(4).await;
    let stranger = Hello { version: Version { major: 9, minor: 0 }, report: fresh() };
    let to = ConnectTo::new(stage.agents(), None).unwrap();
    assert!(connect(&to, stranger, 1).await.is_err());
    for sample in [
        // Nothing is said of what is accepted, so this is the text format 0.0.4.
        "# TYPE faultline_injections_total counter",
        "faultline_injections_total{experiment=\"chaos/web\",node=\"n1\"} 7",
        "faultline_runs{state=\"Running\"} 1",
        "faultline_runs{state=\"Held\"} 0",
        "faultline_node_connected{node=\"n1\"} 1",
        "faultline_peers_refused_total{reason=\"other_major\"} 1",
        "faultline_diagnostics{severity=\"error\"} 1",
        "faultline_reconciles_total{result=\"success\"}",
        "faultline_source_stale_seconds{source=\"experiments\"} 0.0",
    ] {
        pump(&mut agent, || stage.page("/metrics").1.contains(sample)).await;
    }
    assert_eq!(stage.page("/readyz").0, "HTTP/1.0 200 OK");
    assert_eq!(stage.page("/healthz").0, "HTTP/1.0 200 OK");
    assert_eq!(
        stage.page("/v1/runs").0,
        "HTTP/1.0 404 Not Found",
        "off loopback there are only metrics and health"
    );
    drop(agent);
    eventually(&stage, "the agent is gone", || {
        stage.page("/metrics").1.contains("faultline_node_connected{node=\"n1\"} 0")
    })
    .await;
}

#[tokio::test]
async fn how_far_probes_have_come_is_in_the_lists_the_explanation_and_the_metrics() {
    let (stage, mut agent) = running("").await;
    let none = Counters::default();
    let rejected = Counters { hits: 812, rejected: 812, ..none };
    let injected = Counters { hits: 900, matches: 9, missed_returns: 2, injections: 7, ..rejected };
    let guarded_by = Guarded { starting: 30, ..Guarded::default() };
    let guarded = Counters { guarded: 30, guarded_by, ..injected };
    let table = [
        (none, "never reached", "; the function that fails was never reached\n", "never_reached"),
        (
            rejected,
            "never matched",
            "; reached 812 times, never matched: a predicate turned 812 down\n",
            "never_matched",
        ),
        (
            injected,
            "injecting",
            "              warning: missed returns: what was matched was dropped 2 times, because exits went unseen\n",
            "injecting",
        ),
        (
            guarded,
            "injecting",
            "              NOT INJECTED   CALLS  MEANING\n\
             \x20             predicate      812    a predicate did not hold, of a frame or of the function that fails\n\
             \x20             missed_return  2      an exit went unseen, so the stack did not prove the call chain\n\
             \x20             starting       30     the container had only just started and was within its grace\n",
            "injecting",
        ),
    ];
    let said = |arguments: &[&str]| String::from_utf8_lossy(&stage.ask(arguments).stdout).into_owned();
    for (counters, activity, words, state) in table {
        agent.count(counters).await;
        for list in ["runs", "experiments"] {
            pump(&mut agent, || said(&["get", list]).contains(&format!("  Attached  {activity}  "))).await;
        }
        pump(&mut agent, || said(&["explain", "chaos/web"]).contains(words)).await;
        let text = said(&["explain", "chaos/web"]);
        assert!(text.contains("              attached for "), "{text}");
        assert!(text.contains(&format!("  activity    {activity}\n")), "{text}");
        let sample = format!("faultline_probes{{experiment=\"chaos/web\",node=\"n1\",state=\"{state}\"}} 1");
        pump(&mut agent, || stage.page("/metrics").1.contains(&sample)).await;
        assert_eq!(
            stage.page("/metrics").1.matches("faultline_probes{").count(),
            1,
            "no other state is left"
        );
    }
    let runs: serde_json::Value = serde_json::from_str(&said(&["get", "runs", "-o", "json"])).unwrap();
    assert_eq!(runs[0]["activity"], serde_json::json!({ "injecting": 1 }));
    assert_eq!(runs[0]["counters"]["missedReturns"], 2);
    assert_eq!(runs[0]["counters"]["guardedBy"]["starting"], 30);
}

#[tokio::test]
async fn nodes_are_asked_by_a_plan_and_an_explanation_what_would_come_of_experiments() {
    let (stage, mut agent) = running("").await;
    let missing = experiment("missing", "", "").replace("__x64_sys_mount", "no_such_function");
    fs::create_dir(stage.path("proposed")).unwrap();
    stage.write("proposed/missing.yaml", &missing);
    let plan = || {
        let mut plan = stage.faultline("plan");
        plan.arg(format!("--source=proposed={}", stage.path("proposed").display()));
        plan.arg(format!("--inventory={}", stage.path("inventory.yaml").display()));
        plan.arg(format!("--admin={}", stage.admin()));
        plan
    };
    let (command, mut also) = (plan(), plan());
    also.args(["-o", "json"]).arg(format!("--source=experiments={}", stage.path("experiments").display()));
    let plan = finished(&mut agent, command).await;
    let text = String::from_utf8_lossy(&plan.stdout).into_owned();
    let expected =
        "\nOn the nodes\n  chaos/missing\n    n1: cannot be injected: there is no no_such_function\n";
    assert!(text.starts_with("Plan at ") && text.ends_with(expected), "{text}");
    assert_eq!(plan.status.code(), Some(1), "it can be injected nowhere");
    let plan = finished(&mut agent, also).await;
    let json: serde_json::Value = serde_json::from_slice(&plan.stdout).unwrap();
    assert_eq!(json["preflight"]["chaos/web"]["n1"]["usable"], true);
    assert_eq!(
        json["preflight"]["chaos/missing"]["n1"]["frames"][0]["problem"],
        "there is no no_such_function"
    );
    assert!(json["runs"].is_array(), "the plan is there as without the question");

    let mut command = stage.faultline("explain");
    command.args(["chaos/web", "--preflight"]).arg(format!("--admin={}", stage.admin()));
    let explained = String::from_utf8_lossy(&finished(&mut agent, command).await.stdout).into_owned();
    let expected = "  preflight   n1: can be injected: __x64_sys_mount by fentry/fexit, should_failslab by fentry/fexit\n";
    assert!(explained.ends_with(expected), "{explained}");
}

/// What comes of a command that needs the agent's answer.
async fn finished(agent: &mut FakeAgent, mut command: std::process::Command) -> std::process::Output {
    let running = tokio::task::spawn_blocking(move || command.output().unwrap());
    pump(agent, || running.is_finished()).await;
    running.await.unwrap()
}

#[tokio::test]
async fn a_second_reconciler_is_refused_and_told_which_process_has_the_state() {
    let mut stage = Stage::empty();
    stage.start();
    eventually(&stage, "a first pass", || stage.ask(&["get", "runs"]).status.success()).await;
    let second = stage
        .faultline("run")
        .arg(format!("--source={}", stage.path("experiments").display()))
        .arg(format!("--inventory={}", stage.path("inventory.yaml").display()))
        .arg(format!("--state-dir={}", stage.path("state").display()))
        .arg(format!("--listen=unix:{}", stage.path("second.sock").display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2));
    assert!(text.contains("is in use by process "), "{text}");
}
