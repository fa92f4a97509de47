//! How long to wait before dialling again.

use std::time::Duration;

/// Exponential, with full jitter: the wait is anywhere between nothing and a bound that doubles, so that a fleet
/// whose reconciler restarts does not come back all at once.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
    random: u64,
}

impl Backoff {
    /// The bound starts at `first` and ends at `most`. Agents with different seeds wait differently.
    #[must_use]
    pub const fn new(first: Duration, most: Duration, seed: u64) -> Self {
        Self { first, most, failures: 0, random: seed }
    }

    /// The wait after one more failure.
    pub fn next_wait(&mut self) -> Duration {
        let bound = self.first.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX));
        let bound = bound.min(self.most);
        self.failures = self.failures.saturating_add(1);
        // 2^32 steps between nothing and the bound are fine enough.
        let step = f64::from(u32::try_from(self.draw() >> 32).unwrap_or(u32::MAX)) / f64::from(u32::MAX);
        bound.mul_f64(step)
    }

    /// A session was held: the next failure is a first one.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }

    /// SplitMix64: any seed will do, and nothing here needs to be hard to guess.
    const fn draw(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(5);

    #[test]
    fn the_bound_doubles_up_to_the_most() {
        for seed in 0..200 {
            let mut backoff = Backoff::new(FIRST, MOST, seed);
            for failure in 0..100 {
                let bound = FIRST.saturating_mul(1 << failure.min(10)).min(MOST);
                assert!(backoff.next_wait() <= bound);
            }
        }
    }

    #[test]
    fn waits_are_spread_over_the_whole_range() {
        let waits: Vec<_> =
            (0..1000).map(|seed| Backoff::new(FIRST, MOST, seed).next_wait().as_micros()).collect();
        for tenth in 0..10 {
            let within = tenth * 10_000..(tenth + 1) * 10_000;
            let share = waits.iter().filter(|wait| within.contains(*wait)).count();
            assert!((50..150).contains(&share), "{share} waits in {within:?}");
        }
    }

    #[test]
    fn a_session_starts_over() {
        let mut backoff = Backoff::new(FIRST, MOST, 7);
        for _ in 0..20 {
            backoff.next_wait();
        }
        backoff.reset();
        assert!(backoff.next_wait() <= FIRST);
    }
}
