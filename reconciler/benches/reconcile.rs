//! A pass over 1,000 experiments: cold, as after a start; with nothing changed; and after one edit. The host is the
//! real one with a real guardrail; nothing is compiled within the figures.
//!
//! `cargo bench --package faultline-reconciler`; the last lines are the ratios.
#![forbid(unsafe_code)]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark measures, and fails by panicking"
)]

use std::{
    fmt::Write as _,
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group};
use faultline_core::{Cache, Defaults, ledger::Ledger, tree::Role};
use faultline_policies::{Host, HostConfig};
use faultline_reconciler::{
    agents::Fleet,
    clock::ManualClock,
    converge::Execution,
    inventory::{Observer, Provider},
    metrics::Metrics,
    modules::AtOnce,
    reconcile::{Deps, reconcile},
    source::Directory,
    store::MemoryStore,
};
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::Notify;

const EXPERIMENTS: usize = 1_000;
const PODS: usize = 2_000;
/// Of which the ratios take the median.
const ROUNDS: usize = 21;
const CAPS: &[u8] = include_bytes!("../../policies/modules/cap_limits.wasm");

struct World {
    root: TempDir,
    host: Arc<Host>,
    clock: Arc<ManualClock>,
}

impl World {
    fn new() -> Self {
        let root = TempDir::new().unwrap();
        for directory in ["experiments", "platform"] {
            fs::create_dir(root.path().join(directory)).unwrap();
        }
        fs::write(root.path().join("platform/caps.wasm"), CAPS).unwrap();
        fs::write(
            root.path().join("platform/caps.yaml"),
            "apiVersion: faultline.dev/v1alpha1\nkind: Guardrail\nmetadata: { name: caps }\n\
             spec: { module: { path: caps.wasm }, settings: { times: { max: 1000 } } }\n",
        )
        .unwrap();
        for number in 0..EXPERIMENTS {
            write(root.path(), number, 50);
        }
        fs::write(root.path().join("inventory.json"), inventory()).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        Self { root, host: Arc::new(Host::new(HostConfig::default()).unwrap()), clock }
    }

    /// As after a start: no verdict is known, nothing was read, nothing runs.
    fn cold(&self) -> Deps {
        let source = |name: &str, role| {
            Directory::new(name, role, self.root.path().join(name), Duration::from_secs(60))
        };
        let fleet = Fleet::new(self.clock.clone(), Arc::new(Metrics::new()), Arc::new(Notify::new()));
        let store = Box::new(MemoryStore::opened_from(Ledger::default()));
        Deps {
            clock: self.clock.clone(),
            sources: vec![source("experiments", Role::Experiments), source("platform", Role::Platform)],
            modules: Box::new(AtOnce::default()),
            inventory: Observer::new(Some(Provider::File(self.root.path().join("inventory.json")))),
            evaluator: self.host.clone(),
            cache: Cache::default(),
            defaults: Defaults::default(),
            converge: Box::new(Execution::new(store, Arc::new(fleet))),
        }
    }

    /// After two passes: with the first the runs begin, with the second they go on, which is another question to the
    /// guardrail.
    fn warm(&self) -> Deps {
        let mut deps = self.cold();
        for _ in 0..2 {
            let pass = reconcile(&mut deps).unwrap();
            assert_eq!(pass.plan.runs.len(), EXPERIMENTS);
        }
        deps
    }

    fn edit(&self, probability: usize) {
        write(self.root.path(), 17, probability % 100);
        self.clock.advance(Duration::from_secs(1));
    }
}

fn write(root: &Path, number: usize, probability: usize) {
    let text = format!(
        "apiVersion: chaos-mesh.org/v1alpha1\nkind: KernelChaos\nmetadata: {{ name: x{number}, namespace: chaos }}\n\
         spec:\n  mode: one\n  selector:\n    namespaces: [ns{}]\n    labelSelectors: {{ app: a{} }}\n  \
         failKernRequest:\n    callchain: [{{ funcname: __x64_sys_mount }}]\n    failtype: 0\n    probability: {probability}\n",
        number % 20,
        number % 7
    );
    fs::write(root.join(format!("experiments/x{number}.yaml")), text).unwrap();
}

fn inventory() -> String {
    let mut pods = String::new();
    for number in 0..PODS {
        let comma = if number == 0 { "" } else { "," };
        write!(
            pods,
            r#"{comma}{{"namespace":"ns{}","name":"p{number}","uid":"u{number}","node":"n{}","labels":{{"app":"a{}"}},"phase":"Running","containers":[{{"name":"main","cgroup":"pods/p{number}"}}]}}"#,
            number % 20,
            number % 50,
            number % 7
        )
        .unwrap();
    }
    format!(r#"{{"observedAt":"1970-01-01T00:00:00Z","pods":[{pods}]}}"#)
}

fn passes(criterion: &mut Criterion) {
    let world = World::new();
    drop(world.warm());
    let mut group = criterion.benchmark_group("reconcile 1000 experiments");
    group.sample_size(10);
    group.bench_function("cold", |bencher| {
        bencher.iter_batched_ref(
            || world.cold(),
            |deps| reconcile(deps).unwrap(),
            criterion::BatchSize::PerIteration,
        );
    });
    let mut deps = world.warm();
    group.bench_function("nothing changed", |bencher| bencher.iter(|| reconcile(&mut deps).unwrap()));
    let mut probability = 0;
    group.bench_function("after one edit", |bencher| {
        bencher.iter_batched(
            || {
                probability += 1;
                world.edit(probability);
            },
            |()| reconcile(&mut deps).unwrap(),
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}

/// The same three in one run, as ratios: they hold on any machine.
fn ratios() {
    let world = World::new();
    drop(world.warm());
    let cold = median(|| world.cold(), |deps| drop(reconcile(deps).unwrap()));
    let mut deps = world.warm();
    let before = work(&deps);
    let unchanged = median(|| (), |()| drop(reconcile(&mut deps).unwrap()));
    assert_eq!(work(&deps), before, "nothing is parsed and nobody asked");
    let mut probability = 0;
    let edited = median(
        || {
            probability += 1;
            world.edit(probability);
        },
        |()| drop(reconcile(&mut deps).unwrap()),
    );
    let edits = u64::try_from(ROUNDS).unwrap();
    assert_eq!(work(&deps), (before.0 + edits, before.1 + edits), "each edit is one parse and one question");
    let times = |part: Duration| cold.as_secs_f64() / part.as_secs_f64();
    println!("\ncold                {cold:?}");
    println!("nothing changed     {unchanged:?}, {:.1} times faster than cold", times(unchanged));
    println!("after one edit      {edited:?}, {:.1} times faster than cold", times(edited));
}

/// Files parsed and guardrails asked so far.
fn work(deps: &Deps) -> (u64, u64) {
    (deps.cache.files.parses(), deps.cache.verdicts.evaluations())
}

fn median<S>(mut set_up: impl FnMut() -> S, mut measured: impl FnMut(&mut S)) -> Duration {
    let mut took: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let mut state = set_up();
            let began = Instant::now();
            measured(&mut state);
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    took[took.len() / 2]
}

criterion_group!(benches, passes);

fn main() {
    benches();
    ratios();
    Criterion::default().configure_from_args().final_summary();
}
