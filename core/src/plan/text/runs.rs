//! One run: what will happen, to whom, with which values, and what the guardrails say.

use std::fmt;

use faultline_api::{CallChain, Mode, Predicate, RunState};
use faultline_schedules::Origin;

use super::words;
use crate::{
    due::Step,
    effective::Effective,
    judge::Verdict,
    ledger::Run,
    plan::{Plan, PlannedRun},
    select::{Selection, SlotTarget},
};

/// Everything about one run.
pub(super) fn run(f: &mut fmt::Formatter<'_>, plan: &Plan, planned: &PlannedRun) -> fmt::Result {
    let PlannedRun { key, step, run, effective, selection, verdicts } = planned;
    writeln!(f, "\n{} {key}", verb(*step))?;
    writeln!(f, "  declared    {}", run.place)?;
    if matches!(step, Step::Hold | Step::End) {
        return writeln!(f, "  why         {}: {}", words(run.reason), run.message);
    }
    fault(f, run)?;
    values(f, run, effective)?;
    match selection {
        Some(selection) => targets(f, plan, planned, selection)?,
        None => writeln!(f, "  targets     not selected: {}", mode(run.declared.mode))?,
    }
    guardrails(f, verdicts, selection.is_none())?;
    if run.state == RunState::Pending && !run.message.is_empty() {
        writeln!(f, "  waiting     {}: {}", words(run.reason), run.message)?;
    }
    Ok(())
}

const fn verb(step: Step) -> &'static str {
    match step {
        Step::Begin => "+ begin",
        Step::GoOn => "= go on",
        Step::Edit => "~ change",
        Step::Resume => "+ resume",
        Step::Hold => "- hold",
        Step::End => "- end",
        Step::Over => "  over",
    }
}

fn fault(f: &mut fmt::Formatter<'_>, run: &Run) -> fmt::Result {
    let fault = run.declared.fault;
    let CallChain { frames, target } = &run.declared.call_chain;
    let functions: Vec<&str> = frames.iter().map(|frame| frame.function.as_str()).collect();
    let chain = if functions.is_empty() { "every call".to_owned() } else { functions.join(" > ") };
    writeln!(f, "  fault       {} (failtype {}): {chain}", fault.target_function(), fault.failtype())?;
    let on_the_way = frames.iter().map(|frame| (frame.function.as_str(), frame.predicate.as_ref()));
    for (function, predicate) in on_the_way.chain([(fault.target_function(), target.as_ref())]) {
        if let Some(Predicate { text, parameters: _ }) = predicate {
            // On one line, however it is folded in its document.
            writeln!(f, "    where     {function}: {}", text.replace(char::is_control, " ").trim())?;
        }
    }
    Ok(())
}

/// Each value, and where it differs from what the document says, why.
fn values(f: &mut fmt::Formatter<'_>, run: &Run, effective: &Effective) -> fmt::Result {
    let declared = &run.declared;
    let tightened = |differs: bool, asked: String| {
        if differs { format!(" (asked for {asked}, tightened)") } else { String::new() }
    };
    let (asked, holds) = (declared.probability, effective.probability);
    let note = tightened(asked != holds, format!("{} %", asked.get()));
    writeln!(f, "  probability {} %{note}", holds.get())?;
    let note = tightened(declared.times != effective.times, times(declared.times));
    writeln!(f, "  times       {}{note}", times(effective.times))?;
    let length = effective.duration.map_or("until it is removed".to_owned(), |length| length.to_string());
    let origin = match effective.duration_origin {
        Origin::Declared | Origin::Unbounded => String::new(),
        Origin::Default => " (by default: the document gives none)".to_owned(),
        Origin::Guardrail => {
            tightened(true, declared.duration.map_or("none".to_owned(), |length| length.to_string()))
        }
    };
    let ends = effective.ends.map_or(String::new(), |ends| format!(", ends at {ends}"));
    writeln!(f, "  duration    {length}{origin}{ends}")
}

fn times(times: Option<u64>) -> String {
    times.map_or("unlimited".to_owned(), |times| times.to_string())
}

fn mode(mode: Mode) -> String {
    match mode {
        Mode::One => "one".to_owned(),
        Mode::All => "all".to_owned(),
        Mode::Fixed(count) => format!("fixed {count}"),
        Mode::FixedPercent(percent) => format!("{} %", percent.get()),
        Mode::RandomMaxPercent(percent) => format!("at most {} %, drawn", percent.get()),
    }
}

fn targets(
    f: &mut fmt::Formatter<'_>,
    plan: &Plan,
    planned: &PlannedRun,
    selection: &Selection,
) -> fmt::Result {
    let Selection { matched, eligible, targets, exclusions } = selection;
    let slots = planned.run.usable_slots();
    let chosen = mode(planned.run.declared.mode);
    writeln!(f, "  targets     {chosen}: {slots} of {eligible} eligible pods ({matched} matched)")?;
    for target in targets {
        let id = format!("{}/{}/{}/{}", planned.key, target.slot, target.target.uid, target.target.container);
        let waits = !plan.nodes.get(&target.node).is_some_and(|probes| probes.iter().any(|p| p.id == id));
        slot(f, target, waits)?;
    }
    for exclusion in exclusions {
        writeln!(f, "    not       {} on {}: {}", exclusion.pod, exclusion.node, exclusion.cause)?;
    }
    Ok(())
}

fn slot(f: &mut fmt::Formatter<'_>, target: &SlotTarget, waits: bool) -> fmt::Result {
    let SlotTarget { slot, node, target, mechanism, .. } = target;
    let mechanism = mechanism.as_deref().unwrap_or("kernel unknown");
    let waits = if waits { ", waits" } else { "" };
    let pod = format!("{}/{} {}", target.namespace, target.pod, target.container);
    writeln!(f, "    slot {slot:<4} {pod} on {node} ({mechanism}){waits}")
}

fn guardrails(f: &mut fmt::Formatter<'_>, verdicts: &[Verdict], unselected: bool) -> fmt::Result {
    for lines in verdicts.iter().map(Verdict::in_words) {
        for (index, line) in lines.iter().enumerate() {
            let head = if index == 0 { "  guardrail   " } else { "    " };
            writeln!(f, "{head}{line}")?;
        }
    }
    if unselected { writeln!(f, "  guardrail   not judged on targets: needs selection") } else { Ok(()) }
}
