//! What is left behind by evaluations: nothing. A binary of its own, so that the memory is that of no other test.
#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "guardrails/fixtures.rs"]
#[expect(dead_code, reason = "other tests need the rest of it")]
mod fixtures;

use std::{env, fs};

use faultline_core::review::{Evaluator as _, Review};
use serde_json::json;

use fixtures::{CAP_LIMITS, experiment, review};

/// The same caps as a Kubewarden policy.
const KUBEWARDEN: &[u8] = include_bytes!("../modules-wapc/cap_limits.wasm");
/// Says how many evaluations there are of each ABI, where that is to be more.
const COUNT: &str = "FAULTLINE_EVALUATIONS";
/// What the allocator may keep, however many evaluations there were.
const MOST_BYTES: u64 = 1 << 20;

/// What this process has in memory.
fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn many_evaluations_leave_nothing_in_memory() {
    let count: u64 = env::var(COUNT).map_or(10_000, |count| count.parse().unwrap());
    let settings = json!({ "probability": { "max": 5 }, "times": { "max": 100 } });
    let raw = json!({
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "KernelChaos",
        "metadata": { "name": "mount", "namespace": "prod-api" },
        "spec": { "mode": "one", "selector": {}, "failKernRequest": { "failtype": 0 } },
    });
    let question = Review { raw, ..review(experiment()) };
    let host = fixtures::host();
    for (abi, module) in [("component", CAP_LIMITS), ("waPC", KUBEWARDEN)] {
        let ask = |times: u64| {
            for _ in 0..times {
                let asked = host.evaluate(module, &settings, &question);
                assert_eq!(asked.outcome.map(|found| found.tightenings.len()), Ok(2));
            }
        };
        ask(1_000);
        let before = resident_bytes();
        ask(count);
        let grown = resident_bytes().saturating_sub(before);
        println!("{abi}: {count} evaluations, {} KiB more in memory", grown >> 10);
        assert!(grown <= MOST_BYTES, "{abi}: {grown} bytes after {count} evaluations");
    }
}
