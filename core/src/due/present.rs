//! Experiments that a tree declares.

use std::sync::Arc;

use faultline_api::{Reason, RunState};
use jiff::Timestamp;

use super::{
    Candidate, Due, Step, WhyNot,
    edit::{asks_for_rerun, is_edit, selects_anew},
};
use crate::{
    defaults::Defaults,
    effective::lifetime,
    judge::{Judgement, Outcome},
    ledger::{Ledger, Run, RunKey},
    parse::{Declared, Freshness, Parsed},
};

impl<'a> Due<'a> {
    /// A declared experiment with its newest run, if there ever was one.
    pub(super) fn present(
        &mut self,
        declared: &'a Declared,
        newest: Option<(&RunKey, &Run)>,
        ledger: &Ledger,
        defaults: &Defaults,
        now: Timestamp,
    ) {
        let Some(judgement) = self.judged.judgements.get(&declared.experiment.id) else { return };
        let obstacle = obstacle(declared, judgement, self.judged.parsed);
        match newest {
            Some((key, run)) if stays_newest(run, declared, obstacle.is_none()) => {
                let (step, run) = if run.state.is_over() {
                    (Step::Over, run.clone())
                } else {
                    go_on(declared, run, judgement, obstacle, defaults, now)
                };
                self.runs.push(candidate(key, step, run, declared, judgement));
            }
            newest => {
                self.runs.extend(newest.and_then(|(key, run)| supersede(key, run, now)));
                self.begin(declared, newest, judgement, obstacle, ledger, now);
            }
        }
    }

    fn begin(
        &mut self,
        declared: &'a Declared,
        newest: Option<(&RunKey, &Run)>,
        judgement: &Judgement,
        obstacle: Option<(Reason, String)>,
        ledger: &Ledger,
        now: Timestamp,
    ) {
        let id = &declared.experiment.id;
        if let Some((reason, message)) = obstacle {
            let place = Some(declared.place.to_string());
            self.why_nots.push(WhyNot { subject: id.to_string(), place, reason: Some(reason), message });
            return;
        }
        let mut run = Run::new(Arc::clone(&declared.experiment), declared.place.clone(), now);
        run.rerun = run.rerun.or_else(|| newest.and_then(|(_, previous)| previous.rerun.clone()));
        tighten(&mut run, judgement);
        self.runs.push(candidate(&ledger.next_run(id), Step::Begin, run, declared, judgement));
    }
}

/// Whether no other run follows this one. A live run gives way only to one that may begin.
fn stays_newest(run: &Run, declared: &Declared, may_begin: bool) -> bool {
    let rerun = asks_for_rerun(run, &declared.experiment);
    if run.state.is_over() {
        !(rerun || run.absent || is_edit(run, &declared.experiment))
    } else {
        !(rerun && may_begin)
    }
}

/// What keeps an experiment from being attached, whatever its targets.
fn obstacle(declared: &Declared, judgement: &Judgement, parsed: &Parsed) -> Option<(Reason, String)> {
    let source = &declared.place.source;
    let expired = parsed.sources.get(source).is_some_and(|state| state.freshness == Freshness::Expired);
    match &judgement.outcome {
        Outcome::Deny(why) => Some((Reason::Denied, why.clone())),
        _ if expired => {
            Some((Reason::SourceStale, format!("source {source} could not be read for too long")))
        }
        Outcome::Undecided(why) => Some((Reason::Undecided, why.clone())),
        Outcome::Admit(_) => None,
    }
}

/// A run that is not over and not superseded. Its clock runs on, whatever holds it.
fn go_on(
    declared: &Declared,
    run: &Run,
    judgement: &Judgement,
    obstacle: Option<(Reason, String)>,
    defaults: &Defaults,
    now: Timestamp,
) -> (Step, Run) {
    let mut next = run.clone();
    let edited = is_edit(run, &declared.experiment);
    if selects_anew(&run.declared, &declared.experiment) {
        next.open = 0;
    }
    next.declared = Arc::clone(&declared.experiment);
    next.place = declared.place.clone();
    tighten(&mut next, judgement);
    if complete(&mut next, defaults, now) {
        return (Step::End, next);
    }
    match obstacle {
        Some((Reason::Denied, why)) => {
            next.end(RunState::Stopped, Reason::Denied, why, now);
            (Step::End, next)
        }
        // Only a rerun lifts this, whatever else comes and goes.
        _ if run.is_unconfirmed() => (Step::Hold, next),
        Some((reason, why)) => {
            next.set(RunState::Held, reason, why);
            (Step::Hold, next)
        }
        None => (resume(&mut next, edited), next),
    }
}

/// Makes a run that may be attached Pending or Running.
fn resume(run: &mut Run, edited: bool) -> Step {
    let was_held = run.state == RunState::Held;
    if was_held {
        let (state, reason) = match run.started {
            Some(_) => (RunState::Running, Reason::Attached),
            None => (RunState::Pending, Reason::AwaitingAttach),
        };
        run.set(state, reason, "");
    }
    match (was_held, edited) {
        (true, _) => Step::Resume,
        (false, true) => Step::Edit,
        (false, false) => Step::GoOn,
    }
}

/// Ends `run` where its time is over.
pub(crate) fn complete(run: &mut Run, defaults: &Defaults, now: Timestamp) -> bool {
    let lifetime = lifetime(&run.declared, &run.tightened, defaults);
    let over = lifetime.is_over(run.started, now);
    if let (true, Some(started), Some(duration)) = (over, run.started, lifetime.duration()) {
        let end = lifetime.end(started).unwrap_or(now);
        run.end(RunState::Completed, Reason::DurationElapsed, format!("its {duration} are over"), end);
    }
    over
}

/// Ends a live run in favour of the one that `rerun` asks for.
fn supersede<'a>(key: &RunKey, run: &Run, now: Timestamp) -> Option<Candidate<'a>> {
    if run.state.is_over() {
        return None;
    }
    let mut run = run.clone();
    run.end(
        RunState::Stopped,
        Reason::Superseded,
        "a new value of faultline.dev/rerun started another run",
        now,
    );
    Some(Candidate { key: key.clone(), step: Step::End, run, declared: None, verdicts: Vec::new() })
}

fn tighten(run: &mut Run, judgement: &Judgement) {
    if let Outcome::Admit(limit) = &judgement.outcome {
        run.tightened = run.tightened.meet(limit);
    }
}

fn candidate<'a>(
    key: &RunKey,
    step: Step,
    run: Run,
    declared: &'a Declared,
    judgement: &Judgement,
) -> Candidate<'a> {
    let verdicts = judgement.verdicts.clone();
    Candidate { key: key.clone(), step, run, declared: Some(declared), verdicts }
}
