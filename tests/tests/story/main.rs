//! Stories on a real kernel: what a user sees, told by the victims' own tallies.
//!
//! They run in the lab, one after the other, each on a stage of its own:
//! `cargo lab test --package faultline-tests --test story`.
#![forbid(unsafe_code)]
#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod budget;
mod edits;
mod guardrails;
mod lease;
mod mount;
mod stock;

use std::{fs, os::unix::fs::symlink, path::Path};

use faultline_tests::stage::{Stage, eventually};

/// An experiment on one pod's `mount`: `spec` lines are put under `spec`, `request` lines under `failKernRequest`.
fn experiment(name: &str, pod: &str, spec: &str, request: &str) -> String {
    format!(
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: {{ name: {name}, namespace: chaos-testing }}\n\
         spec:\n  mode: one\n  selector: {{ namespaces: [chaos-mount], pods: {{ chaos-mount: [{pod}] }} }}\n{spec}\
         \x20 failKernRequest:\n    callchain: [{{ funcname: __x64_sys_mount }}]\n    failtype: 0\n{request}"
    )
}

/// Waits for `holds`, and fails with what was waited for and with the logs.
#[track_caller]
fn wait(stage: &Stage, what: &str, holds: impl FnMut() -> bool) {
    assert!(eventually(holds), "{what}: it never came to be\n{}", stage.logs());
}

/// Whether this kernel injects, by its name: one of the lab's own that cannot is a failure. The stock kernel has a
/// story of its own.
fn injects() -> bool {
    let kernel = std::env::var("FAULTLINE_LAB").expect("stories run in the lab: see the head of this file");
    println!(
        "on {kernel}, {}",
        if kernel == "stock" { "where only stock.rs has a story" } else { "which injects" }
    );
    kernel != "stock"
}

/// The sample program's device: `/dev/sdc` is a link to the disk that the lab has attached.
fn device() {
    if !Path::new("/dev/sdc").exists() {
        symlink("/dev/vda", "/dev/sdc").expect("a link in /dev");
    }
    assert!(fs::metadata("/dev/sdc").is_ok(), "the lab attaches a disk");
}
