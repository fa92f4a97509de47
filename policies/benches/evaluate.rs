//! What one evaluation of caps costs in each ABI: warm, by its bytes or loaded, and cold.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start panics")]
#![allow(missing_docs, reason = "criterion's macros generate public functions without any")]

#[path = "../tests/guardrails/fixtures.rs"]
mod fixtures;

use criterion::{Criterion, criterion_group, criterion_main};
use faultline_core::review::{Evaluator, Review};
use faultline_policies::{Host, HostConfig};
use fixtures::{CAP_LIMITS, DENY_ALL, admitted, experiment, review};
use serde_json::json;

/// The same caps as a Kubewarden policy.
const KUBEWARDEN: &[u8] = include_bytes!("../modules-wapc/cap_limits.wasm");

fn evaluate(criterion: &mut Criterion) {
    let host = Host::new(HostConfig::default()).unwrap();
    let settings =
        json!({ "probability": { "max": 5 }, "times": { "max": 100 }, "duration": { "max": "10m" } });
    let (judge, admit) = (written(), admitted(experiment()));
    for (name, bytes) in [("cap_limits", CAP_LIMITS), ("deny_all", DENY_ALL), ("Kubewarden", KUBEWARDEN)] {
        println!(
            "{name}: {} bytes, {} units of fuel",
            bytes.len(),
            host.evaluate(bytes, &settings, &judge).fuel
        );
    }
    let (loaded, policy) = (host.load(CAP_LIMITS), host.load(KUBEWARDEN));
    let caps =
        |module| host.evaluate_loaded(module, &settings, &judge).outcome.map(|found| found.tightenings.len());
    assert_eq!((caps(&loaded), caps(&policy)), (Ok(3), Ok(3)), "both lower the same");
    let mut group = criterion.benchmark_group("cap_limits");
    group.bench_function("warm, loaded", |b| b.iter(|| host.evaluate_loaded(&loaded, &settings, &judge)));
    group.bench_function("warm, by bytes", |b| b.iter(|| host.evaluate(CAP_LIMITS, &settings, &judge)));
    group.bench_function("warm, with a selection", |b| {
        b.iter(|| host.evaluate(CAP_LIMITS, &settings, &admit));
    });
    group.bench_function("Kubewarden, warm, loaded", |b| {
        b.iter(|| host.evaluate_loaded(&policy, &settings, &judge));
    });
    group.sample_size(10);
    group.bench_function("cold, compiled anew", |b| {
        b.iter_with_setup(fixtures::host, |host| host.evaluate(CAP_LIMITS, &settings, &judge));
    });
    group.bench_function("Kubewarden, cold, compiled anew", |b| {
        b.iter_with_setup(fixtures::host, |host| host.evaluate(KUBEWARDEN, &settings, &judge));
    });
    group.finish();
}

/// The question at the first moment, with the document as it may have been written.
fn written() -> Review {
    let raw = json!({
        "apiVersion": "chaos-mesh.org/v1alpha1",
        "kind": "KernelChaos",
        "metadata": { "name": "mount", "namespace": "prod-api", "labels": { "team": "storage" } },
        "spec": {
            "mode": "one",
            "selector": { "namespaces": ["prod-api"] },
            "failKernRequest": { "failtype": 0, "callchain": [{ "funcname": "__x64_sys_mount" }] },
        },
    });
    Review { raw, ..review(experiment()) }
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
