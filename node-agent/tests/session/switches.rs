//! What is never injected, and what is attached to, as the agent's command line says.

use faultline_core::{desired::Probe, report::ProbeState};

use crate::{
    LEASE,
    reconciler::plain,
    stage::{Agent, Stage},
};

/// How often a function is measured that is not found to be hot: the machine may be busy otherwise.
const MEASUREMENTS: usize = 20;

/// Stops one agent and starts another, with these switches, that is told the same.
async fn restart(stage: &mut Stage, mut agent: Agent, switches: &[&str], probes: &[Probe]) -> Agent {
    agent.kill().unwrap();
    agent.wait().unwrap();
    let agent = stage.agent_with(switches);
    stage.connected().await;
    stage.desire(probes).await;
    agent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_is_spared_for_the_grace_and_a_process_for_the_name_that_are_given() {
    let Some(mut stage) = Stage::new("grace", LEASE).await else { return };
    // It shares the machine's process namespace, and the machine has not been up for long.
    let mut target = stage.container("target");
    let agent = stage.agent_with(&["--grace", "24h"]);
    stage.connected().await;
    stage.desire(&[plain("target")]).await;
    assert_eq!(target.ask("try 20").failed, 0);
    let reported = stage.report().await.probes[0].counters.guarded_by.starting;
    assert!(reported >= 20, "{reported}");
    let shown = "faultline_agent_guarded_total{node=\"lab\",experiment=\"default/plain\",run=\"1\",\
                 namespace=\"default\",pod=\"target\",container=\"main\",fault=\"slab\",reason=\"starting\"}";
    // Whatever the container allocates counts, also between the two.
    let shown: u64 = stage.metric(shown).await.parse().unwrap();
    assert!(shown >= reported, "{shown} after {reported}");

    let switches = ["--grace", "0s", "--protected-names", "wren,sparrow"];
    let _agent = restart(&mut stage, agent, &switches, &[plain("target")]).await;
    assert_eq!(target.ask("try 20").failed, 20);
    target.ask("call-yourself sparrow");
    assert_eq!(target.ask("try 20").failed, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_is_called_all_the_time_is_attached_to_only_where_that_is_allowed() {
    let Some(mut stage) = Stage::new("hot", LEASE).await else { return };
    let (_target, mut busy) = (stage.container("target"), stage.container("busy"));
    // One call for each entry in a list that is gone through over and over.
    let mut probe = plain("target");
    probe.call_chain.frames[0].function = "pipe_poll".into();
    busy.order("poll 1000000000");
    let agent = stage.agent();
    stage.connected().await;
    let mut state = ProbeState::Attached;
    for _ in 0..MEASUREMENTS {
        stage.desire(&[]).await;
        stage.desire(std::slice::from_ref(&probe)).await;
        state = stage.state(0).await;
        if state != ProbeState::Attached {
            break;
        }
    }
    let ProbeState::Failed { error } = state else { panic!("{state:?}") };
    assert!(error.starts_with("`pipe_poll` is called") && error.contains("times per second"), "{error}");
    let _agent = restart(&mut stage, agent, &["--allow-hot-functions"], &[probe]).await;
    assert_eq!(stage.state(0).await, ProbeState::Attached);
}
