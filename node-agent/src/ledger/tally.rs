//! What a probe counted.

use faultline_core::{refusal::Guarded, report};
use serde::{Deserialize, Serialize};

use crate::kernel;

/// Counts of one probe, summed over CPUs, taken after the scope test.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Entries to the target function.
    pub hits: u64,
    /// Of those, with the whole call chain on the stack and the target's own predicate held.
    pub matches: u64,
    /// Entries, of frames and of the target, that a predicate turned down.
    pub rejected: u64,
    /// Entries turned down because what a predicate asks for could not be read.
    pub unread: u64,
    /// Matches that sampling let pass.
    pub sampled_out: u64,
    /// Matches after the budget was used up.
    pub exhausted: u64,
    /// Hits after the lease or the end.
    pub expired: u64,
    /// Hits that are never injected.
    pub guarded: u64,
    /// The same by reason, as far as it was told apart: earlier agents did not.
    pub guarded_by: Guarded,
    /// Times that what the chain had matched was dropped, because the exit of an activation went unseen.
    pub missed_returns: u64,
    /// Hits that another probe had already answered.
    pub shadowed: u64,
    /// Matches dropped because too many CPUs drew tickets at once.
    pub contended: u64,
    /// Injections.
    pub injections: u64,
}

impl Tally {
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

impl From<kernel::Counters> for Tally {
    fn from(counters: kernel::Counters) -> Self {
        let kernel::Counters {
            hits,
            matches,
            rejected,
            unread,
            sampled_out,
            exhausted,
            expired,
            missed_returns,
            shadowed,
            contended,
            guarded,
            injections,
        } = counters;
        let guarded_by = by_reason(guarded);
        Self {
            hits,
            matches,
            rejected,
            unread,
            sampled_out,
            exhausted,
            expired,
            guarded: guarded_by.total(),
            guarded_by,
            missed_returns,
            shadowed,
            contended,
            injections,
        }
    }
}

fn by_reason(guarded: kernel::Guarded) -> Guarded {
    let kernel::Guarded { nofail, exiting, reclaim, oom, protected, own, oom_killer, starting } = guarded;
    Guarded { nofail, exiting, reclaim, oom, oom_killer, protected, own, starting }
}

impl From<Tally> for report::Counters {
    fn from(tally: Tally) -> Self {
        let Tally {
            hits,
            matches,
            rejected,
            unread,
            sampled_out,
            exhausted,
            expired,
            guarded,
            guarded_by,
            missed_returns,
            shadowed,
            contended,
            injections,
        } = tally;
        Self {
            hits,
            matches,
            rejected,
            unread,
            sampled_out,
            exhausted,
            expired,
            guarded,
            guarded_by,
            missed_returns,
            shadowed,
            contended,
            injections,
        }
    }
}
