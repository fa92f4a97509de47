//! What one evaluation of the built-in caps costs: warm, by its bytes or loaded, and cold.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start panics")]
#![allow(missing_docs, reason = "criterion's macros generate public functions without any")]

#[path = "../tests/guardrails/fixtures.rs"]
mod fixtures;

use criterion::{Criterion, criterion_group, criterion_main};
use faultline_core::review::Evaluator;
use faultline_policies::{Host, HostConfig};
use fixtures::{CAP_LIMITS, DENY_ALL, admitted, experiment, review};
use serde_json::json;

fn evaluate(criterion: &mut Criterion) {
    let host = Host::new(HostConfig::default()).unwrap();
    let settings =
        json!({ "probability": { "max": 5 }, "times": { "max": 100 }, "duration": { "max": "10m" } });
    let (judge, admit) = (review(experiment()), admitted(experiment()));
    for (name, bytes) in [("cap_limits", CAP_LIMITS), ("deny_all", DENY_ALL)] {
        println!(
            "{name}: {} bytes, {} units of fuel",
            bytes.len(),
            host.evaluate(bytes, &settings, &judge).fuel
        );
    }
    let loaded = host.load(CAP_LIMITS);
    let mut group = criterion.benchmark_group("cap_limits");
    group.bench_function("warm, loaded", |b| b.iter(|| host.evaluate_loaded(&loaded, &settings, &judge)));
    group.bench_function("warm, by bytes", |b| b.iter(|| host.evaluate(CAP_LIMITS, &settings, &judge)));
    group.bench_function("warm, with a selection", |b| {
        b.iter(|| host.evaluate(CAP_LIMITS, &settings, &admit));
    });
    group.sample_size(10);
    group.bench_function("cold, compiled anew", |b| {
        b.iter_with_setup(fixtures::host, |host| host.evaluate(CAP_LIMITS, &settings, &judge));
    });
    group.finish();
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
