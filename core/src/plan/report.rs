//! Everything that will not happen, and why.

use faultline_api::{Reason, RunState};

use super::PlannedRun;
use crate::{
    due::{Step, WhyNot},
    ledger::Run,
    parse::{Freshness, Parsed},
    select::{Selection, replacements_allowed},
};

/// Why a run is not attached, or not everywhere that it could be.
pub(super) fn of_run(planned: &PlannedRun, has_inventory: bool) -> Vec<WhyNot> {
    let PlannedRun { key, step, run, selection, .. } = planned;
    let tell = |reason, message: String| WhyNot {
        subject: key.to_string(),
        place: Some(run.place.to_string()),
        reason,
        message,
    };
    match (run.state, selection) {
        (RunState::Completed | RunState::Stopped, _) if run.absent && *step == Step::Over => Vec::new(),
        (RunState::Completed, _) => vec![tell(Some(run.reason), format!("{}; {AGAIN}", run.message))],
        (RunState::Stopped, _) if run.absent => vec![tell(Some(run.reason), run.message.clone())],
        (RunState::Stopped, _) => vec![tell(Some(run.reason), format!("{}; {AGAIN}", run.message))],
        (RunState::Held, _) => vec![tell(Some(run.reason), run.message.clone())],
        (RunState::Pending | RunState::Running, Some(selection)) => {
            empty_slots(run, selection).map(|(reason, why)| tell(Some(reason), why)).into_iter().collect()
        }
        (RunState::Pending | RunState::Running, None) if !has_inventory => {
            vec![tell(None, "not judged: needs selection, and there is no inventory".to_owned())]
        }
        (RunState::Pending | RunState::Running, None) => Vec::new(),
    }
}

/// How a run that is over is followed by another.
const AGAIN: &str = "to run it again, edit it or give faultline.dev/rerun a new value";

fn empty_slots(run: &Run, selection: &Selection) -> Option<(Reason, String)> {
    let empty = run.slots.iter().take(run.usable_slots()).filter(|slot| slot.pod.is_none()).count();
    let (reason, why) = without_target(run, selection);
    (empty > 0).then(|| (reason, format!("{empty} of {} slots have no target: {why}", run.usable_slots())))
}

/// Why a run that has begun has slots without a target.
pub(super) fn without_target(run: &Run, selection: &Selection) -> (Reason, String) {
    let mut usable = run.slots.iter().take(run.usable_slots());
    let vacated = usable.any(|slot| slot.pod.is_none() && slot.vacated);
    selection.without_eligible().unwrap_or_else(|| {
        let spent = vacated && run.replacements >= replacements_allowed(run);
        let why = if spent { "no replacement is left" } else { "no eligible pod is left" };
        (Reason::NoTargets, why.to_owned())
    })
}

/// Documents, files and sources without an effect.
pub(super) fn of_sources(parsed: &Parsed) -> Vec<WhyNot> {
    let sources = parsed.sources.iter().filter(|(_, state)| state.freshness != Freshness::Fresh);
    let sources = sources.map(|(name, state)| WhyNot {
        subject: format!("source {name}"),
        place: None,
        reason: Some(Reason::SourceStale),
        message: match state.freshness {
            Freshness::Missing => {
                "it has not been read since the start: it starts and removes nothing".to_owned()
            }
            Freshness::Expired => "it could not be read for too long: its runs are held".to_owned(),
            Freshness::Fresh | Freshness::Stale => "its last good tree is in force".to_owned(),
        } + &state.error.as_ref().map_or_else(String::new, |error| format!(" ({error})")),
    });
    let broken = parsed.broken.iter().map(|broken| WhyNot {
        subject: broken.experiment.as_ref().map_or_else(|| broken.place.path.clone(), ToString::to_string),
        place: Some(broken.place.to_string()),
        reason: Some(Reason::Invalid),
        message: broken.message.clone(),
    });
    let refused = parsed.refused.iter().map(|refused| WhyNot {
        subject: refused.subject.clone(),
        place: Some(refused.place.to_string()),
        reason: Some(refused.reason),
        message: refused.message.clone(),
    });
    sources.chain(broken).chain(refused).collect()
}
