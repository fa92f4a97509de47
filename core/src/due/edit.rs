//! What counts as an edit.

use faultline_api::Experiment;

use crate::ledger::Run;

/// Whether the new text asks for something else. Labels and annotations do not: they name and steer a run, and
/// rewriting an owner must not start a finished one again.
pub(super) fn is_edit(run: &Run, new: &Experiment) -> bool {
    let old = &run.declared;
    selects_anew(old, new)
        || old.container_names != new.container_names
        || old.duration != new.duration
        || old.probability != new.probability
        || old.times != new.times
}

/// Whether targets are to be selected again, with what is left of the run.
pub(super) fn selects_anew(old: &Experiment, new: &Experiment) -> bool {
    old.selector != new.selector
        || old.mode != new.mode
        || old.fault != new.fault
        || old.call_chain != new.call_chain
}

/// Whether `faultline.dev/rerun` has a value that the run was not started with. Taking the annotation away
/// asks for nothing.
pub(super) fn asks_for_rerun(run: &Run, new: &Experiment) -> bool {
    new.annotations.rerun.is_some() && new.annotations.rerun != run.rerun
}
