//! `times` is exact: under concurrency, and through kills of the agent.

use std::{thread, time::Duration};

use faultline_tests::{
    stage::{Stage, eventually},
    tally::{ENOMEM, boot_ns},
};

use crate::{experiment, injects, wait};

const TIMES: usize = 7;
const ROUNDS: u64 = 50;

#[test]
fn seven_times_are_seven_though_the_agent_is_killed_at_a_random_moment() {
    if !injects() {
        return;
    }
    let stage = Stage::new("budget", 9510).unwrap();
    stage.inventory(&["target"]).unwrap();
    let _reconciler = stage.reconciler().unwrap();
    let mut agent = stage.agent().unwrap();
    // Slow enough that a kill can fall between two injections, and that an emulated machine has room for the agent.
    let hammer = ["--missing", "--every-ms", "5", "--threads", "4", "--quiet", "--only", "12"];
    let _victim = stage.victim("target", &hammer).unwrap();

    for round in 1..=ROUNDS {
        let before = stage.count("target", ENOMEM);
        let name = format!("round-{round}");
        stage
            .commit("budget.yaml", &experiment(&name, "target", "", &format!("    times: {TIMES}\n")))
            .unwrap();
        // The clock's low digits are as good a die as any here: the agent is killed after none to all of the injections,
        // or somewhere in the attach.
        let die = boot_ns() / 1_000;
        let seen = usize::try_from(die).unwrap() % (TIMES + 1);
        wait(&stage, "so many mounts fail", || stage.count("target", ENOMEM) - before >= seen);
        if seen == 0 {
            thread::sleep(Duration::from_millis(die % 500));
        }
        agent.kill().unwrap();
        let after_kill = stage.count("target", ENOMEM) - before;
        assert!(after_kill <= TIMES, "round {round}: {after_kill} injections before the agent came back");
        agent = stage.agent().unwrap();
        let spent = eventually(|| stage.count("target", ENOMEM) - before == TIMES);
        let count = stage.count("target", ENOMEM) - before;
        assert!(spent, "round {round}: {count} injections instead of {TIMES}\n{}", stage.logs());
        stage.remove("budget.yaml").unwrap();
        wait(&stage, "the run is stopped", || {
            let runs = stage.runs();
            runs.contains("\"Stopped\"") && !runs.contains("\"Running\"") && !runs.contains("\"Pending\"")
        });
        assert_eq!(stage.count("target", ENOMEM) - before, TIMES, "round {round}: never more than {TIMES}");
    }
}
