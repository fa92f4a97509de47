//! The lab's one clock: it waits for machines, and machines take real time.

use std::time::{Duration, Instant, SystemTime};

/// Now, for measuring and for limits.
#[expect(clippy::disallowed_methods, reason = "the lab's one clock: a boot takes as long as it takes")]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds since 1970, for names of log files.
#[expect(clippy::disallowed_methods, reason = "the lab's one clock: log files are kept by age")]
pub fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A duration as a person says it: `0.8 s`, `42 s`, `7 min 13 s`.
#[must_use]
pub fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..10 => format!("{:.1} s", duration.as_secs_f32()),
        10..60 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken_with_the_precision_that_matters() {
        let spoken_ms = |ms| spoken(Duration::from_millis(ms));
        assert_eq!(spoken_ms(840), "0.8 s");
        assert_eq!(spoken_ms(42_400), "42 s");
        assert_eq!(spoken_ms(433_000), "7 min 13 s");
    }
}
