//! The documentation's sample, in two containers.

use faultline_tests::{stage::Stage, tally::ENOMEM};

use crate::{device, experiment, injects, wait};

#[test]
fn the_targets_mounts_fail_the_neighbours_do_not_and_every_count_agrees() {
    if !injects() {
        return;
    }
    device();
    let stage = Stage::new("mount", 9500).unwrap();
    stage.inventory(&["target", "neighbour"]).unwrap();
    let _reconciler = stage.reconciler().unwrap();
    let _agent = stage.agent().unwrap();
    let mut neighbour = stage.victim("neighbour", &["--every-ms", "0", "--rounds", "1200"]).unwrap();
    let mut target = stage.victim("target", &["--every-ms", "5"]).unwrap();
    wait(&stage, "the target mounts before the experiment", || stage.count("target", 0) > 10);
    assert_eq!(stage.count("target", ENOMEM), 0, "nothing fails before there is an experiment");

    stage.commit("mount.yaml", &experiment("mount", "target", "", "")).unwrap();
    wait(&stage, "the target's mounts fail", || stage.count("target", ENOMEM) >= 100);
    let log = target.output();
    assert!(log.contains("Cannot allocate memory\nInvalid argument\nCannot allocate memory\n"), "{log}");

    assert!(neighbour.wait().unwrap().success());
    stage.remove("mount.yaml").unwrap();
    let before = stage.count("target", 0);
    wait(&stage, "the target mounts again", || stage.count("target", 0) > before + 10);
    target.kill().unwrap();

    let attempts = stage.attempts("target").unwrap();
    let last_failure = attempts.iter().rposition(|attempt| attempt.errno == ENOMEM).unwrap();
    assert!(
        attempts[last_failure + 1..].iter().all(|attempt| attempt.errno == 0),
        "once gone, the fault is gone"
    );
    let first_failure = attempts.iter().position(|attempt| attempt.errno == ENOMEM).unwrap();
    assert!(
        attempts[first_failure..=last_failure].iter().all(|attempt| attempt.errno == ENOMEM),
        "100% is every mount"
    );

    let neighbours = stage.attempts("neighbour").unwrap();
    assert!(
        neighbours.len() >= 1000 && neighbours.iter().all(|attempt| attempt.errno == 0),
        "{}",
        neighbours.len()
    );

    let failures = stage.count("target", ENOMEM);
    let labels = [("experiment", "chaos-testing/mount")];
    wait(&stage, "the agent's counter is the victim's tally", || {
        stage
            .page()
            .is_ok_and(|page| page.sum("faultline_agent_injections_total", &labels) == failures as f64)
    });
}
