//! Every metric of the agent and the set of values of every label, in one place; `METRICS.md` is held to it.

mod probes;

use std::{collections::BTreeMap, fmt, sync::Arc};

use faultline_core::{
    inventory::{Injectability, KernelReport},
    ledger::Generation,
};
use faultline_wire::message::NackReason;
use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use probes::Probes;
pub use probes::Series;

/// Prefix of every name.
const PREFIX: &str = "faultline_agent";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaultLabels {
    fault: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
    protocol: String,
}

/// The agent's metrics. Every one has the label `node` beside its own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    probes: Arc<Probes>,
    refused: Family<ReasonLabels, Counter>,
    usable: Family<FaultLabels, Gauge>,
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
        let labels = [("node".into(), node.to_owned().into())];
        let mut registry = Registry::with_prefix_and_labels(PREFIX, labels.into_iter());
        let probes = Arc::new(Probes::default());
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
        registry.register("build_info", "Always 1; the labels say what runs", built);
        registry.register("desired_sets_refused", "Desired sets refused by reason", refused.clone());
        let usable: Family<FaultLabels, Gauge> = Family::default();
        registry.register("fault_usable", "1 where this kernel can inject the fault, else 0", usable.clone());
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
            usable,
            generation_epoch,
            generation_counter,
            sessions,
            session_open,
            connect_failures,
            lease_expiries,
            injections_lost,
        }
    }

    /// What the kernel can do.
    pub fn can(&self, kernel: &KernelReport) {
        for (fault, can) in &kernel.faults {
            let labels = FaultLabels { fault: format!("{fault:?}").to_lowercase() };
            self.usable.get_or_create(&labels).set(matches!(can, Injectability::Yes { .. }).into());
        }
    }

    /// What is shown of probes from now on.
    pub fn show(&self, series: Vec<Series>) {
        self.probes.show(series);
    }

    /// What is shown of programs from now on: runs that the kernel passed over.
    pub fn show_missed(&self, missed: BTreeMap<String, u64>) {
        self.probes.show_missed(missed);
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

#[cfg(test)]
mod tests;
