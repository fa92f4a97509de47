//! Guardrails decide by WebAssembly: replacing the module changes what happens, with nothing of ours rebuilt.

use std::fs;

use faultline_tests::{
    stage::Stage,
    tally::{ENOENT, ENOMEM},
};

use crate::{experiment, injects, wait};

const CAPS: &[u8] = include_bytes!("../../../policies/modules/cap_limits.wasm");
const DENY_ALL: &[u8] = include_bytes!("../../../policies/modules/deny_all.wasm");
const GUARDRAIL: &str = "apiVersion: faultline.dev/v1alpha1\nkind: Guardrail\nmetadata: { name: caps }\n\
    spec: { module: { path: modules/guardrail.wasm }, settings: { times: { max: 3 } } }\n";

#[test]
fn a_cap_holds_without_a_word_of_the_experiment_and_another_module_stops_the_run() {
    if !injects() {
        return;
    }
    let stage = Stage::new("guardrails", 9540).unwrap();
    stage.inventory(&["target"]).unwrap();
    fs::write(stage.path("guardrails/modules/guardrail.wasm"), CAPS).unwrap();
    fs::write(stage.path("guardrails/caps.yaml"), GUARDRAIL).unwrap();
    let _reconciler = stage.reconciler().unwrap();
    let _agent = stage.agent().unwrap();
    let _victim = stage.victim("target", &["--missing", "--every-ms", "1", "--quiet"]).unwrap();

    stage.commit("capped.yaml", &experiment("capped", "target", "", "    times: 0\n")).unwrap();
    wait(&stage, "three mounts fail", || stage.count("target", ENOMEM) == 3);
    let successes = stage.count("target", ENOENT);
    wait(&stage, "a while passes", || stage.count("target", ENOENT) > successes + 300);
    assert_eq!(stage.count("target", ENOMEM), 3, "times: 0 is unlimited, and capped at 3");

    let aside = stage.path("guardrail.wasm");
    fs::write(&aside, DENY_ALL).unwrap();
    fs::rename(&aside, stage.path("guardrails/modules/guardrail.wasm")).unwrap();
    wait(&stage, "the run is stopped because it is denied", || {
        let runs = stage.runs();
        runs.contains("\"Stopped\"") && runs.contains("\"Denied\"")
    });
}
