//! Durations as Go writes them: `1h15m30.918s`.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Units in nanoseconds, as Go's `time.ParseDuration` knows them (both spellings of micro).
const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// A duration in nanoseconds, never negative, at most Go's maximum of 2^63-1 ns (about 292 years).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(u64);

impl GoDuration {
    /// Go's `math.MaxInt64` nanoseconds.
    pub const MAX: Self = Self(i64::MAX.unsigned_abs());

    /// From nanoseconds; saturates at [`Self::MAX`].
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        if nanos > Self::MAX.0 { Self::MAX } else { Self(nanos) }
    }

    /// From whole seconds; saturates at [`Self::MAX`].
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self::from_nanos(secs.saturating_mul(1_000_000_000))
    }

    /// Nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// As the standard library has it.
    #[must_use]
    pub const fn as_std(self) -> Duration {
        Duration::from_nanos(self.0)
    }
}

/// Why a text is not a duration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DurationError {
    /// Nothing there.
    #[error("a duration is missing")]
    Empty,
    /// It is below zero.
    #[error("a duration cannot be negative")]
    Negative,
    /// A number was expected.
    #[error("expected a number at {0:?}")]
    NoNumber(String),
    /// A number without one of Go's units behind it.
    #[error("expected one of the units h, m, s, ms, us, ns behind {0:?}")]
    NoUnit(String),
    /// Beyond Go's maximum.
    #[error("longer than about 292 years")]
    TooLong,
}

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let mut rest = text.strip_prefix('+').unwrap_or(text);
        if rest.is_empty() {
            return Err(DurationError::Empty);
        }
        if rest == "0" {
            return Ok(Self(0));
        }
        if rest.starts_with('-') {
            return Err(DurationError::Negative);
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (nanos, behind) = component(rest)?;
            total =
                total.checked_add(nanos).filter(|sum| *sum <= Self::MAX.0).ok_or(DurationError::TooLong)?;
            rest = behind;
        }
        Ok(Self(total))
    }
}

/// One number with its unit, in nanoseconds (fractions of one are dropped, as Go does), and what follows it.
fn component(text: &str) -> Result<(u64, &str), DurationError> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
        return Err(DurationError::NoNumber(text.to_owned()));
    }
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(unit_end);
    let scale = UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .map(|(_, scale)| *scale)
        .ok_or_else(|| DurationError::NoUnit(number.to_owned()))?;
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| DurationError::TooLong)? };
    let nanos = whole.checked_mul(scale).ok_or(DurationError::TooLong)?;
    Ok((nanos.checked_add(fraction_nanos(fraction, scale)).ok_or(DurationError::TooLong)?, rest))
}

/// `0.fraction * scale`, rounded down. Digits beyond a nanosecond of an hour cannot matter.
fn fraction_nanos(fraction: &str, scale: u64) -> u64 {
    let (mut value, mut place) = (0_u128, 1_u128);
    for digit in fraction.bytes().take(18) {
        value = value * 10 + u128::from(digit - b'0');
        place *= 10;
    }
    u64::try_from(value * u128::from(scale) / place).unwrap_or(u64::MAX)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        if self.0 < 1_000_000_000 {
            let (unit, scale) = [("ms", 1_000_000), ("µs", 1_000), ("ns", 1)]
                .into_iter()
                .find(|(_, scale)| self.0 >= *scale)
                .unwrap_or(("ns", 1));
            return write!(f, "{}{unit}", decimal(self.0, scale));
        }
        let (hours, minutes) = (self.0 / UNITS[7].1, self.0 % UNITS[7].1 / UNITS[6].1);
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if hours > 0 || minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        write!(f, "{}s", decimal(self.0 % UNITS[6].1, UNITS[5].1))
    }
}

/// `nanos / scale` without trailing zeros.
fn decimal(nanos: u64, scale: u64) -> String {
    let digits = scale.ilog10() as usize;
    let text = format!("{}.{:0digits$}", nanos / scale, nanos % scale);
    if digits == 0 {
        (nanos / scale).to_string()
    } else {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

impl Serialize for GoDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for GoDuration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_that_go_accepts_are_accepted() {
        for (text, nanos) in [
            ("0", 0),
            ("10s", 10_000_000_000),
            ("1h15m30.918s", 4_530_918_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
            ("+5m", 300_000_000_000),
            ("3µs2ns", 3_002),
            ("9223372036854775807ns", i64::MAX.unsigned_abs()),
        ] {
            assert_eq!(text.parse(), Ok(GoDuration(nanos)), "{text}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused_with_the_reason() {
        use DurationError::*;
        for (text, error) in [
            ("", Empty),
            ("-1s", Negative),
            ("3", NoUnit("3".into())),
            ("1d", NoUnit("1".into())),
            ("s", NoNumber("s".into())),
            ("1s.", NoNumber(".".into())),
            ("1..5s", NoNumber("1..5s".into())),
            ("9223372036854775808ns", TooLong),
            ("99999999999999999999h", TooLong),
        ] {
            assert_eq!(text.parse::<GoDuration>(), Err(error), "{text}");
        }
    }

    #[test]
    fn it_is_shown_as_go_shows_it() {
        for (nanos, text) in
            [(0, "0s"), (1, "1ns"), (1_100, "1.1µs"), (2_200_000, "2.2ms"), (3_600_000_000_000, "1h0m0s")]
        {
            assert_eq!(GoDuration(nanos).to_string(), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_to_the_same_duration(nanos in 0..=i64::MAX.unsigned_abs()) {
            prop_assert_eq!(GoDuration(nanos).to_string().parse(), Ok(GoDuration(nanos)));
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            let _ = text.parse::<GoDuration>();
        }
    }
}
