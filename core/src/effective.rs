//! What holds for a run once defaults and tightenings are applied.

use faultline_api::{Experiment, GoDuration, Percent, Tightening};
use faultline_schedules::{Lifetime, Origin};
use jiff::Timestamp;
use serde::Serialize;

use crate::defaults::Defaults;

/// The values that a run is executed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Effective {
    /// Chance of each hit.
    pub probability: Percent,
    /// Most injections per slot and container; `None`: unlimited.
    pub times: Option<u64>,
    /// How long, from the first acknowledged attach; `None`: until removed.
    pub duration: Option<GoDuration>,
    /// Who says how long.
    pub duration_origin: Origin,
    /// When it ends; `None` until it started, and without a duration.
    pub ends: Option<Timestamp>,
}

impl Effective {
    /// Of `experiment` under `limit`, started at `started`.
    #[must_use]
    pub fn of(
        experiment: &Experiment,
        limit: &Tightening,
        defaults: &Defaults,
        started: Option<Timestamp>,
    ) -> Self {
        let lifetime = lifetime(experiment, limit, defaults);
        Self {
            probability: limit
                .probability
                .map_or(experiment.probability, |most| most.min(experiment.probability)),
            times: match (experiment.times, limit.times) {
                (Some(asked), Some(most)) => Some(asked.min(most)),
                (asked, most) => asked.or(most),
            },
            duration: lifetime.duration(),
            duration_origin: lifetime.origin(),
            ends: started.and_then(|started| lifetime.end(started)),
        }
    }

    /// Whether `limit` changes any of these values, or names targets.
    #[must_use]
    pub fn is_tightened_by(&self, limit: &Tightening) -> bool {
        limit.probability.is_some_and(|most| most < self.probability)
            || limit.times.is_some_and(|most| self.times.is_none_or(|times| most < times))
            || limit.duration.is_some_and(|most| self.duration.is_none_or(|duration| most < duration))
            || limit.targets.is_some()
            || !limit.drop.is_empty()
    }
}

/// How long a run of `experiment` lasts under `limit`.
#[must_use]
pub fn lifetime(experiment: &Experiment, limit: &Tightening, defaults: &Defaults) -> Lifetime {
    Lifetime::new(experiment.duration, defaults.duration, limit.duration)
}
