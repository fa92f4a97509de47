//! What is counted: every metric of this binary and the set of values of every label, in one place.

use std::time::Duration;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

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
    /// Of runs: `Pending`, `Running`, `Held`, `Completed`, `Stopped`.
    StateLabels { state: &'static str }
    /// Of verdicts: `allow`, `deny`, `mutate`, `undecided`.
    VerdictLabels { guardrail: String, verdict: &'static str }
    /// Of an experiment's effect on a node.
    InjectionLabels { namespace: String, experiment: String, node: String }
    /// Of a source and what is in force of it.
    SourceInfoLabels { source: String, role: &'static str, revision: String, freshness: &'static str }
    /// Of a source.
    SourceLabels { source: String }
    /// Of a node.
    NodeLabels { node: String }
    /// Of a refusal: the protocol's reasons.
    ReasonLabels { reason: &'static str }
    /// Of diagnostics: `error`, `warning`, `note`.
    SeverityLabels { severity: &'static str }
}

macro_rules! metrics {
    ($($field:ident: $kind:ty = $make:expr, $name:literal, $help:literal;)*) => {
        /// Every metric. The names begin with `faultline_`, and those of counters end with `_total`.
        #[derive(Debug)]
        pub struct Metrics {
            registry: Registry,
            $(#[doc = $help] pub $field: $kind),*
        }

        impl Metrics {
            /// The metrics, all at their beginning.
            #[must_use]
            pub fn new() -> Self {
                let mut registry = Registry::with_prefix("faultline");
                $(let $field: $kind = $make; registry.register($name, $help, $field.clone());)*
                Self { registry, $($field),* }
            }

            /// Name as it is on the page, and meaning, of each.
            #[must_use]
            pub fn table() -> Vec<(String, &'static str)> {
                vec![$((on_page($name, stringify!($kind)), $help)),*]
            }
        }
    };
}

metrics! {
    reconciles: Family<ResultLabels, Counter> = Family::default(),
        "reconciles", "Passes of the reconciler by what they came to";
    reconcile_seconds: Histogram = Histogram::new(PASS_SECONDS),
        "reconcile_duration_seconds", "How long a pass took";
    runs: Family<StateLabels, Gauge> = Family::default(),
        "runs", "Runs in the plan by state";
    verdicts: Family<VerdictLabels, Gauge> = Family::default(),
        "verdicts", "Verdicts in the plan by guardrail";
    injections: Family<InjectionLabels, Counter> = Family::default(),
        "injections", "Injections as the agents report them";
    sources: Family<SourceInfoLabels, Gauge> = Family::default(),
        "source_info", "1 for the revision of each source that is in force";
    source_stale_seconds: Family<SourceLabels, Seconds> = Family::default(),
        "source_stale_seconds", "For how long a source could not be read";
    inventory_age_seconds: Seconds = Gauge::default(),
        "inventory_age_seconds", "How old the observation of nodes and pods is";
    agents: Family<NodeLabels, Gauge> = Family::default(),
        "node_connected", "1 while the agent of a node holds a session, else 0";
    lease_renewals: Family<NodeLabels, Counter> = Family::default(),
        "lease_renewals", "Renewals of leases sent to agents";
    attach_failures: Counter = Counter::default(),
        "attach_failures", "Probes that a node could not attach";
    peers_refused: Family<ReasonLabels, Counter> = Family::default(),
        "peers_refused", "Connections and sessions refused";
    sets_refused: Family<ReasonLabels, Counter> = Family::default(),
        "desired_sets_refused", "Desired sets that agents refused";
    diagnostics: Family<SeverityLabels, Gauge> = Family::default(),
        "diagnostics", "Findings in the files of all sources";
}

/// The name as it is on the page.
fn on_page(name: &str, kind: &str) -> String {
    format!("faultline_{name}{}", if kind.contains("Counter") { "_total" } else { "" })
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

    /// Counts a pass.
    pub fn passed(&self, result: &'static str, took: Duration) {
        self.reconciles.get_or_create(&ResultLabels { result }).inc();
        self.reconcile_seconds.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_complete_and_counters_end_in_total() {
        let metrics = Metrics::new();
        metrics.passed("success", Duration::from_millis(3));
        let page = metrics.page();
        assert!(page.contains("faultline_reconciles_total{result=\"success\"} 1\n"), "{page}");
        assert!(page.contains("faultline_reconcile_duration_seconds_bucket{le=\"0.005\"} 1\n"), "{page}");
        assert!(page.ends_with("# EOF\n"), "{page}");
        assert!(page.contains("# HELP faultline_inventory_age_seconds How old"), "{page}");
    }

    #[test]
    fn the_documentation_has_one_row_for_each_metric_and_no_other() {
        let rows: String =
            Metrics::table().iter().map(|(name, help)| format!("| `{name}` | {help} |\n")).collect();
        let (_, table) = include_str!("../METRICS.md").split_once("|---|---|\n").unwrap();
        assert_eq!(table, rows);
    }
}
