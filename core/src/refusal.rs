//! Why calls in scope were not injected into.

use serde::{Deserialize, Serialize};

use crate::report::Counters;

/// What the gate refused because it is never injected, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Guarded {
    /// The allocation carries `__GFP_NOFAIL`.
    pub nofail: u64,
    /// The task was exiting.
    pub exiting: u64,
    /// The task was reclaiming memory.
    pub reclaim: u64,
    /// The OOM killer had chosen the process.
    pub oom: u64,
    /// The task was running the OOM killer.
    pub oom_killer: u64,
    /// A kernel thread, pid 1, the agent, or another process that is spared.
    pub protected: u64,
    /// An allocation that our own programs made.
    pub own: u64,
    /// The container was within its grace.
    pub starting: u64,
}

impl Guarded {
    /// Each reason with its count.
    #[must_use]
    pub const fn by_reason(self) -> [(Refusal, u64); 8] {
        let Self { nofail, exiting, reclaim, oom, oom_killer, protected, own, starting } = self;
        [
            (Refusal::Starting, starting),
            (Refusal::NoFail, nofail),
            (Refusal::Protected, protected),
            (Refusal::Exiting, exiting),
            (Refusal::Reclaim, reclaim),
            (Refusal::Oom, oom),
            (Refusal::OomKiller, oom_killer),
            (Refusal::Own, own),
        ]
    }

    /// All together.
    #[must_use]
    pub fn total(self) -> u64 {
        self.by_reason().into_iter().fold(0, |sum, (_, count)| sum.saturating_add(count))
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            nofail: self.nofail.saturating_add(other.nofail),
            exiting: self.exiting.saturating_add(other.exiting),
            reclaim: self.reclaim.saturating_add(other.reclaim),
            oom: self.oom.saturating_add(other.oom),
            oom_killer: self.oom_killer.saturating_add(other.oom_killer),
            protected: self.protected.saturating_add(other.protected),
            own: self.own.saturating_add(other.own),
            starting: self.starting.saturating_add(other.starting),
        }
    }
}

/// Why a call was not injected into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// A predicate did not hold.
    Predicate,
    /// A predicate could not be evaluated.
    Unread,
    /// What was matched was dropped.
    MissedReturn,
    /// Another probe had answered.
    Shadowed,
    /// The container was within its grace.
    Starting,
    /// It may not fail.
    #[serde(rename = "nofail")]
    NoFail,
    /// The process is spared.
    Protected,
    /// The task was exiting.
    Exiting,
    /// The task was reclaiming memory.
    Reclaim,
    /// The OOM killer had chosen the process.
    Oom,
    /// The task was running the OOM killer.
    OomKiller,
    /// Our own programs made it.
    Own,
    /// It is never injected, and the agent does not say which of these it was.
    Guarded,
    /// The lease or the run was over.
    Expired,
    /// The probability let it pass.
    SampledOut,
    /// `times` was used up.
    Exhausted,
    /// Too many CPUs drew at once.
    Contended,
}

impl Refusal {
    /// As metrics, JSON and the terminal spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Predicate => "predicate",
            Self::Unread => "unread",
            Self::MissedReturn => "missed_return",
            Self::Shadowed => "shadowed",
            Self::Starting => "starting",
            Self::NoFail => "nofail",
            Self::Protected => "protected",
            Self::Exiting => "exiting",
            Self::Reclaim => "reclaim",
            Self::Oom => "oom",
            Self::OomKiller => "oom_killer",
            Self::Own => "own",
            Self::Guarded => "guarded",
            Self::Expired => "expired",
            Self::SampledOut => "sampled_out",
            Self::Exhausted => "exhausted",
            Self::Contended => "contended",
        }
    }

    /// What it means, on one line.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Predicate => "a predicate did not hold, of a frame or of the function that fails",
            Self::Unread => "what a predicate asks for could not be read",
            Self::MissedReturn => "an exit went unseen, so the stack did not prove the call chain",
            Self::Shadowed => "another probe had answered the call already",
            Self::Starting => "the container had only just started and was within its grace",
            Self::NoFail => "the allocation must not fail (__GFP_NOFAIL)",
            Self::Protected => "a kernel thread, or a process that is never injected",
            Self::Exiting => "the task was exiting",
            Self::Reclaim => "the task was reclaiming memory",
            Self::Oom => "the OOM killer had chosen the process",
            Self::OomKiller => "the task was running the OOM killer",
            Self::Own => "the engine's own programs made the allocation",
            Self::Guarded => "it is never injected; the agent does not say why",
            Self::Expired => "the lease or the run was over",
            Self::SampledOut => "the probability let it pass",
            Self::Exhausted => "`times` was used up",
            Self::Contended => "too many CPUs drew from the budget at once",
        }
    }
}

impl Counters {
    /// Every reason for which calls were not injected into, with how many. Calls of frames are turned down by predicates
    /// too, so these are no shares of the hits. Agents that know no reasons give one count for all that is guarded.
    #[must_use]
    pub fn refusals(&self) -> Vec<(Refusal, u64)> {
        let Self { rejected, unread, missed_returns, shadowed, guarded, guarded_by, .. } = *self;
        let before = [
            (Refusal::Predicate, rejected),
            (Refusal::Unread, unread),
            (Refusal::MissedReturn, missed_returns),
        ];
        let after = [
            (Refusal::Guarded, guarded.saturating_sub(guarded_by.total())),
            (Refusal::Expired, self.expired),
            (Refusal::SampledOut, self.sampled_out),
            (Refusal::Exhausted, self.exhausted),
            (Refusal::Contended, self.contended),
        ];
        let all = before.into_iter().chain([(Refusal::Shadowed, shadowed)]).chain(guarded_by.by_reason());
        all.chain(after).filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_is_used_for_programs_and_people() {
        for (refusal, _) in Guarded::default().by_reason() {
            assert_eq!(serde_json::to_value(refusal).unwrap(), refusal.as_str());
        }
        for refusal in [Refusal::MissedReturn, Refusal::SampledOut, Refusal::Guarded] {
            assert_eq!(serde_json::to_value(refusal).unwrap(), refusal.as_str());
        }
    }

    #[test]
    fn what_an_agent_gives_no_reason_for_is_told_as_such() {
        let guarded_by = Guarded { nofail: 2, starting: 1, ..Guarded::default() };
        let counters = Counters { hits: 9, guarded: 5, guarded_by, sampled_out: 4, ..Counters::default() };
        assert_eq!(
            counters.refusals(),
            [(Refusal::Starting, 1), (Refusal::NoFail, 2), (Refusal::Guarded, 2), (Refusal::SampledOut, 4)]
        );
        assert_eq!(Counters::default().refusals(), []);
    }

    #[test]
    fn reasons_are_added_one_by_one() {
        let one = Guarded {
            nofail: 1,
            exiting: 2,
            reclaim: 3,
            oom: 4,
            oom_killer: 5,
            protected: 6,
            own: 7,
            starting: u64::MAX,
        };
        let two = one.plus(one);
        assert_eq!((two.nofail, two.exiting, two.reclaim, two.oom), (2, 4, 6, 8));
        assert_eq!((two.oom_killer, two.protected, two.own, two.starting), (10, 12, 14, u64::MAX));
        assert_eq!((one.total(), two.total()), (u64::MAX, u64::MAX));
    }
}
