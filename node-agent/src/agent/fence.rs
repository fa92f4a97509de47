//! The generation fence.

use faultline_wire::message::{Desired, NackReason};

use crate::ledger::Held;

/// What a desired set is to the one that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// To be held from now on.
    Newer,
    /// The one that is held.
    Same,
    /// Not to be held, and why.
    Refused(NackReason, String),
}

/// Two reconcilers, or a replay, cannot move a node backwards: an older generation is refused, and so is the same
/// one with other content.
pub(super) fn judge(held: Option<&Held>, desired: &Desired) -> Verdict {
    let Some(held) = held else { return Verdict::Newer };
    let (ours, theirs) = (held.set.generation, desired.set.generation);
    if theirs > ours {
        return Verdict::Newer;
    }
    if theirs < ours {
        let detail = format!("generation {theirs} is older than {ours}, which this node accepted");
        return Verdict::Refused(NackReason::Older, detail);
    }
    // The digest is the sender's word; what it stands for is compared as well.
    if held.content == desired.content && held.set.probes == desired.set.probes {
        return Verdict::Same;
    }
    let detail = format!(
        "generation {ours} was accepted with content {} and comes again with {}",
        held.content, desired.content
    );
    Verdict::Refused(NackReason::OtherContent, detail)
}
