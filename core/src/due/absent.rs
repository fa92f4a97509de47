//! Runs whose experiment no tree declares, or none that can be read.

use faultline_api::{Reason, RunState};
use jiff::Timestamp;

use super::{Candidate, Step, present::complete};
use crate::{
    defaults::Defaults,
    ledger::{Run, RunKey},
    parse::{Freshness, Parsed},
};

/// What becomes of a run without a readable document; `None`: nothing changes.
pub(super) fn decide<'a>(
    key: &RunKey,
    run: &Run,
    parsed: &Parsed,
    defaults: &Defaults,
    now: Timestamp,
) -> Option<Candidate<'a>> {
    let mut next = run.clone();
    let unknown = unknown(key, run, parsed);
    next.absent = unknown.is_none();
    if run.state.is_over() {
        let changed = next.absent && !run.absent;
        return changed.then(|| candidate(key, Step::Over, next));
    }
    if complete(&mut next, defaults, now) {
        return Some(candidate(key, Step::End, next));
    }
    let Some((reason, why)) = unknown else {
        next.end(RunState::Stopped, Reason::Removed, "its document left the tree", now);
        return Some(candidate(key, Step::End, next));
    };
    if !next.is_unconfirmed() {
        next.set(RunState::Held, reason, why);
    }
    Some(candidate(key, Step::Hold, next))
}

/// Why it cannot be said that the document left the tree.
fn unknown(key: &RunKey, run: &Run, parsed: &Parsed) -> Option<(Reason, String)> {
    if let Some(broken) = parsed.broken.iter().find(|broken| broken.may_be(&key.experiment, &run.place)) {
        return Some((Reason::Invalid, format!("{}: {}", broken.place, broken.message)));
    }
    let source = parsed.sources.get(&run.place.source)?;
    let why = source.error.as_deref().unwrap_or("it was not read");
    (source.freshness == Freshness::Missing).then(|| {
        (Reason::SourceStale, format!("source {} has not been read since the start: {why}", run.place.source))
    })
}

fn candidate<'a>(key: &RunKey, step: Step, run: Run) -> Candidate<'a> {
    Candidate { key: key.clone(), step, run, declared: None, verdicts: Vec::new() }
}
