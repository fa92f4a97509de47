//! What is counted: every metric of this binary and the set of values of every label, in one place; `METRICS.md` is
//! held to it.

mod standing;

use std::time::Duration;

use faultline_wire::{message::NackReason, server::RefusalReason};
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

use standing::Latest;
pub use standing::Standing;

/// Where the buckets of a pass end, in seconds: a warm pass takes milliseconds, a cold one of a thousand experiments
/// about a second, and anything beyond ten is a fault of its own.
const PASS_SECONDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0];

/// A gauge that is not whole.
pub type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

macro_rules! labels {
    ($($(#[$doc:meta])* $name:ident { $($label:ident: $kind:ty),* })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
        pub struct $name { $(#[doc = concat!("`", stringify!($label), "`")] pub $label: $kind),* }
    )* };
}

labels! {
    /// Of a pass: `success`, `waiting`, `transient`, `stalled`.
    ResultLabels { result: &'static str }
    /// Of a fetch of a module: `success`, `failure`.
    FetchLabels { result: &'static str }
    /// Of runs: `Pending`, `Running`, `Held`, `Completed`, `Stopped`.
    StateLabels { state: &'static str }
    /// Of verdicts: `allow`, `deny`, `mutate`, `undecided`; `obeyed`, `monitored`, `excepted`.
    VerdictLabels { guardrail: String, verdict: &'static str, force: &'static str }
    /// Of a guardrail.
    GuardrailLabels { guardrail: String }
    /// Of an experiment's effect on a node. `experiment` is `namespace/name`, as agents have it too.
    InjectionLabels { experiment: String, node: String }
    /// Of the probes of an experiment on a node: an activity, or `unknown` while the node's agent is not connected.
    ProbeLabels { experiment: String, node: String, state: &'static str }
    /// Of a source and what is in force of it.
    SourceInfoLabels { source: String, role: &'static str, revision: String, freshness: &'static str }
    /// Of a source.
    SourceLabels { source: String }
    /// Of a node.
    NodeLabels { node: String }
    /// Of a fault on a node: `slab`, `page`, `bio`.
    FaultLabels { node: String, fault: String }
    /// Of a refusal: the protocol's reasons.
    ReasonLabels { reason: &'static str }
    /// Of diagnostics: `error`, `warning`, `note`.
    SeverityLabels { severity: &'static str }
    /// Of the program.
    BuildLabels { version: &'static str, protocol: String }
}

macro_rules! metrics {
    ($($field:ident: $kind:ty = $make:expr, $name:literal, $help:literal;)*) => {
        /// Every metric. The names begin with `faultline_`, and those of counters end with `_total`.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            latest: Latest,
            $(#[doc = $help] pub $field: $kind),*
        }

        impl Metrics {
            /// The metrics, all at their beginning: what has a closed set of values is there from the start.
            #[must_use]
            pub fn new() -> Self {
                let mut registry = Registry::with_prefix("faultline");
                $(let $field: $kind = $make; registry.register($name, $help, $field.clone());)*
                let latest = Latest::default();
                registry.register_collector(Box::new(latest.clone()));
                Self { registry, latest, $($field),* }
            }
        }
    };
}

metrics! {
    build: Family<BuildLabels, Gauge> = build(),
        "build_info", "Always 1; the labels say what runs";
    reconciles: Family<ResultLabels, Counter> = at_zero(RESULTS, |result| ResultLabels { result }),
        "reconciles", "Passes of the reconciler by what they came to";
    reconcile_seconds: Histogram = Histogram::new(PASS_SECONDS),
        "reconcile_duration_seconds", "How long a pass took";
    module_fetches: Family<FetchLabels, Counter> = at_zero(FETCHES, |result| FetchLabels { result }),
        "module_fetches", "Attempts to fetch a guardrail's module from a registry";
    injections: Family<InjectionLabels, Counter> = Family::default(),
        "injections", "Injections as the agents report them";
    source_stale_seconds: Family<SourceLabels, Seconds> = Family::default(),
        "source_stale_seconds", "For how long a source could not be read";
    agents: Family<NodeLabels, Gauge> = Family::default(),
        "node_connected", "1 while the agent of a node holds a session, else 0";
    faults_usable: Family<FaultLabels, Gauge> = Family::default(),
        "node_fault_usable", "1 where a node can inject the fault, as its agent has tried, else 0";
    lease_renewals: Family<NodeLabels, Counter> = Family::default(),
        "lease_renewals", "Renewals of leases sent to agents";
    attach_failures: Counter = Counter::default(),
        "attach_failures", "Probes that a node could not attach";
    peers_refused: Family<ReasonLabels, Counter> =
        at_zero(RefusalReason::ALL, |reason| ReasonLabels { reason: reason.as_str() }),
        "peers_refused", "Connections and sessions refused";
    sets_refused: Family<ReasonLabels, Counter> =
        at_zero(NackReason::ALL, |reason| ReasonLabels { reason: reason.as_str() }),
        "desired_sets_refused", "Desired sets that agents refused";
}

/// The state of a probe of whose node nothing is heard; the others are the activities.
pub const UNKNOWN: &str = "unknown";

/// What a pass can come to.
const RESULTS: [&str; 4] = ["success", "waiting", "transient", "stalled"];

/// What a fetch can come to.
const FETCHES: [&str; 2] = ["success", "failure"];

/// Counters that begin with 0 and not with what is counted first, which a rate would not see.
fn at_zero<T, L>(values: impl IntoIterator<Item = T>, labels: impl Fn(T) -> L) -> Family<L, Counter>
where
    L: Clone + std::hash::Hash + Eq,
{
    let family = Family::default();
    values.into_iter().for_each(|value| drop(family.get_or_create(&labels(value))));
    family
}

fn build() -> Family<BuildLabels, Gauge> {
    let version = env!("CARGO_PKG_VERSION");
    let build: Family<BuildLabels, Gauge> = Family::default();
    build.get_or_create(&BuildLabels { version, protocol: faultline_wire::Version::OURS.to_string() }).set(1);
    build
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The page, in the OpenMetrics text format.
    #[must_use]
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing into a string cannot fail; an empty page would be noticed by its missing `# EOF`.
        let _infallible = encode(&mut page, &self.registry);
        page
    }

    /// Shows what a pass decided in the place of what the last one did: whoever asks meanwhile sees one or the other.
    pub fn stand(&self, standing: Standing) {
        self.latest.replace(standing);
    }

    /// Counts a fetch of a module.
    pub fn fetched(&self, succeeded: bool) {
        let result = if succeeded { FETCHES[0] } else { FETCHES[1] };
        self.module_fetches.get_or_create(&FetchLabels { result }).inc();
    }

    /// Counts a pass.
    pub fn passed(&self, result: &'static str, took: Duration) {
        self.reconciles.get_or_create(&ResultLabels { result }).inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests;
