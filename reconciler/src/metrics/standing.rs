//! What a pass decided.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{family::Family, gauge::Gauge},
};

use super::{
    GuardrailLabels, ProbeLabels, Seconds, SeverityLabels, SourceInfoLabels, StateLabels, VerdictLabels,
};

/// What a pass decided. Each pass makes one of its own, because what it no longer decides must not be shown.
#[derive(Debug, Default)]
pub struct Standing {
    /// Runs in the plan by state.
    pub runs: Family<StateLabels, Gauge>,
    /// Probes in the plan by how far they have come. What no probe is at has no series: there are no more of them than
    /// probes.
    pub probes: Family<ProbeLabels, Gauge>,
    /// Verdicts in the plan by guardrail.
    pub verdicts: Family<VerdictLabels, Gauge>,
    /// The most fuel that any of a guardrail's verdicts took.
    pub guardrail_fuel: Family<GuardrailLabels, Gauge>,
    /// 1 for the revision of each source that is in force.
    pub sources: Family<SourceInfoLabels, Gauge>,
    /// How old the observation is; `None`: there is none.
    pub inventory_age_seconds: Option<Seconds>,
    /// Findings in the files of all sources.
    pub diagnostics: Family<SeverityLabels, Gauge>,
}

/// The last pass's, behind a lock that a page holds while it is made.
#[derive(Clone, Debug, Default)]
pub(super) struct Latest(Arc<Mutex<Standing>>);

impl Latest {
    pub(super) fn replace(&self, standing: Standing) {
        *self.lock() = standing;
    }

    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Collector for Latest {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), fmt::Error> {
        let standing = self.lock();
        let Standing { runs, probes, verdicts, guardrail_fuel, sources, inventory_age_seconds, diagnostics } =
            &*standing;
        let mut show = |name, help, metric: &dyn EncodeMetric| {
            let kind = metric.metric_type();
            metric.encode(encoder.encode_descriptor(name, help, None, kind)?)
        };
        show("runs", "Runs in the plan by state.", runs)?;
        show("probes", "Probes in the plan by how far they have come.", probes)?;
        show("verdicts", "Verdicts in the plan by guardrail.", verdicts)?;
        show("guardrail_fuel", "The most fuel that a verdict in the plan took.", guardrail_fuel)?;
        show("source_info", "1 for the revision of each source that is in force.", sources)?;
        if let Some(age) = inventory_age_seconds {
            show("inventory_age_seconds", "How old the observation of nodes and pods is.", age)?;
        }
        show("diagnostics", "Findings in the files of all sources.", diagnostics)
    }
}
