//! A kernel that cannot inject says so, and nothing pretends.

use std::{os::unix::process::CommandExt as _, process::Command};

use faultline_tests::stage::Stage;

use crate::{experiment, injects, wait};

#[test]
fn a_kernel_without_error_injection_is_named_with_the_option_that_is_missing() {
    if injects() {
        println!("skipped: this kernel injects");
        return;
    }
    let (code, text) = preflight(Command::new("faultline").arg("preflight"));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("CONFIG_FUNCTION_ERROR_INJECTION"), "{text}");

    // Whatever is in the way beside it is told as well, and who may not ask is told what it takes.
    let (code, text) = preflight(Command::new("faultline").args(["preflight", "--bpffs", "/tmp"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("no bpf file system") && text.contains("CONFIG_FUNCTION_ERROR_INJECTION"),
        "{text}"
    );
    let (code, text) = preflight(Command::new("faultline").arg("preflight").uid(65534).gid(65534));
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("lacks CAP_BPF and CAP_PERFMON") && text.contains("CAP_SYSLOG"), "{text}");

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

/// How it ended, and what it said.
fn preflight(command: &mut Command) -> (Option<i32>, String) {
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}
