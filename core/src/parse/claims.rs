//! Who keeps an experiment that is declared more than once.

use faultline_api::{ExperimentId, Place, Reason};

use super::types::{Declared, Freshness, Parsed, RefusedDocument};
use crate::ledger::Ledger;

/// Gives `id` to one of the places that declare it, and refuses the others.
pub(super) fn settle(id: &ExperimentId, mut candidates: Vec<Declared>, ledger: &Ledger, parsed: &mut Parsed) {
    let incumbent = ledger.newest(id).filter(|(_, run)| !run.absent).map(|(_, run)| &run.place);
    candidates.sort_by_cached_key(|candidate| distance(&candidate.place, incumbent));
    if let Some(unread) = incumbent.filter(|place| may_still_be_there(id, place, &candidates, parsed)) {
        for candidate in candidates {
            let message = format!("{unread} declares it too, came first, and cannot be read now");
            parsed.refused.push(refusal(id, candidate.place, message));
        }
        return;
    }
    let mut candidates = candidates.into_iter();
    let Some(holder) = candidates.next() else { return };
    for newcomer in candidates {
        let message = format!("{} declares it too, and came first", holder.place);
        parsed.refused.push(refusal(id, newcomer.place, message));
    }
    parsed.experiments.insert(id.clone(), holder);
}

/// Nearest to where it was last read first; without a memory, in the order of the places.
fn distance(place: &Place, incumbent: Option<&Place>) -> (bool, bool, bool, Place) {
    let other = |differs: &dyn Fn(&Place) -> bool| incumbent.is_some_and(differs);
    (
        other(&|known| known.source != place.source),
        other(&|known| known.path != place.path),
        other(&|known| known.line != place.line),
        place.clone(),
    )
}

/// Whether the place that has the experiment is unreadable, so that nobody else may take it.
fn may_still_be_there(id: &ExperimentId, place: &Place, candidates: &[Declared], parsed: &Parsed) -> bool {
    let same_file =
        |other: &Declared| (&other.place.source, &other.place.path) == (&place.source, &place.path);
    let source = parsed.sources.get(&place.source);
    !candidates.iter().any(same_file)
        && (source.is_some_and(|source| source.freshness == Freshness::Missing)
            || parsed
                .broken
                .iter()
                .any(|broken| broken.place.source == place.source && broken.may_be(id, place)))
}

fn refusal(id: &ExperimentId, place: Place, message: String) -> RefusedDocument {
    RefusedDocument { place, subject: id.to_string(), reason: Reason::Duplicate, message }
}
