//! The agent as a process on a real kernel, with the test for a reconciler: killed, stopped, abandoned, restarted.
//! `cargo lab test --package faultline-node-agent --test session --bin faultline-node-agent:faultline-agent`

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, helpers included")]

mod reconciler;
mod stage;
mod switches;
#[path = "../common/victim.rs"]
mod victim;

use std::time::Duration;

use faultline_core::report::ProbeState;
use rustix::process::Signal;

use reconciler::{lasting, plain, times};
use stage::Stage;
use victim::{Victim, boot_ns};

/// Long enough for an emulated machine, on which every step takes a moment.
const LEASE: Duration = Duration::from_secs(4);

/// Whether mounts come to fail within half a minute.
fn fails_again(target: &mut Victim) -> bool {
    (0..60).any(|_| target.ask("try-for 500 1").failed > 0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_of_victim_budget_report_and_metrics_are_equal() {
    let Some(mut stage) = Stage::new("counts", LEASE).await else { return };
    let (mut target, mut neighbour) = (stage.container("target"), stage.container("neighbour"));
    let _agent = stage.agent();
    stage.connected().await;
    stage.desire(&[plain("target")]).await;
    assert_eq!(stage.state(0).await, ProbeState::Attached);
    let beside = neighbour.order("try 1000");
    let failed = target.ask("try 500").failed;
    assert_eq!(failed, 500);
    assert_eq!(beside.tally().failed, 0);
    // Taken away in the middle of it all, so that nobody saw the last ones.
    let going = target.order("try-for 3000 2");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    stage.desire(&[]).await;
    let tally = going.tally();
    assert!(tally.failed > 0 && tally.ok > 0, "{tally:?}");
    let failed = failed + tally.failed;
    assert_eq!(target.ask("try 100").failed, 0);
    let report = stage.report().await;
    assert_eq!((report.probes[0].spent, report.probes[0].counters.injections), (failed, failed));
    let shown = stage.metric("faultline_agent_injections_total{").await;
    assert_eq!(shown, failed.to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seven_are_seven_though_the_agent_is_killed_in_between() {
    let Some(mut stage) = Stage::new("seven", LEASE).await else { return };
    let mut target = stage.container("target");
    for round in 1..=8_u64 {
        let mut agent = stage.agent();
        stage.connected().await;
        let going = target.order("try-for 1500 4");
        stage.desire_soon(&[times(&format!("round-{round}"), "target", 7)]);
        tokio::time::sleep(Duration::from_millis(round * 97 % 400)).await;
        agent.kill().unwrap();
        agent.wait().unwrap();
        let before = going.tally().failed;
        assert!(before <= 7, "round {round}: {before}");
        let mut agent = stage.agent();
        stage.connected().await;
        stage.desire(&[times(&format!("round-{round}"), "target", 7)]).await;
        assert_eq!(before + target.ask("try 50").failed, 7, "round {round}");
        stage.desire(&[]).await;
        agent.kill().unwrap();
        agent.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_started_right_behind_a_killed_one_takes_over() {
    let Some(mut stage) = Stage::new("behind", LEASE).await else { return };
    let mut target = stage.container("target");
    let mut agent = stage.agent();
    stage.connected().await;
    for round in 0..10 {
        stage.desire(&[plain("target")]).await;
        let going = target.order("try-for 200 4");
        agent.kill().unwrap();
        let mut killed = std::mem::replace(&mut agent, stage.agent());
        stage.connected().await;
        going.tally();
        assert!(killed.wait().unwrap().code().is_none(), "round {round}");
    }
    stage.desire(&[]).await;
    assert_eq!(target.ask("try 100").failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_agent_prolongs_nothing_and_goes_on_when_it_may() {
    let Some(mut stage) = Stage::new("stopped", LEASE).await else { return };
    let mut target = stage.container("target");
    let agent = stage.agent();
    stage.connected().await;
    stage.desire(&[plain("target")]).await;
    assert!(target.ask("try-for 500 1").failed > 0);
    stage::signal(&agent, Signal::STOP);
    let stopped = boot_ns();
    let tally = target.ask("try-for 7000 1");
    let deadline = stopped + u64::try_from(LEASE.as_nanos()).unwrap();
    assert!(tally.last_failure < deadline, "{tally:?}, stopped at {stopped}");
    assert!(tally.ok > 0);
    stage::signal(&agent, Signal::CONT);
    assert!(fails_again(&mut target), "once it may, it injects again");
    assert_eq!(stage.metric("faultline_agent_lease_expiries_total").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_reconciler_is_recovered_from_and_a_terminated_agent_leaves_nothing() {
    let Some(mut stage) = Stage::new("silent", LEASE).await else { return };
    let mut target = stage.container("target");
    let mut agent = stage.agent();
    stage.connected().await;
    stage.desire(&[plain("target")]).await;
    stage.renewals(false);
    let silent = boot_ns();
    let tally = target.ask("try-for 7000 1");
    let deadline = silent + u64::try_from(LEASE.as_nanos()).unwrap();
    assert!(tally.failed > 0 && tally.last_failure < deadline, "{tally:?}, silent at {silent}");
    stage.renewals(true);
    assert!(fails_again(&mut target), "once it may, it injects again");
    stage::signal(&agent, Signal::TERM);
    assert!(agent.wait().unwrap().success());
    assert_eq!(target.ask("try 100").failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_ends_by_itself_and_stays_ended_through_a_restart() {
    let Some(mut stage) = Stage::new("ends", LEASE).await else { return };
    let mut target = stage.container("target");
    let mut agent = stage.agent();
    stage.connected().await;
    let going = target.order("try-for 20000 1");
    stage.desire(&[lasting("target", 3)]).await;
    let began = stage.report().await.probes[0].attached_at.unwrap();
    let ends = stage.report().await.probes[0].ends.unwrap();
    assert_eq!(ends.duration_since(began).as_secs(), 3);
    let tally = going.tally();
    assert!(tally.failed > 0 && tally.ok > 0, "{tally:?}");
    stage.reaches(&ProbeState::Detached).await;
    agent.kill().unwrap();
    agent.wait().unwrap();
    let _agent = stage.agent();
    stage.connected().await;
    stage.desire(&[lasting("target", 3)]).await;
    assert_eq!(stage.state(0).await, ProbeState::Detached);
    assert_eq!(target.ask("try 100").failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_keeps_what_is_spent_and_a_probe_that_cannot_be_attached_says_why() {
    let Some(mut stage) = Stage::new("edits", LEASE).await else { return };
    let mut target = stage.container("target");
    let _agent = stage.agent();
    stage.connected().await;
    let mut broken = times("broken", "target", 1);
    broken.call_chain.frames[0].function = "no_such_function".into();
    stage.desire(&[broken.clone(), times("edited", "target", 5)]).await;
    let ProbeState::Failed { error } = stage.state(0).await else { panic!("attached") };
    assert!(error.contains("no_such_function"), "{error}");
    assert_eq!(target.ask("try 3").failed, 3);
    stage.desire(&[broken, times("edited", "target", 9)]).await;
    assert_eq!(target.ask("try 100").failed, 6);
}
