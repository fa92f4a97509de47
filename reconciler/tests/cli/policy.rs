//! `faultline policy` where its output is not the same every time.

use std::fs;

use serde_json::Value;

use super::{CAPS, MODULE, MOUNT, faultline, stage};

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn settings_and_experiments_come_from_standard_input_too() {
    let stage = stage();
    let run = |arguments: &[&str], input: &str| {
        let command = faultline(stage.path()).args(["policy", "run", MODULE, "-o", "json"]).args(arguments);
        json(&command.stdin(input).output().unwrap())
    };
    let expected = run(&[MOUNT, "--settings=policy/caps.yaml"], "");
    assert_eq!(expected["answers"][0]["expect"]["verdict"], "tighten");
    assert_eq!(run(&[MOUNT, "--settings=-"], "{ \"times\": { \"max\": 100 } }"), expected);
    let mount = fs::read_to_string(stage.path().join("policy/mount.yaml")).unwrap();
    assert_eq!(run(&["--input=-", "--settings=policy/caps.yaml"], &mount), expected);
}

#[test]
fn what_a_module_answers_is_what_a_case_expects() {
    let stage = stage();
    let arguments = ["policy", "run", MODULE, MOUNT, "--settings=policy/caps.yaml", "-o", "json"];
    let answer = json(&faultline(stage.path()).args(arguments).output().unwrap());
    let case = serde_json::json!({
        "case": "as it answered",
        "settings": { "times": { "max": 100 } },
        "experiment": "../policy/mount.yaml",
        "expect": answer["answers"][0]["expect"],
    });
    fs::create_dir(stage.path().join("pasted")).unwrap();
    fs::write(stage.path().join("pasted/case.json"), case.to_string()).unwrap();
    faultline(stage.path()).args(["policy", "test", "pasted", "--module", MODULE]).assert().success();
}

#[test]
fn the_only_module_beside_the_cases_is_meant_and_of_two_none() {
    let stage = stage();
    fs::remove_file(stage.path().join("policy/forbid_failtype.wasm")).unwrap();
    let test = |code| {
        let command = faultline(stage.path()).args(["policy", "test", "policy/cases"]);
        String::from_utf8(command.assert().code(code).get_output().stderr.clone()).unwrap()
    };
    assert!(test(2).contains("there is no module"));
    fs::write(stage.path().join("policy/caps.wasm"), CAPS).unwrap();
    test(0);
    fs::write(stage.path().join("policy/more.wasm"), CAPS).unwrap();
    assert!(test(2).contains("several modules"));
}

#[test]
fn a_module_is_measured_as_often_as_is_asked_for() {
    let stage = stage();
    let arguments = ["policy", "bench", MODULE, "--settings=policy/caps.yaml", "--evaluations=50"];
    let command = || faultline(stage.path()).args(arguments);
    let measured = json(&command().args(["-o", "json"]).output().unwrap());
    assert_eq!(measured["evaluations"], 50);
    let run = json(
        &faultline(stage.path())
            .args(["policy", "run", MODULE, "--settings=policy/caps.yaml", "-o", "json"])
            .arg(MOUNT)
            .output()
            .unwrap(),
    );
    assert_eq!(measured["memoryBytes"], run["answers"][0]["memoryBytes"]);
    let quantiles =
        ["p50Us", "p90Us", "p99Us", "maxUs"].map(|name| measured["latency"][name].as_f64().unwrap());
    assert!(quantiles.is_sorted() && quantiles[0] > 0.0, "{measured}");
    assert!(measured["fuel"].as_u64().unwrap() > 0 && measured["compiledBytes"].as_u64().unwrap() > 0);
    let text = String::from_utf8(command().output().unwrap().stdout).unwrap();
    assert!(text.contains("50 evaluations") && text.contains("p99"), "{text}");
}
