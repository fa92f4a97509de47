//! What probes have come to: from what their programs counted to what a person wants to know.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::report::{Counters, ProbeReport, ProbeState};

/// How far a probe has come on the way to an injection, the least far first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Wanted, and nobody has said that it is or was attached; or it waits for a module.
    Pending,
    /// Wanted, and it cannot be attached.
    Failed,
    /// Attached, and no task in scope has entered the function that fails.
    NeverReached,
    /// Entered, and never with the whole call chain and every predicate.
    NeverMatched,
    /// Matched, and every match was let pass.
    NeverInjected,
    /// It injected, and is attached no more.
    Injected,
    /// All that it might inject is injected, or forfeited.
    Exhausted,
    /// It has injected, and may again.
    Injecting,
}

impl Activity {
    /// Every one, the least far first.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::Failed,
        Self::NeverReached,
        Self::NeverMatched,
        Self::NeverInjected,
        Self::Injected,
        Self::Exhausted,
        Self::Injecting,
    ];

    /// What `probe` has come to, where other nodes have spent `spent_elsewhere` of its slot's budget. One that is
    /// detached keeps what it had come to.
    #[must_use]
    pub const fn of(probe: &ProbeReport, spent_elsewhere: u64) -> Self {
        let ProbeReport { state, attached_at, times, spent, counters, .. } = probe;
        let attached = matches!(state, ProbeState::Attached);
        match (state, times) {
            (ProbeState::Failed { .. }, _) => Self::Failed,
            (ProbeState::Pending { .. }, _) => Self::Pending,
            (_, Some(times)) if spent.saturating_add(spent_elsewhere) >= *times => Self::Exhausted,
            (ProbeState::Detached, _) if attached_at.is_none() => Self::Pending,
            _ if counters.injections > 0 && attached => Self::Injecting,
            _ if counters.injections > 0 => Self::Injected,
            _ if counters.matches > 0 => Self::NeverInjected,
            _ if counters.hits > 0 => Self::NeverMatched,
            _ => Self::NeverReached,
        }
    }

    /// As metrics and JSON spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Failed => "failed",
            Self::NeverReached => "never_reached",
            Self::NeverMatched => "never_matched",
            Self::NeverInjected => "never_injected",
            Self::Injected => "injected",
            Self::Exhausted => "exhausted",
            Self::Injecting => "injecting",
        }
    }

    /// Whether it is attached, or was, and nothing came of it: the states that ask for an explanation.
    #[must_use]
    pub const fn is_without_effect(self) -> bool {
        matches!(self, Self::NeverReached | Self::NeverMatched | Self::NeverInjected)
    }
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverReached => "never reached",
            Self::NeverMatched => "never matched",
            Self::NeverInjected => "never injected",
            other => other.as_str(),
        })
    }
}

/// How many probes have come how far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Activities(BTreeMap<Activity, u32>);

impl Activities {
    /// The furthest that any of the probes has come: a run does what the best of its probes does. `None`: there are
    /// none.
    #[must_use]
    pub fn furthest(&self) -> Option<Activity> {
        self.0.keys().next_back().copied()
    }
}

impl FromIterator<Activity> for Activities {
    fn from_iter<I: IntoIterator<Item = Activity>>(activities: I) -> Self {
        let mut counts = BTreeMap::new();
        activities.into_iter().for_each(|activity| *counts.entry(activity).or_default() += 1);
        Self(counts)
    }
}

/// On one line, the furthest first; with counts only where they are not all equally far.
impl fmt::Display for Activities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = self.0.iter().rev().collect();
        if let [(activity, _)] = counts.as_slice() {
            return write!(f, "{activity}");
        }
        let counts: Vec<_> = counts.iter().map(|(activity, count)| format!("{count} {activity}")).collect();
        f.write_str(&counts.join(", "))
    }
}

impl Counters {
    /// What was counted, in words that begin with how far it went and go on with what stood in the way. Exits that
    /// went unseen are a [warning](Self::warning) of their own.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Self { hits, matches, injections, .. } = *self;
        let reached = match (hits, matches, injections) {
            (0, 0, 0) => "the function that fails was never reached".to_owned(),
            (_, 0, 0) => format!("reached {}, never matched", times(hits)),
            (_, _, 0) => format!("reached {}, matched {}, never injected", times(hits), times(matches)),
            _ => {
                format!("reached {}, matched {}, injected {}", times(hits), times(matches), times(injections))
            }
        };
        let obstacles = self.obstacles();
        if obstacles.is_empty() { reached } else { format!("{reached}: {}", obstacles.join(", ")) }
    }

    /// What is wrong with what was counted, though nothing wrong was injected; `None`: nothing.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        (self.missed_returns > 0).then(|| {
            let often = times(self.missed_returns);
            format!("missed returns: what was matched was dropped {often}, because exits went unseen")
        })
    }

    /// What kept calls from being injected into. Calls of frames are turned down by predicates too, so these counts
    /// are no shares of the hits.
    fn obstacles(&self) -> Vec<String> {
        let Self { rejected, unread, shadowed, sampled_out, exhausted, expired, guarded, contended, .. } =
            *self;
        let unmatched = if self.matches == 0 { self.unexplained() } else { 0 };
        let obstacles = [
            (rejected, format!("a predicate turned {rejected} down")),
            (unread, format!("a predicate could not read what it asks for in {unread}")),
            (unmatched, format!("{unmatched} outside the call chain")),
            (shadowed, format!("{shadowed} answered by another probe")),
            (guarded, format!("{guarded} refused{}", self.why_guarded())),
            (expired, format!("{expired} after the deadline")),
            (sampled_out, format!("sampling let {sampled_out} pass")),
            (exhausted, format!("{exhausted} after the budget was used up")),
            (contended, format!("{contended} dropped because too many CPUs drew at once")),
        ];
        obstacles.into_iter().filter(|(count, _)| *count > 0).map(|(_, words)| words).collect()
    }

    /// By reason, where the agent says; in brackets.
    fn why_guarded(&self) -> String {
        let reasons = self.guarded_by.by_reason().into_iter().filter(|(_, count)| *count > 0);
        let reasons: Vec<_> = reasons.map(|(reason, count)| format!("{count} {}", reason.as_str())).collect();
        if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) }
    }

    /// Hits for which no counter says why they did not match; with predicates on frames there may be more.
    const fn unexplained(&self) -> u64 {
        let Self { hits, matches, rejected, unread, shadowed, expired, guarded, .. } = *self;
        hits.saturating_sub(matches)
            .saturating_sub(shadowed)
            .saturating_sub(rejected)
            .saturating_sub(unread)
            .saturating_sub(expired)
            .saturating_sub(guarded)
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            hits: self.hits.saturating_add(other.hits),
            matches: self.matches.saturating_add(other.matches),
            rejected: self.rejected.saturating_add(other.rejected),
            unread: self.unread.saturating_add(other.unread),
            sampled_out: self.sampled_out.saturating_add(other.sampled_out),
            exhausted: self.exhausted.saturating_add(other.exhausted),
            expired: self.expired.saturating_add(other.expired),
            guarded: self.guarded.saturating_add(other.guarded),
            guarded_by: self.guarded_by.plus(other.guarded_by),
            missed_returns: self.missed_returns.saturating_add(other.missed_returns),
            shadowed: self.shadowed.saturating_add(other.shadowed),
            contended: self.contended.saturating_add(other.contended),
            injections: self.injections.saturating_add(other.injections),
        }
    }
}

fn times(count: u64) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

#[cfg(test)]
mod tests;
