//! Stage 6: what the guardrails say once targets are known, one run after the other.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use faultline_api::{ExperimentId, Reason, RunState, Tightening};
use jiff::Timestamp;

use crate::{
    defaults::Defaults,
    due::{Candidate, Step, WhyNot, complete},
    effective::Effective,
    inventory::Inventory,
    judge::{
        Asked, Concern, Guard, Hearing, Judged, Labelled, Outcome, Subject, Targets, Verdict, VerdictCache,
        concern, prepare, review,
    },
    ledger::Run,
    parse::Declared,
    review::{Active, Admission, Evaluator, Hit, Moment, Operation, Review, SelectedTarget},
    select::{Index, Selected, SelectedRun, Selection, SlotTarget},
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
    /// What was said of those newcomers.
    pub refused: BTreeMap<ExperimentId, Vec<Verdict>>,
    /// When the inventory was observed; `None`: there is none, and nothing was selected.
    pub observed_at: Option<Timestamp>,
}

/// Asks about the running first, by start, then the others, by instant and name. Each admission is active for
/// the next question, so that no newcomer evicts a runner. `cache` is the one that documents were judged with: this is
/// where its pass ends.
#[must_use]
pub fn admit<'a>(
    selected: Selected<'a>,
    evaluator: &dyn Evaluator,
    cache: &mut VerdictCache,
    defaults: &Defaults,
    now: Timestamp,
) -> Admitted<'a> {
    let Selected { judged, mut runs, mut why_nots, inventory } = selected;
    let mut guardrails = prepare(&judged.parsed.guardrails, evaluator);
    guardrails.retain(|asked| asked.speaks_at(Moment::Admit) || asked.needs_targets());
    // Only criteria about labels look at them.
    let namespaces = inventory.filter(|_| guardrails.iter().any(Asked::needs_targets));
    let namespaces = namespaces.map(Inventory::labels_of_namespaces).unwrap_or_default();
    let index = inventory.filter(|_| !guardrails.is_empty()).map(Index::new);
    let (hit, active) = (Hit::default(), Vec::new());
    let mut court = Court { guardrails, namespaces, index, evaluator, cache, defaults, now, hit, active };
    runs.sort_by(|a, b| order(a).cmp(&order(b)));
    let mut refused = BTreeMap::new();
    runs.retain_mut(|run| match court.hear(run) {
        Ok(()) => true,
        Err(why_not) => {
            why_nots.push(why_not);
            let id = run.candidate.key.experiment.clone();
            refused.insert(id, mem::take(&mut run.candidate.verdicts));
            false
        }
    });
    runs.sort_by(|a, b| a.candidate.key.cmp(&b.candidate.key));
    court.cache.forget_unused();
    Admitted {
        judged,
        runs,
        why_nots,
        refused,
        observed_at: inventory.map(|inventory| inventory.observed_at),
    }
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
    /// Labels of every namespace of the inventory, where a guardrail asks for labels.
    namespaces: BTreeMap<&'c str, BTreeMap<String, String>>,
    /// Says which pods a run could have selected.
    index: Option<Index<'c>>,
    evaluator: &'c dyn Evaluator,
    cache: &'c mut VerdictCache,
    defaults: &'c Defaults,
    now: Timestamp,
    /// Pods and nodes of `active`.
    hit: Hit,
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
            let active = active(run, selection);
            active.targets.iter().for_each(|(node, _, uid)| self.hit.add(node, uid));
            self.active.push(active);
        }
        Ok(())
    }

    fn ask(&mut self, declared: &Declared, candidate: &mut Candidate<'_>, selection: &Selection) -> Outcome {
        let targets = Targets::Are(selection.targets.iter().map(|target| self.labelled(target)).collect());
        let subject = Subject { targets, fault: declared.experiment.fault, source: &declared.place.source };
        let concerned: Vec<_> =
            self.guardrails.iter().filter(|asked| concern(asked.bound, &subject) == Concern::Asked).collect();
        if concerned.is_empty() {
            return Outcome::Admit(Tightening::default());
        }
        let run = &candidate.run;
        let values = Effective::of(&declared.experiment, &run.tightened, self.defaults, run.started);
        let hearing = Hearing { experiment: &declared.experiment.id, values: &values, now: self.now };
        let operation = operation(candidate.step);
        let document = review(declared, operation);
        // Only now is it known that these are meant. They are asked about the document as the others were.
        let mut judge = |guard: &Guard<'_>| {
            self.cache.evaluate(guard, declared, operation, || guard.evaluate(self.evaluator, &document))
        };
        let unselected = Subject::of_document(&declared.experiment, &declared.place.source);
        let late =
            concerned.iter().filter(|asked| concern(asked.bound, &unselected) == Concern::NeedsTargets);
        let mut verdicts: Vec<_> =
            late.filter_map(|asked| asked.ask(Moment::Judge, &hearing, &mut judge)).collect();
        let active = mem::take(&mut self.active);
        let admission = self.admission(&candidate.run, selection, active);
        let review = Review { admission: Some(admission), ..document };
        let mut evaluate = |guard: &Guard<'_>| guard.evaluate(self.evaluator, &review);
        verdicts
            .extend(concerned.iter().filter_map(|asked| asked.ask(Moment::Admit, &hearing, &mut evaluate)));
        self.active = review.admission.map_or_else(Vec::new, |admission| admission.active);
        let outcome = Outcome::of(&verdicts);
        candidate.verdicts.extend(verdicts);
        outcome
    }

    /// What is known now, with what is `active`.
    fn admission(&self, run: &Run, selection: &Selection, active: Vec<Active>) -> Admission {
        let targets = selection.targets.iter().map(|target| SelectedTarget {
            node: target.node.clone(),
            target: target.target.clone(),
            labels: target.labels.clone(),
        });
        let targets: Vec<_> = targets.collect();
        let eligible = self.index.as_ref().map(|index| index.eligible(run, self.defaults));
        let (others, together) = self.hit.reach(&targets, eligible.into_iter().flatten());
        Admission {
            now: self.now,
            environment: self.defaults.environment.clone(),
            targets,
            eligible: selection.eligible,
            others,
            together,
            active,
        }
    }

    fn labelled<'t>(&'t self, target: &'t SlotTarget) -> Labelled<'t> {
        let namespace = target.target.namespace.as_str();
        Labelled { namespace, namespace_labels: self.namespaces.get(namespace), labels: &target.labels }
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
