//! A kernel that cannot inject says so, and nothing pretends.

use std::process::Command;

use faultline_tests::stage::Stage;

use crate::{experiment, injects, wait};

#[test]
fn a_kernel_without_error_injection_is_named_with_the_option_that_is_missing() {
    if injects() {
        println!("skipped: this kernel injects");
        return;
    }
    let output = Command::new("faultline").arg("preflight").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("CONFIG_FUNCTION_ERROR_INJECTION"), "{text}");

    let stage = Stage::new("stock", 9550).unwrap();
    stage.inventory(&["target"]).unwrap();
    let _reconciler = stage.reconciler().unwrap();
    let _agent = stage.agent().unwrap();
    stage.commit("stock.yaml", &experiment("stock", "target", "", "")).unwrap();
    wait(&stage, "the plan says why not", || {
        let output = stage.faultline(&["explain", "chaos-testing/stock"]).unwrap();
        String::from_utf8_lossy(&output.stdout).contains("CONFIG_FUNCTION_ERROR_INJECTION")
    });
}
