//! How long each of many calls took.

use std::time::Duration;

use serde::Serialize;

/// Latencies, the quickest first.
#[derive(Debug)]
pub(super) struct Samples(Vec<Duration>);

/// Quantiles in microseconds, each a latency that was seen.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Quantiles {
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) max_us: f64,
}

impl Samples {
    pub(super) fn new(mut took: Vec<Duration>) -> Self {
        took.sort_unstable();
        Self(took)
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// All zero where there are no samples.
    pub(super) fn quantiles(&self) -> Quantiles {
        let at = |percent| self.quantile(percent).as_secs_f64() * 1e6;
        Quantiles { p50_us: at(50), p90_us: at(90), p99_us: at(99), max_us: at(100) }
    }

    /// Calls per second of the time that all of them took, without what lay between them.
    pub(super) fn per_second(&self) -> f64 {
        self.0.len() as f64 / self.0.iter().sum::<Duration>().as_secs_f64()
    }

    /// The least latency that `percent` of all do not exceed.
    fn quantile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_least_latency_that_so_many_do_not_exceed() {
        let of = |count: u64| {
            let samples = Samples::new((1..=count).rev().map(Duration::from_micros).collect());
            let Quantiles { p50_us, p90_us, p99_us, max_us } = samples.quantiles();
            [p50_us, p90_us, p99_us, max_us].map(f64::round)
        };
        assert_eq!(of(0), [0.0; 4]);
        assert_eq!(of(1), [1.0; 4]);
        assert_eq!(of(10), [5.0, 9.0, 10.0, 10.0]);
        assert_eq!(of(200), [100.0, 180.0, 198.0, 200.0]);
    }

    #[test]
    fn the_rate_is_that_of_the_calls_alone() {
        let samples = Samples::new(vec![Duration::from_millis(1), Duration::from_millis(3)]);
        assert!((samples.per_second() - 500.0).abs() < 1e-9);
    }
}
