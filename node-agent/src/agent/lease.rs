//! The dead-man's switch: permission to inject that ends by itself.

use std::time::Duration;

use crate::kernel::BootNanos;

/// One lease for the node. It begins expired, and quietly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    until: BootNanos,
    /// Its end has not been noticed yet.
    running: bool,
}

impl Default for Lease {
    fn default() -> Self {
        Self { until: BootNanos(0), running: false }
    }
}

impl Lease {
    /// Counts `ttl` from `heard`, and returns the new end. What claims to be heard from the future was heard now.
    pub fn renew(&mut self, heard: BootNanos, ttl: Duration, now: BootNanos) -> BootNanos {
        self.until = after(heard.min(now), ttl);
        self.running |= self.is_live(now);
        self.until
    }

    /// Whether probes may be attached.
    #[must_use]
    pub fn is_live(&self, now: BootNanos) -> bool {
        now < self.until
    }

    /// Whether it ended since this was last asked.
    pub fn lapses(&mut self, now: BootNanos) -> bool {
        let lapsed = self.running && !self.is_live(now);
        if lapsed {
            self.running = false;
        }
        lapsed
    }

    /// When its end is to be noticed.
    #[must_use]
    pub const fn wake_at(&self) -> BootNanos {
        if self.running { self.until } else { BootNanos::NEVER }
    }
}

/// Saturates at [`BootNanos::NEVER`].
pub(super) fn after(instant: BootNanos, duration: Duration) -> BootNanos {
    let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    BootNanos(instant.0.saturating_add(nanos))
}
