//! The whole agent over real sockets, with a fake kernel under it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, helpers included")]

mod machine;
mod reconciler;

use std::time::Duration;

use faultline_core::{desired::Probe, report::ProbeState};
use faultline_wire::{
    AgentMessage, ReconcilerMessage,
    message::NackReason,
    testing::{desired, probe},
};

use machine::Machine;
const ID: &str = "default/a#1/0/pod/main";

/// Every mount fails, or so many do.
fn mounts(times: Option<u64>) -> Probe {
    Probe { times, ..probe("a", "pod") }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_desired_is_attached_acknowledged_reported_and_counted() {
    let machine = Machine::new();
    let mut reconciler = reconciler::start(&machine.socket, Duration::from_secs(3)).await;
    let agent = machine.agent();
    let mut session = reconciler.session().await;
    assert_eq!(session.hello.report.node, "node-a");
    session.send(ReconcilerMessage::Desired(desired(1, &[mounts(Some(7))]))).await.unwrap();
    let ack = reconciler::ack(&mut session).await;
    assert_eq!((ack.generation.counter, &ack.probes[0].state), (1, &ProbeState::Attached));
    assert_eq!(machine.hammer(ID, 20), 7);

    session.send(ReconcilerMessage::ReportRequest).await.unwrap();
    let report = reconciler::report(&mut session).await;
    assert_eq!((report.probes[0].spent, report.probes[0].counters.exhausted), (7, 13));
    // The metrics say what the kernel says now, and not what was last reported.
    assert_eq!(agent.metric("faultline_agent_injections_total{").await, 7.0);
    assert_eq!(agent.metric("faultline_agent_exhausted_total{").await, 13.0);
    assert_eq!(agent.metric("faultline_agent_attached{").await, 1.0);
    assert_eq!(agent.metric("faultline_agent_session_open").await, 1.0);
    assert_eq!(agent.get("/readyz").await.0, 200);
    assert_eq!(agent.get("/healthz").await.0, 200);

    session.send(ReconcilerMessage::Desired(desired(2, &[]))).await.unwrap();
    assert_eq!(reconciler::ack(&mut session).await.probes, []);
    assert_eq!(machine.attached(), 0);
    assert_eq!(agent.metric("faultline_agent_injections_total{").await, 7.0);
    drop(session);
    agent.stop().await;
    assert_eq!(reconciler.stop().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_agent_detaches_and_says_so_last() {
    let machine = Machine::new();
    let mut reconciler = reconciler::start(&machine.socket, Duration::from_secs(3)).await;
    let agent = machine.agent();
    let mut session = reconciler.session().await;
    session.send(ReconcilerMessage::Desired(desired(1, &[mounts(None)]))).await.unwrap();
    reconciler::ack(&mut session).await;
    machine.hammer(ID, 5);
    agent.stop().await;
    assert_eq!(machine.attached(), 0);
    let mut last = None;
    while let Some(message) = session.receive().await {
        last = Some(message);
    }
    let Some(AgentMessage::Report(report)) = last else { panic!("{last:?}") };
    assert_eq!(report.probes[0].counters.injections, 5);
    assert_ne!(report.probes[0].state, ProbeState::Attached);
    assert_eq!(reconciler.stop().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_reconciler_ends_the_lease_and_a_new_one_finds_everything_as_it_was() {
    let machine = Machine::new();
    let mut reconciler = reconciler::start(&machine.socket, Duration::from_millis(1000)).await;
    let agent = machine.agent();
    let mut session = reconciler.session().await;
    session.send(ReconcilerMessage::Desired(desired(4, &[mounts(Some(9))]))).await.unwrap();
    reconciler::ack(&mut session).await;
    reconciler::renew(&mut session, 4).await;
    assert_eq!(machine.hammer(ID, 4), 4);
    drop(session);
    assert_eq!(reconciler.stop().await, []);
    machine.eventually(|machine| machine.attached() == 0).await;
    assert_eq!(agent.metric("faultline_agent_lease_expiries_total").await, 1.0);
    assert_eq!(agent.metric("faultline_agent_attached{").await, 0.0);
    assert_eq!(agent.metric("faultline_agent_session_open").await, 0.0);
    assert_eq!(agent.get("/readyz").await.0, 503);

    let mut reconciler = reconciler::start(&machine.socket, Duration::from_millis(1000)).await;
    let mut session = reconciler.session().await;
    assert_eq!(session.hello.report.accepted.counter, 4);
    assert_eq!(session.hello.report.probes[0].spent, 4);
    assert_eq!(machine.attached(), 0, "not before a renewal");
    reconciler::renew(&mut session, 4).await;
    machine.eventually(|machine| machine.attached() == 1).await;
    assert_eq!(machine.hammer(ID, 100), 5);
    session.send(ReconcilerMessage::Desired(desired(3, &[]))).await.unwrap();
    assert_eq!(reconciler::nack(&mut session).await.reason, NackReason::Older);
    assert_eq!(
        agent.metric("faultline_agent_desired_sets_refused_total{node=\"node-a\",reason=\"older\"}").await,
        1.0
    );
    drop(session);
    agent.stop().await;
    assert_eq!(reconciler.stop().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_agent_remembers_and_its_heir_goes_on() {
    let machine = Machine::new();
    let mut reconciler = reconciler::start(&machine.socket, Duration::from_secs(3)).await;
    let agent = machine.agent();
    let mut session = reconciler.session().await;
    session.send(ReconcilerMessage::Desired(desired(1, &[mounts(Some(7))]))).await.unwrap();
    reconciler::ack(&mut session).await;
    assert_eq!(machine.hammer(ID, 3), 3);
    agent.kill().await;
    machine.crash();
    drop(session);

    let agent = machine.agent();
    let mut session = reconciler.session().await;
    let report = &session.hello.report;
    assert_eq!((report.accepted.counter, report.probes[0].spent, machine.attached()), (1, 3, 0));
    reconciler::renew(&mut session, 1).await;
    machine.eventually(|machine| machine.attached() == 1).await;
    assert_eq!(machine.hammer(ID, 100), 4);
    assert_eq!(agent.metric("faultline_agent_injections_total{").await, 7.0);
    drop(session);
    agent.stop().await;
    assert_eq!(reconciler.stop().await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_of_a_running_agent_is_not_shared() {
    let machine = Machine::new();
    let agent = machine.agent();
    machine.eventually(|machine| machine.state.path().join("agent.redb").exists()).await;
    assert!(faultline_node_agent::ledger::DurableLedger::open(machine.state.path()).is_err());
    agent.stop().await;
    faultline_node_agent::ledger::DurableLedger::open(machine.state.path()).unwrap();
}
