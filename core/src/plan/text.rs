//! A plan as `faultline plan` prints it. No colours; the same plan gives the same text.

mod runs;

use std::fmt::{self, Display, Write as _};

use faultline_api::Reason;

use super::{Plan, Report};
use crate::{
    due::{Step, WhyNot},
    parse::{Freshness, SourceState},
    tree::Role,
};

/// The whole plan.
pub(super) fn render(plan: &Plan) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _infallible = write!(out, "{}", Text(plan));
    out
}

struct Text<'a>(&'a Plan);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        writeln!(f, "Plan at {}", plan.at)?;
        for (name, state) in &plan.sources {
            source(f, name, state)?;
        }
        match plan.inventory {
            Some(at) => writeln!(f, "  inventory observed at {at}")?,
            None => writeln!(f, "  no inventory: targets are not selected")?,
        }
        for run in plan.runs.iter().filter(|planned| planned.step != Step::Over) {
            runs::run(f, plan, run)?;
        }
        summary(f, plan)?;
        report(f, &plan.report)
    }
}

fn source(f: &mut fmt::Formatter<'_>, name: &str, state: &SourceState) -> fmt::Result {
    let role = match state.role {
        Role::Platform => "platform",
        Role::Experiments => "experiments",
    };
    let freshness = match state.freshness {
        Freshness::Fresh => "",
        Freshness::Stale => ", stale",
        Freshness::Expired => ", stale for too long",
        Freshness::Missing => ", never read",
    };
    let revision = state.revision.as_deref().unwrap_or("no revision");
    writeln!(f, "  source {name} ({role}{freshness}) at {revision}")
}

/// One line that says how much there is to do.
fn summary(f: &mut fmt::Formatter<'_>, plan: &Plan) -> fmt::Result {
    let count = |step| plan.runs.iter().filter(|planned| planned.step == step).count();
    let steps = [
        (Step::Begin, "begin"),
        (Step::Edit, "change"),
        (Step::Resume, "resume"),
        (Step::GoOn, "go on"),
        (Step::Hold, "are held"),
        (Step::End, "end"),
    ];
    let counts: Vec<String> = steps
        .into_iter()
        .filter(|(step, _)| count(*step) > 0)
        .map(|(step, word)| format!("{} {word}", count(step)))
        .collect();
    let probes: usize = plan.nodes.values().map(Vec::len).sum();
    let nodes = plan.nodes.values().filter(|probes| !probes.is_empty()).count();
    let runs = if counts.is_empty() { "no run".to_owned() } else { format!("runs: {}", counts.join(", ")) };
    writeln!(f, "\n{runs}; {probes} probes on {nodes} nodes")
}

fn report(f: &mut fmt::Formatter<'_>, report: &Report) -> fmt::Result {
    let Report { why_nots, files, skipped } = report;
    if !why_nots.is_empty() {
        writeln!(f, "\nWill not happen")?;
    }
    for why_not in why_nots {
        write_why_not(f, why_not)?;
    }
    if !skipped.is_empty() {
        let kinds: Vec<String> = skipped.iter().map(|(kind, count)| format!("{count} of {kind}")).collect();
        writeln!(f, "\nDocuments of other kinds, skipped: {}", kinds.join(", "))?;
    }
    for file in files {
        write!(f, "\n{}", file.rendered)?;
    }
    Ok(())
}

fn write_why_not(f: &mut fmt::Formatter<'_>, why_not: &WhyNot) -> fmt::Result {
    let WhyNot { subject, place, reason, message } = why_not;
    let reason = reason.map_or("needs selection".to_owned(), words);
    writeln!(f, "  {subject}: {reason}")?;
    writeln!(f, "    {message}")?;
    place.as_ref().map_or(Ok(()), |place| writeln!(f, "    declared at {place}"))
}

/// `SourceStale` as `source stale`.
pub(super) fn words(reason: Reason) -> String {
    let mut words = String::new();
    for letter in format!("{reason:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}
