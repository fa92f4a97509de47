//! Stage 6: what the guardrails say once targets are known, one run after the other.

use std::{collections::BTreeSet, mem};

use faultline_api::{Reason, RunState, Tightening};
use jiff::Timestamp;

use crate::{
    defaults::Defaults,
    due::{Candidate, Step, WhyNot, complete},
    effective::Effective,
    judge::{Asked, Guard, Judged, Outcome, Subject, is_asked, prepare, review},
    ledger::Run,
    parse::Declared,
    review::{Active, Admission, Evaluator, Moment, Operation, SelectedTarget},
    select::{Selected, SelectedRun, Selection},
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
    /// As in [`Selected`].
    pub observed_at: Option<Timestamp>,
}

/// Asks about the running first, by start, then the others, by instant and name. Each admission is active for
/// the next question, so that no newcomer evicts a runner.
#[must_use]
pub fn admit<'a>(
    selected: Selected<'a>,
    evaluator: &dyn Evaluator,
    defaults: &Defaults,
    now: Timestamp,
) -> Admitted<'a> {
    let Selected { judged, mut runs, mut why_nots, observed_at } = selected;
    let mut guardrails = prepare(&judged.parsed.guardrails, evaluator);
    guardrails.retain(|asked| asked.speaks_at(Moment::Admit));
    let mut court = Court { guardrails, evaluator, defaults, now, active: Vec::new() };
    runs.sort_by(|a, b| order(a).cmp(&order(b)));
    runs.retain_mut(|run| match court.hear(run) {
        Ok(()) => true,
        Err(why_not) => {
            why_nots.push(why_not);
            false
        }
    });
    runs.sort_by(|a, b| a.candidate.key.cmp(&b.candidate.key));
    Admitted { judged, runs, why_nots, observed_at }
}

/// Runs that started come first.
fn order<'r>(run: &'r SelectedRun<'_>) -> (bool, Timestamp, &'r crate::ledger::RunKey) {
    let candidate = &run.candidate;
    (candidate.run.started.is_none(), candidate.run.started.unwrap_or(candidate.run.created), &candidate.key)
}

/// The fold's state: what was admitted so far.
struct Court<'c> {
    /// Those that have something to say now.
    guardrails: Vec<Asked<'c>>,
    evaluator: &'c dyn Evaluator,
    defaults: &'c Defaults,
    now: Timestamp,
    /// Lent to each question and taken back: it grows with every admission, and copies of it would grow with their
    /// square.
    active: Vec<Active>,
}

impl Court<'_> {
    /// Decides on one run. A newcomer that may not run never began: it comes back as the reason why not.
    fn hear(&mut self, run: &mut SelectedRun<'_>) -> Result<(), WhyNot> {
        let SelectedRun { candidate, selection: Some(selection) } = &mut *run else { return Ok(()) };
        let Some(declared) = candidate.declared else { return Ok(()) };
        if selection.targets.is_empty() {
            return Ok(());
        }
        let outcome = self.ask(declared, candidate, selection);
        self.apply(run, outcome)?;
        if let (true, Some(selection)) = (run.candidate.run.wants_probes(), &run.selection)
            && !self.guardrails.is_empty()
        {
            self.active.push(active(run, selection));
        }
        Ok(())
    }

    fn ask(&mut self, declared: &Declared, candidate: &mut Candidate<'_>, selection: &Selection) -> Outcome {
        let namespaces = selection.targets.iter().map(|target| target.target.namespace.as_str()).collect();
        let subject =
            Subject { namespaces, fault: declared.experiment.fault, source: &declared.place.source };
        if !self.guardrails.iter().any(|asked| is_asked(asked.bound, &subject)) {
            return Outcome::Admit(Tightening::default());
        }
        let run = &candidate.run;
        let values = Effective::of(&declared.experiment, &run.tightened, self.defaults, run.started);
        let admission = self.admission(selection);
        let mut review = review(declared, operation(candidate.step));
        review.admission = Some(admission);
        let mut evaluate = |guard: &Guard<'_>| guard.evaluate(self.evaluator, &review);
        let asked = self.guardrails.iter().filter(|asked| is_asked(asked.bound, &subject));
        let verdicts: Vec<_> =
            asked.filter_map(|asked| asked.ask(Moment::Admit, &values, &mut evaluate)).collect();
        self.active = review.admission.map_or_else(Vec::new, |admission| admission.active);
        let outcome = Outcome::of(&verdicts);
        candidate.verdicts.extend(verdicts);
        outcome
    }

    /// What is known now, with what is active on loan.
    fn admission(&mut self, selection: &Selection) -> Admission {
        let targets = selection.targets.iter().map(|target| SelectedTarget {
            node: target.node.clone(),
            target: target.target.clone(),
            labels: target.labels.clone(),
        });
        Admission {
            now: self.now,
            environment: self.defaults.environment.clone(),
            targets: targets.collect(),
            eligible: selection.eligible,
            active: mem::take(&mut self.active),
        }
    }

    fn apply(&self, run: &mut SelectedRun<'_>, outcome: Outcome) -> Result<(), WhyNot> {
        let begins = run.candidate.step == Step::Begin;
        match outcome {
            Outcome::Admit(limit) => self.tighten(run, &limit),
            Outcome::Deny(why) if begins => Err(why_not(run, Reason::Denied, why)),
            Outcome::Undecided(why) if begins => Err(why_not(run, Reason::Undecided, why)),
            Outcome::Deny(why) => {
                run.candidate.run.end(RunState::Stopped, Reason::Denied, why, self.now);
                detach(run, Step::End);
                Ok(())
            }
            Outcome::Undecided(why) => {
                run.candidate.run.set(RunState::Held, Reason::Undecided, why);
                detach(run, Step::Hold);
                Ok(())
            }
        }
    }

    /// Meets the limits with those that the run has, and takes away the targets that they forbid.
    fn tighten(&self, run: &mut SelectedRun<'_>, limit: &Tightening) -> Result<(), WhyNot> {
        let record = &mut run.candidate.run;
        record.tightened = record.tightened.meet(limit);
        let left = keep_allowed(record);
        if let Some(selection) = &mut run.selection {
            selection.targets.retain(|target| left.contains(&target.target.uid));
        }
        if run.candidate.step == Step::Begin && left.is_empty() {
            return Err(why_not(run, Reason::NoTargets, "the guardrails leave it no target".to_owned()));
        }
        if complete(&mut run.candidate.run, self.defaults, self.now) {
            detach(run, Step::End);
        }
        Ok(())
    }
}

/// What happens to a run that takes this step and has targets.
const fn operation(step: Step) -> Operation {
    match step {
        Step::Begin => Operation::Create,
        Step::Edit => Operation::Update,
        Step::GoOn | Step::Resume | Step::Hold | Step::End | Step::Over => Operation::Renew,
    }
}

/// Empties the slots that the limits close or whose pods they drop; returns the pods that stay.
fn keep_allowed(run: &mut Run) -> BTreeSet<String> {
    let usable = run.usable_slots();
    for (index, slot) in run.slots.iter_mut().enumerate() {
        if index >= usable || slot.pod.as_ref().is_some_and(|uid| run.tightened.drop.contains(uid)) {
            slot.release(index < usable);
        }
    }
    run.slots.iter().filter_map(|slot| slot.pod.clone()).collect()
}

/// A run that is not attached has no selection. Its slots keep their pods: it may resume.
fn detach(run: &mut SelectedRun<'_>, step: Step) {
    run.candidate.step = step;
    run.selection = None;
}

fn active(run: &SelectedRun<'_>, selection: &Selection) -> Active {
    let targets = selection
        .targets
        .iter()
        .map(|target| (target.node.clone(), target.target.namespace.clone(), target.target.uid.clone()));
    let targets: BTreeSet<_> = targets.collect();
    Active { run: run.candidate.key.clone(), targets: targets.into_iter().collect() }
}

fn why_not(run: &SelectedRun<'_>, reason: Reason, message: String) -> WhyNot {
    WhyNot {
        subject: run.candidate.key.experiment.to_string(),
        place: Some(run.candidate.run.place.to_string()),
        reason: Some(reason),
        message,
    }
}
