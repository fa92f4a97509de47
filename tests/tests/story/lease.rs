//! Dead-man's switches: what happens when a process stops, hangs or is killed.

use std::{thread, time::Duration};

use faultline_tests::{
    process::Process,
    stage::Stage,
    tally::{ENOMEM, boot_ns},
};
use rustix::process::Signal;

use crate::{experiment, injects, wait};

/// Long enough that a slow machine renews it in time, short enough to be waited for.
const LEASE: Duration = Duration::from_secs(5);

/// A stage on which a run injects without pause: reconciler, agent, victim.
struct Running {
    stage: Stage,
    reconciler: Process,
    agent: Process,
    victim: Process,
}

impl Running {
    fn start(name: &str, port: u16, spec: &str) -> Self {
        let stage = Stage::new(name, port).unwrap().with_lease(LEASE);
        stage.inventory(&["target"]).unwrap();
        let reconciler = stage.reconciler().unwrap();
        let agent = stage.agent().unwrap();
        let victim = stage.victim("target", &["--missing", "--every-ms", "5", "--quiet"]).unwrap();
        stage.commit("lease.yaml", &experiment("lease", "target", spec, "")).unwrap();
        wait(&stage, "mounts fail", || stage.count("target", ENOMEM) >= 20);
        Self { stage, reconciler, agent, victim }
    }

    /// Failures that began within the window, in nanoseconds since boot.
    fn failures_between(&self, from: u64, to: u64) -> usize {
        let attempts = self.stage.attempts("target").unwrap();
        attempts
            .iter()
            .filter(|attempt| attempt.errno == ENOMEM && (from..to).contains(&attempt.began))
            .count()
    }

    fn assert_that_the_victim_goes_on(&mut self, since: u64) {
        wait(&self.stage, "the victim goes on, unharmed", || {
            let attempts = self.stage.attempts("target").unwrap();
            attempts.iter().filter(|attempt| attempt.began > since && attempt.errno != ENOMEM).count() > 20
        });
        assert!(self.victim.ended().unwrap().is_none(), "the victim is alive");
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap()
}

#[test]
fn a_stopped_agent_cannot_prolong_a_fault() {
    if !injects() {
        return;
    }
    let mut running = Running::start("stopped", 9520, "");
    running.agent.signal(Signal::STOP).unwrap();
    let stopped = boot_ns();
    thread::sleep(LEASE * 3);
    assert!(running.failures_between(stopped - 1_000_000_000, stopped) > 0, "failures in the second before");
    let deadline = stopped + nanos(LEASE);
    assert_eq!(running.failures_between(deadline, u64::MAX), 0, "none that began after the deadline");
    running.assert_that_the_victim_goes_on(deadline);
    running.agent.signal(Signal::CONT).unwrap();
    let resumed = boot_ns();
    wait(&running.stage, "once it goes on, so does the fault", || {
        running.failures_between(resumed, u64::MAX) > 5
    });
}

#[test]
fn a_killed_agent_leaves_nothing_behind() {
    if !injects() {
        return;
    }
    let mut running = Running::start("killed", 9522, "");
    running.agent.kill().unwrap();
    let gone = boot_ns();
    running.assert_that_the_victim_goes_on(gone);
    assert_eq!(running.failures_between(gone, u64::MAX), 0, "none after waitpid returned");
}

#[test]
fn a_killed_reconciler_is_recovered_from_within_the_lease() {
    if !injects() {
        return;
    }
    let mut running = Running::start("orphaned", 9524, "");
    running.reconciler.kill().unwrap();
    let deadline = boot_ns() + nanos(LEASE);
    thread::sleep(LEASE);
    running.assert_that_the_victim_goes_on(deadline);
    assert_eq!(running.failures_between(deadline, u64::MAX), 0, "none after the lease");
}

#[test]
fn when_both_restart_the_run_goes_on_and_a_completed_one_stays_completed() {
    if !injects() {
        return;
    }
    let mut running = Running::start("restarted", 9526, "  duration: 30s\n");
    running.reconciler.kill().unwrap();
    running.agent.kill().unwrap();
    let gone = boot_ns();
    running.reconciler = running.stage.reconciler().unwrap();
    running.agent = running.stage.agent().unwrap();
    wait(&running.stage, "the run goes on", || running.failures_between(gone, u64::MAX) > 5);
    wait(&running.stage, "the run completes", || running.stage.runs().contains("\"Completed\""));
    let completed = boot_ns();

    running.reconciler.kill().unwrap();
    running.agent.kill().unwrap();
    running.reconciler = running.stage.reconciler().unwrap();
    running.agent = running.stage.agent().unwrap();
    wait(&running.stage, "the reconciler answers", || running.stage.runs().contains("\"Completed\""));
    running.assert_that_the_victim_goes_on(completed);

    running.reconciler.kill().unwrap();
    std::fs::remove_dir_all(running.stage.path("state")).unwrap();
    std::fs::create_dir_all(running.stage.path("state")).unwrap();
    running.reconciler = running.stage.reconciler().unwrap();
    wait(&running.stage, "the ledger is rebuilt from the agent", || {
        running.stage.runs().contains("\"Completed\"")
    });
    thread::sleep(LEASE);
    assert_eq!(running.failures_between(completed, u64::MAX), 0, "what is completed never runs again");
}
