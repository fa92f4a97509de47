//! The agent's one clock. Everything else takes a [`Now`].

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

use crate::kernel::BootNanos;

/// One instant by both clocks: leases and ends are held by the boot clock, people read the wall clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// By the wall clock.
    pub wall: Timestamp,
    /// By `CLOCK_BOOTTIME`.
    pub boot: BootNanos,
}

/// Where instants come from.
pub trait Clock: Send + Sync {
    /// The present.
    fn now(&self) -> Now;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the agent's one clock")]
    fn now(&self) -> Now {
        let time = clock_gettime(ClockId::Boottime);
        // Neither is ever negative for this clock, and nanoseconds since boot fit for 584 years.
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(time.tv_nsec).unwrap_or(0);
        Now { wall: Timestamp::now(), boot: BootNanos(seconds * 1_000_000_000 + nanos) }
    }
}
