//! What is shown of probes: what is attached where, and what it did.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use faultline_api::Fault;
use faultline_core::report::ProbeState;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric as _, MetricEncoder},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
};

use crate::ledger::Tally;

/// A count of a [`Tally`]: name, help, and which.
type Count = (&'static str, &'static str, fn(&Tally) -> u64);

/// What is shown of each remembered probe. The values are the kernel's own.
const COUNTS: [Count; 11] = [
    ("injections", "Faults injected", |tally| tally.injections),
    ("hits", "Entries to the target function in scope", |tally| tally.hits),
    ("matches", "Hits with the whole call chain on the stack and every predicate held", |tally| {
        tally.matches
    }),
    ("rejected", "Entries, of frames and of the target, that a predicate turned down", |tally| {
        tally.rejected
    }),
    ("unread", "Entries turned down because a predicate could not be evaluated", |tally| tally.unread),
    ("sampled_out", "Matches that the probability turned down", |tally| tally.sampled_out),
    ("exhausted", "Matches after the budget was used up", |tally| tally.exhausted),
    ("expired", "Hits after the lease or the end", |tally| tally.expired),
    (
        "missed_returns",
        "Times that what a chain had matched was dropped because an exit went unseen",
        |tally| tally.missed_returns,
    ),
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
    /// Whether its program is attached, as far as is known: a little longer than it is desired.
    pub attached: bool,
    /// What it is doing.
    pub state: ProbeState,
    /// What it counted.
    pub tally: Tally,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, EncodeLabelSet)]
struct ProbeLabels {
    experiment: String,
    run: u64,
    namespace: String,
    pod: String,
    container: String,
    fault: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GuardedLabels {
    #[prometheus(flatten)]
    probe: ProbeLabels,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProgramLabels {
    program: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

/// Shows probes as they were last observed.
#[derive(Debug, Default)]
pub(super) struct Probes {
    series: Mutex<Arc<[Series]>>,
    missed: Mutex<BTreeMap<String, u64>>,
}

/// What is shown of the probes of the same labels, such as two that one container had in turn.
#[derive(Default)]
struct Shown {
    tally: Tally,
    /// `None` where none of them is desired or attached.
    attached: Option<bool>,
}

impl Probes {
    /// From now on these.
    pub(super) fn show(&self, series: Vec<Series>) {
        *lock(&self.series) = series.into();
    }

    /// And of their programs, these runs that the kernel passed over.
    pub(super) fn show_missed(&self, missed: BTreeMap<String, u64>) {
        *lock(&self.missed) = missed;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn by_labels(series: &[Series]) -> BTreeMap<ProbeLabels, Shown> {
    let mut by_labels: BTreeMap<ProbeLabels, Shown> = BTreeMap::new();
    for series in series {
        let labels = ProbeLabels {
            experiment: series.experiment.clone(),
            run: series.run,
            namespace: series.namespace.clone(),
            pod: series.pod.clone(),
            container: series.container.clone(),
            fault: name_of(series.fault),
        };
        let shown = by_labels.entry(labels).or_default();
        shown.tally = shown.tally.plus(series.tally);
        if series.held || series.attached {
            shown.attached = Some(series.attached || shown.attached == Some(true));
        }
    }
    by_labels
}

fn states(series: &[Series]) -> [(&'static str, i64); 4] {
    let count = |is: fn(&Series) -> bool| {
        i64::try_from(series.iter().filter(|series| is(series)).count()).unwrap_or(i64::MAX)
    };
    [
        ("attached", count(|series| series.state == ProbeState::Attached)),
        ("failed", count(|series| matches!(series.state, ProbeState::Failed { .. }))),
        ("pending", count(|series| matches!(series.state, ProbeState::Pending { .. }))),
        ("over", count(|series| series.held && series.state == ProbeState::Detached)),
    ]
}

impl Collector for Probes {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        // One observation for the whole page, whatever is observed meanwhile.
        let series = Arc::clone(&lock(&self.series));
        let shown = by_labels(&series);
        let help = "1 while a desired probe is attached, 0 while it is not; nothing once it is not desired";
        let mut metric = describe(&mut encoder, "attached", help, MetricType::Gauge)?;
        for (labels, shown) in &shown {
            if let Some(attached) = shown.attached {
                ConstGauge::new(i64::from(attached)).encode(metric.encode_family(labels)?)?;
            }
        }
        for (name, help, count) in COUNTS {
            let mut metric = describe(&mut encoder, name, help, MetricType::Counter)?;
            for (labels, shown) in &shown {
                ConstCounter::new(count(&shown.tally)).encode(metric.encode_family(labels)?)?;
            }
        }
        let help = "Hits that are never injected, by reason";
        let mut metric = describe(&mut encoder, "guarded", help, MetricType::Counter)?;
        for (labels, shown) in &shown {
            for (reason, count) in shown.tally.guarded_by.by_reason() {
                let labels = GuardedLabels { probe: labels.clone(), reason: reason.as_str() };
                ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
            }
        }
        let help = "Runs of attached programs that the kernel passed over";
        let mut metric = describe(&mut encoder, "missed_runs", help, MetricType::Counter)?;
        for (program, missed) in lock(&self.missed).iter() {
            ConstCounter::new(*missed)
                .encode(metric.encode_family(&ProgramLabels { program: program.clone() })?)?;
        }
        let help = "Probes of the desired set by state";
        let mut metric = describe(&mut encoder, "probes", help, MetricType::Gauge)?;
        for (state, count) in states(&series) {
            ConstGauge::new(count).encode(metric.encode_family(&StateLabels { state })?)?;
        }
        Ok(())
    }
}

/// A collector's names get the registry's prefix like all others, and its help the full stop.
fn describe<'a>(
    encoder: &'a mut DescriptorEncoder<'_>,
    name: &'a str,
    help: &str,
    kind: MetricType,
) -> Result<MetricEncoder<'a>, fmt::Error> {
    encoder.encode_descriptor(name, &format!("{help}."), None, kind)
}

/// Its name in labels.
const fn name_of(fault: Fault) -> &'static str {
    match fault {
        Fault::Slab => "slab",
        Fault::Page => "page",
        Fault::Bio => "bio",
    }
}
