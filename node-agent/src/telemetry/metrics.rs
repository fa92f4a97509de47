//! Every metric of the agent and the set of values of every label, in one place.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use faultline_api::Fault;
use faultline_core::{ledger::Generation, report::ProbeState};
use faultline_wire::message::NackReason;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, MetricEncoder, text::encode},
    metrics::{
        MetricType, counter::ConstCounter, counter::Counter, family::Family, gauge::ConstGauge, gauge::Gauge,
    },
    registry::Registry,
};

use crate::ledger::Tally;

/// Prefix of every name.
const PREFIX: &str = "faultline_agent";

/// A count of a [`Tally`]: name, help, and which.
type Count = (&'static str, &'static str, fn(&Tally) -> u64);

/// What is shown of each remembered probe. The values are the kernel's own.
const COUNTS: [Count; 10] = [
    ("injections", "Faults injected", |tally| tally.injections),
    ("hits", "Entries to the target function in scope", |tally| tally.hits),
    ("matches", "Hits with the whole call chain on the stack", |tally| tally.matches),
    ("sampled_out", "Matches that the probability turned down", |tally| tally.sampled_out),
    ("exhausted", "Matches after the budget was used up", |tally| tally.exhausted),
    ("expired", "Hits after the lease or the end", |tally| tally.expired),
    ("guarded", "Hits that may never fail", |tally| tally.guarded),
    ("missed_returns", "Matches that the stack did not confirm", |tally| tally.missed_returns),
    ("shadowed", "Hits that another probe had already answered", |tally| tally.shadowed),
    ("contended", "Matches dropped because too many CPUs drew at once", |tally| tally.contended),
];

/// One remembered probe, for the metrics. Labelled with the names that people know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// `namespace/name`.
    pub experiment: String,
    /// Which run of it.
    pub run: u64,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// Name of the container.
    pub container: String,
    /// What is injected.
    pub fault: Fault,
    /// Whether it is in the desired set.
    pub held: bool,
    /// What it is doing.
    pub state: ProbeState,
    /// What it counted.
    pub tally: Tally,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ProbeLabels {
    experiment: String,
    run: u64,
    node: String,
    namespace: String,
    pod: String,
    container: String,
    fault: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    protocol: String,
}

/// The agent's metrics.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    probes: Arc<Probes>,
    refused: Family<ReasonLabels, Counter>,
    generation_epoch: Gauge,
    generation_counter: Gauge,
    pub(super) sessions: Counter,
    pub(super) session_open: Gauge,
    pub(super) connect_failures: Counter,
    pub(super) lease_expiries: Counter,
    pub(super) injections_lost: Counter,
}

impl Metrics {
    /// All at their beginning.
    #[must_use]
    pub fn new(node: &str) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let probes = Arc::new(Probes { node: node.into(), series: Mutex::default() });
        let refused: Family<ReasonLabels, Counter> = Family::default();
        for reason in NackReason::ALL {
            drop(refused.get_or_create(&ReasonLabels { reason: reason.as_str() }));
        }
        let build = BuildLabels {
            version: env!("CARGO_PKG_VERSION"),
            protocol: faultline_wire::Version::OURS.to_string(),
        };
        let built: Family<BuildLabels, Gauge> = Family::default();
        built.get_or_create(&build).set(1);
        registry.register("build", "Always 1; the labels say what runs", built);
        registry.register("desired_sets_refused", "Desired sets refused by reason", refused.clone());
        registry.register_collector(Box::new(Arc::clone(&probes)));
        let mut counter = |name: &str, help: &str| {
            let counter = Counter::default();
            registry.register(name, help, counter.clone());
            counter
        };
        let sessions = counter("sessions", "Sessions opened with the reconciler");
        let connect_failures = counter("connect_failures", "Attempts to open a session that failed");
        let lease_expiries = counter("lease_expiries", "Leases that ended without a renewal");
        let injections_lost = counter("injections_lost", "Injections forfeited because their count was lost");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let session_open = gauge("session_open", "1 while there is a session with the reconciler");
        let generation_epoch = gauge("generation_epoch", "Epoch of the desired set that is held");
        let generation_counter =
            gauge("generation_in_epoch", "Counter of the desired set that is held, within its epoch");
        Self {
            registry,
            probes,
            refused,
            generation_epoch,
            generation_counter,
            sessions,
            session_open,
            connect_failures,
            lease_expiries,
            injections_lost,
        }
    }

    /// What is shown of probes from now on.
    pub fn show(&self, series: Vec<Series>) {
        *self.probes.lock() = series;
    }

    /// The page, in the OpenMetrics text format.
    ///
    /// # Errors
    /// Never in practice: writing to a string does not fail.
    pub fn page(&self) -> Result<String, fmt::Error> {
        let mut page = String::new();
        encode(&mut page, &self.registry)?;
        Ok(page)
    }

    pub(super) fn refuse(&self, reason: NackReason) {
        self.refused.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc();
    }

    /// The generation that is held.
    pub fn accept(&self, generation: Generation) {
        let fit = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.generation_epoch.set(fit(generation.epoch));
        self.generation_counter.set(fit(generation.counter));
    }
}

/// Shows probes as they were last observed.
#[derive(Debug)]
struct Probes {
    node: String,
    series: Mutex<Vec<Series>>,
}

impl Probes {
    fn lock(&self) -> MutexGuard<'_, Vec<Series>> {
        self.series.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Probes of the same labels, such as two slots that one pod held in turn, are one series.
    fn summed(&self) -> BTreeMap<ProbeLabels, Tally> {
        let mut summed = BTreeMap::new();
        for series in self.lock().iter() {
            let labels = ProbeLabels {
                experiment: series.experiment.clone(),
                run: series.run,
                node: self.node.clone(),
                namespace: series.namespace.clone(),
                pod: series.pod.clone(),
                container: series.container.clone(),
                fault: name_of(series.fault),
            };
            let tally: &mut Tally = summed.entry(labels).or_default();
            *tally = tally.plus(series.tally);
        }
        summed
    }

    fn states(&self) -> [(&'static str, i64); 3] {
        let series = self.lock();
        let count = |is: fn(&Series) -> bool| {
            i64::try_from(series.iter().filter(|series| is(series)).count()).unwrap_or(i64::MAX)
        };
        [
            ("attached", count(|series| series.state == ProbeState::Attached)),
            ("failed", count(|series| matches!(series.state, ProbeState::Failed { .. }))),
            ("over", count(|series| series.held && series.state == ProbeState::Detached)),
        ]
    }
}

impl Collector for Probes {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let summed = self.summed();
        for (name, help, count) in COUNTS {
            let mut metric = describe(&mut encoder, name, help, MetricType::Counter)?;
            for (labels, tally) in &summed {
                ConstCounter::new(count(tally)).encode(metric.encode_family(labels)?)?;
            }
        }
        let help = "Probes of the desired set by state";
        let mut metric = describe(&mut encoder, "probes", help, MetricType::Gauge)?;
        for (state, count) in self.states() {
            ConstGauge::new(count).encode(metric.encode_family(&StateLabels { state })?)?;
        }
        Ok(())
    }
}

/// A collector's names get the registry's prefix like all others.
fn describe<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    kind: MetricType,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, help, None, kind)
}

/// Its name in labels.
const fn name_of(fault: Fault) -> &'static str {
    match fault {
        Fault::Slab => "slab",
        Fault::Page => "page",
        Fault::Bio => "bio",
    }
}

#[cfg(test)]
mod tests;
