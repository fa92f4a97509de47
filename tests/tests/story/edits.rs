//! Edits take effect on the same target, with the spent budget kept.

use faultline_tests::{
    stage::Stage,
    tally::{ENOENT, ENOMEM},
};

use crate::{experiment, injects, wait};

/// How many edits the figure is taken over.
const EDITS: usize = 100;

#[test]
fn an_edit_of_the_probability_takes_effect_on_the_same_target() {
    if !injects() {
        return;
    }
    let stage = Stage::new("edits", 9530).unwrap();
    stage.inventory(&["target"]).unwrap();
    let _reconciler = stage.reconciler().unwrap();
    let _agent = stage.agent().unwrap();
    let _victim = stage.victim("target", &["--missing", "--every-ms", "2", "--quiet"]).unwrap();
    stage.commit("edit.yaml", &experiment("edit", "target", "", "")).unwrap();
    wait(&stage, "mounts fail", || stage.count("target", ENOMEM) >= 5);

    let (mut latencies, mut offset) = (Vec::new(), 0);
    for edit in 0..EDITS {
        let fails = edit % 2 == 1;
        let probability = if fails { 100 } else { 0 };
        let renamed = stage
            .commit(
                "edit.yaml",
                &experiment("edit", "target", "", &format!("    probability: {probability}\n")),
            )
            .unwrap();
        let mut changed = None;
        wait(&stage, "the behaviour changes", || {
            let (attempts, behind) = stage.attempts_since("target", offset).unwrap();
            offset = behind;
            changed = attempts
                .iter()
                .find(|attempt| attempt.began > renamed && (attempt.errno == ENOMEM) == fails)
                .copied();
            changed.is_some()
        });
        latencies.push((changed.unwrap().began - renamed) / 1_000);
    }
    latencies.sort_unstable();
    let at = |percent: usize| latencies[(EDITS - 1) * percent / 100] / 1_000;
    println!(
        "figure: rename to changed behaviour over {EDITS} edits: median {} ms, 99th percentile {} ms",
        at(50),
        at(99)
    );
}

#[test]
fn an_edit_of_times_keeps_what_is_spent() {
    if !injects() {
        return;
    }
    let stage = Stage::new("times", 9532).unwrap();
    stage.inventory(&["target"]).unwrap();
    let _reconciler = stage.reconciler().unwrap();
    let _agent = stage.agent().unwrap();
    let _victim = stage.victim("target", &["--missing", "--every-ms", "2", "--quiet"]).unwrap();
    stage.commit("times.yaml", &experiment("times", "target", "", "    times: 5\n")).unwrap();
    wait(&stage, "five mounts fail", || stage.count("target", ENOMEM) == 5);
    for (times, total) in [(9, 9), (4, 9), (12, 12)] {
        stage
            .commit("times.yaml", &experiment("times", "target", "", &format!("    times: {times}\n")))
            .unwrap();
        wait(&stage, "what is left of the raised budget is spent", || stage.count("target", ENOMEM) == total);
        let successes = stage.count("target", ENOENT);
        wait(&stage, "a while passes", || stage.count("target", ENOENT) > successes + 200);
        assert_eq!(stage.count("target", ENOMEM), total, "times: {times}");
    }
}

#[test]
fn a_predicate_decides_which_mounts_fail_and_an_edit_of_it_decides_anew() {
    if !injects() {
        return;
    }
    let stage = Stage::new("predicate", 9536).unwrap();
    stage.inventory(&["target"]).unwrap();
    let _reconciler = stage.reconciler().unwrap();
    let _agent = stage.agent().unwrap();
    let _victim = stage.victim("target", &["--missing", "--every-ms", "2", "--quiet"]).unwrap();
    let when = |predicate: &str| {
        let frame = "{ funcname: __x64_sys_mount ";
        let parameters = "'char *dev_name, char *dir_name, char *type'";
        let with = format!("{frame}, parameters: {parameters}, predicate: '{predicate}' ");
        let text = experiment("predicate", "target", "", "").replace(frame, &with);
        stage.commit("predicate.yaml", &text).unwrap();
    };
    when("STRCMP(type, \"xfs\")");
    wait(&stage, "the kernel turns mounts of another kind down", || {
        stage.page().is_ok_and(|page| page.sum("faultline_agent_rejected_total", &[]) >= 20.0)
    });
    assert_eq!(stage.count("target", ENOMEM), 0);

    when("STRCMP(type, \"ext4\") && current->pid > 1");
    wait(&stage, "mounts of that kind fail", || stage.count("target", ENOMEM) >= 20);

    when("STRCMP(typ, \"ext4\")");
    wait(&stage, "it is told what the name should have been", || {
        let told = stage.faultline(&["explain", "chaos-testing/predicate"]);
        told.is_ok_and(|told| String::from_utf8_lossy(&told.stdout).contains("did you mean `type`?"))
    });
}
