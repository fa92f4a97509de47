//! The lifetime of a run: from its first acknowledged attach for as long as its duration says, without a pause.

use faultline_api::GoDuration;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a run lasts, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetime {
    duration: Option<GoDuration>,
    origin: Origin,
}

/// Who says how long a run lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The document.
    Declared,
    /// The default for documents that give no duration.
    Default,
    /// A guardrail, which is tighter than both.
    Guardrail,
    /// Nobody: the run lasts until its experiment is removed.
    Unbounded,
}

impl Lifetime {
    /// What the document gives, or else the default, and never more than the guardrails allow.
    #[must_use]
    pub fn new(
        declared: Option<GoDuration>,
        default: Option<GoDuration>,
        at_most: Option<GoDuration>,
    ) -> Self {
        let (asked, origin) = match (declared, default) {
            (Some(declared), _) => (Some(declared), Origin::Declared),
            (None, Some(default)) => (Some(default), Origin::Default),
            (None, None) => (None, Origin::Unbounded),
        };
        match (asked, at_most) {
            (Some(asked), Some(most)) if most < asked => {
                Self { duration: at_most, origin: Origin::Guardrail }
            }
            (None, Some(_)) => Self { duration: at_most, origin: Origin::Guardrail },
            _ => Self { duration: asked, origin },
        }
    }

    /// How long from the first acknowledged attach; `None`: until removed.
    #[must_use]
    pub const fn duration(&self) -> Option<GoDuration> {
        self.duration
    }

    /// Who says so.
    #[must_use]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// The instant at which a run that started at `started` is over; the last instant there is where that is
    /// beyond it.
    #[must_use]
    pub fn end(&self, started: Timestamp) -> Option<Timestamp> {
        let length = SignedDuration::try_from(self.duration?.as_std()).unwrap_or(SignedDuration::MAX);
        Some(started.checked_add(length).unwrap_or(Timestamp::MAX))
    }

    /// Whether it is over at `now`. A run that never started is not.
    #[must_use]
    pub fn is_over(&self, started: Option<Timestamp>, now: Timestamp) -> bool {
        started.and_then(|started| self.end(started)).is_some_and(|end| end <= now)
    }

    /// The next instant after `now` at which time alone changes something.
    #[must_use]
    pub fn next(&self, started: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        self.end(started?).filter(|end| *end > now)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secs(secs: u64) -> GoDuration {
        GoDuration::from_secs(secs)
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_tightest_limit_wins_and_is_named() {
        use Origin::*;
        for (declared, default, at_most, duration, origin) in [
            (Some(10), Some(60), None, Some(10), Declared),
            (None, Some(60), None, Some(60), Default),
            (None, None, None, None, Unbounded),
            (Some(10), Some(60), Some(5), Some(5), Guardrail),
            (Some(10), Some(60), Some(10), Some(10), Declared),
            (None, Some(60), Some(90), Some(60), Default),
            (None, None, Some(90), Some(90), Guardrail),
        ] {
            let lifetime = Lifetime::new(declared.map(secs), default.map(secs), at_most.map(secs));
            assert_eq!((lifetime.duration(), lifetime.origin()), (duration.map(secs), origin));
        }
    }

    #[test]
    fn a_run_is_over_at_its_end_and_not_a_moment_before() {
        let lifetime = Lifetime::new(Some(secs(10)), None, None);
        let end = at(110);
        assert_eq!(lifetime.end(at(100)), Some(end));
        assert!(lifetime.is_over(Some(at(100)), end));
        assert!(!lifetime.is_over(Some(at(100)), end - SignedDuration::from_nanos(1)));
    }

    #[test]
    fn a_run_that_never_started_never_ends() {
        let lifetime = Lifetime::new(Some(secs(10)), None, None);
        assert!(!lifetime.is_over(None, Timestamp::MAX));
        assert_eq!(lifetime.next(None, at(0)), None);
    }

    #[test]
    fn an_end_beyond_all_time_is_the_last_instant() {
        assert_eq!(
            Lifetime::new(Some(GoDuration::MAX), None, None).end(Timestamp::MAX),
            Some(Timestamp::MAX)
        );
    }

    proptest! {
        #[test]
        fn a_guardrail_never_makes_a_run_longer(
            declared in proptest::option::of(0..100_000_u64),
            default in proptest::option::of(0..100_000_u64),
            at_most in 0..100_000_u64,
            started in -1_000_000..1_000_000_i64,
        ) {
            let free = Lifetime::new(declared.map(secs), default.map(secs), None);
            let held = Lifetime::new(declared.map(secs), default.map(secs), Some(secs(at_most)));
            prop_assert!(held.duration() <= Some(secs(at_most)));
            prop_assert!(free.end(at(started)).is_none_or(|end| held.end(at(started)) <= Some(end)));
        }

        #[test]
        fn it_is_over_exactly_when_nothing_is_left_to_wait_for(
            duration in 0..1_000_u64, started in 0..1_000_i64, now in 0..3_000_i64,
        ) {
            let lifetime = Lifetime::new(Some(secs(duration)), None, None);
            let over = lifetime.is_over(Some(at(started)), at(now));
            prop_assert_eq!(over, lifetime.next(Some(at(started)), at(now)).is_none());
        }
    }
}
