//! Stage 6: what the guardrails say once targets are known, one run after the other.

use jiff::Timestamp;

use crate::{
    defaults::Defaults,
    due::WhyNot,
    judge::Judged,
    review::Evaluator,
    select::{Selected, SelectedRun},
};

/// The runs that are left.
#[derive(Debug)]
pub struct Admitted<'a> {
    /// What was judged.
    pub judged: &'a Judged<'a>,
    /// Ordered by key.
    pub runs: Vec<SelectedRun<'a>>,
    /// As in [`Selected`], with the newcomers that were not admitted.
    pub why_nots: Vec<WhyNot>,
}

/// Asks about the running first, by start, then the others, by instant and name. Each admission is active for the
/// next question, so that no newcomer evicts a runner.
#[must_use]
pub fn admit<'a>(
    selected: Selected<'a>,
    evaluator: &dyn Evaluator,
    defaults: &Defaults,
    now: Timestamp,
) -> Admitted<'a> {
    let _ = (selected, evaluator, defaults, now);
    todo!("lands next")
}
