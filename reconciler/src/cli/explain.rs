//! `faultline explain`.

use std::{
    fmt,
    iter::{once, repeat},
    str::FromStr,
};

use clap::Args;
use faultline_api::ExperimentId;
use faultline_core::{judge::Verdict, report::AttachPoint};
use serde::Serialize;

use super::{
    CliError, Outcome,
    get::AdminArgs,
    nodes::in_words,
    output::{Format, print},
    serving::blocking,
    table::table,
};
use crate::admin::{
    client::ask,
    views::{Explanation, FrameView, RefusalView, RunView},
};
use crate::agents::Rehearsals;

/// Say why an experiment is running, or why it is not
///
/// Exit codes: 0 fine, whatever its state; 1 there is no such experiment; 2 usage, or no reconciler answers.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline explain chaos-testing/mount-enomem
  faultline explain chaos-testing/mount-enomem --preflight
  faultline explain chaos-testing/mount-enomem -o json")]
pub(super) struct Explain {
    /// Which, as NAMESPACE/NAME
    experiment: Name,
    #[command(flatten)]
    admin: AdminArgs,
    /// Have each node try, disarmed and for a moment, what it would attach
    #[arg(long)]
    preflight: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

/// `NAMESPACE/NAME` of an experiment.
#[derive(Clone, Debug)]
pub(super) struct Name {
    namespace: String,
    name: String,
}

/// A text that is not `namespace/name`.
#[derive(Debug, thiserror::Error)]
#[error("expected NAMESPACE/NAME")]
pub(super) struct NotAName;

impl Name {
    /// Whether it is that one's.
    pub(super) fn is(&self, id: &ExperimentId) -> bool {
        self.namespace == id.namespace && self.name == id.name
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let is_name = |part: &str| {
            !part.is_empty()
                && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
        };
        match text.split_once('/') {
            Some((namespace, name)) if is_name(namespace) && is_name(name) => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(NotAName),
        }
    }
}

impl Explain {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { experiment: Name { namespace, name }, admin, preflight, output } = self;
        let path = format!("/v1/experiments/{namespace}/{name}");
        admin.reliance()?;
        let explanation: Explanation = blocking(ask(&admin.admin, &path))??;
        let nodes: Option<Rehearsals> = match preflight {
            true => Some(blocking(ask(&admin.admin, &format!("{path}/rehearsal")))??),
            false => None,
        };
        print(&Explained { explanation, nodes }, output, Explained::text)?;
        Ok(Outcome::Fine)
    }
}

/// What is known, and what the nodes said if they were asked.
#[derive(Debug, Serialize)]
struct Explained {
    #[serde(flatten)]
    explanation: Explanation,
    #[serde(skip_serializing_if = "Option::is_none")]
    nodes: Option<Rehearsals>,
}

impl Explained {
    fn text(&self) -> String {
        let verdicts = self.nodes.iter().flatten().flat_map(|(node, rehearsals)| {
            rehearsals
                .iter()
                .map(move |rehearsal| format!("  {:<11} {node}: {}\n", "preflight", in_words(rehearsal)))
        });
        text(&self.explanation) + &verdicts.collect::<String>()
    }
}

fn text(explanation: &Explanation) -> String {
    let Explanation { experiment, place, run, verdicts, selected, chain, targets, not_hit, why_nots } =
        explanation;
    let mut lines = vec![experiment.clone()];
    let mut line = |head: &str, text: String| lines.push(format!("  {head:<11} {text}"));
    line("declared", place.clone().unwrap_or_else(|| "not any more".to_owned()));
    match run {
        Some(run) => of_run(run, &mut line),
        None => line("run", "none".to_owned()),
    }
    for words in verdicts.iter().map(Verdict::in_words) {
        words
            .into_iter()
            .zip(once("guardrail").chain(repeat("")))
            .for_each(|(words, head)| line(head, words));
    }
    if let Some((matched, eligible)) = selected {
        line("selected", format!("{eligible} of {matched} matched pods can be hit"));
    }
    for (frame, head) in chain.iter().zip(["call chain"].into_iter().chain(repeat(""))) {
        line(head, of_frame(frame));
    }
    for target in targets {
        let how = target.mechanism.as_ref().map_or_else(String::new, |how| format!(" by {how}"));
        line("target", format!("{} on {} in slot {}{how}", target.container, target.node, target.slot));
        line("", target.message.clone());
        for AttachPoint { function, mechanism, others, missed_runs: _ } in &target.attach_points {
            line("", format!("{function} by {mechanism}"));
            for other in others {
                line("", format!("warning: {function} is shared with {other}"));
            }
        }
        if !target.refusals.is_empty() {
            let rows = target.refusals.iter().map(of_refusal);
            table(["NOT INJECTED", "CALLS", "MEANING"], rows)
                .lines()
                .for_each(|row| line("", row.to_owned()));
        }
        if let Some(warning) = &target.warning {
            line("", format!("warning: {warning}"));
        }
    }
    for pod in not_hit {
        line("not hit", format!("{} on {}: {}", pod.pod, pod.node, pod.why));
    }
    for why in why_nots {
        line("why not", why.clone());
    }
    lines.join("\n") + "\n"
}

fn of_frame(FrameView { function, predicate }: &FrameView) -> String {
    // On one line, however it is folded in its document.
    let on_one_line = |text: &String| text.replace(char::is_control, " ").trim().to_owned();
    let condition = predicate.iter().map(|text| format!(" where {}", on_one_line(text)));
    function.clone() + &condition.collect::<String>()
}

fn of_refusal(RefusalView { reason, count, meaning, function }: &RefusalView) -> [String; 3] {
    let of = function.iter().map(|function| format!(": that of {function}")).collect::<String>();
    [reason.as_str().to_owned(), count.to_string(), meaning.clone() + &of]
}

fn of_run(run: &RunView, line: &mut impl FnMut(&str, String)) {
    let message = if run.message.is_empty() { String::new() } else { format!(": {}", run.message) };
    line("run", format!("{} is {:?} ({:?}){message}", run.run, run.state, run.reason));
    let times = run.times.map_or_else(|| "unlimited".to_owned(), |times| times.to_string());
    let duration = run.duration.map_or_else(|| "until removed".to_owned(), |duration| duration.to_string());
    if let Some(probability) = run.probability {
        line("effective", format!("probability {probability}, times {times}, duration {duration}"));
    }
    if run.activity.furthest().is_some() {
        line("activity", run.activity.to_string());
    }
    line("spent", run.spent.to_string());
    for (head, at) in [("started", run.started), ("ends", run.ends), ("ended", run.ended)] {
        if let Some(at) = at {
            line(head, at.to_string());
        }
    }
    for (probe, error) in &run.failures {
        line("failed", format!("{probe}: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_target_is_followed_by_what_became_of_its_calls() {
        let counters = json!({
            "hits": 9, "matches": 7, "rejected": 0, "unread": 0, "sampledOut": 0, "exhausted": 0, "expired": 0,
            "guarded": 0, "missedReturns": 3, "injections": 4,
        });
        let refusals = json!([
            { "reason": "predicate", "count": 2, "meaning": "a predicate did not hold", "function": "path_mount" },
            { "reason": "starting", "count": 30, "meaning": "it had only just started" },
        ]);
        let target = |slot: u32, activity: &str, message: &str, warning: Option<&str>| {
            let refusals = if slot == 0 { refusals.clone() } else { json!([]) };
            json!({
                "slot": slot, "container": "shop/web/main", "node": "n1", "mechanism": "fmod_ret",
                "activity": activity, "message": message, "warning": warning, "attached": null,
                "attachPoints": [{
                    "function": "path_mount", "mechanism": "fentry/fexit",
                    "others": if slot == 0 { vec!["kprobe program 7 (spy)"] } else { Vec::new() },
                }],
                "refusals": refusals,
                "counters": counters, "connected": true, "heard": null,
            })
        };
        let explanation = serde_json::from_value(json!({
            "experiment": "chaos/web", "place": "exp:a.yaml:1",
            "run": {
                "run": "chaos/web#1", "state": "Running", "reason": "Attached", "message": "",
                "activity": { "injecting": 1, "never_reached": 1 }, "started": "2026-03-01T12:00:00Z",
                "ends": null, "ended": null, "probability": 40, "times": null, "duration": null,
                "slots": [2, 2], "spent": 4, "counters": counters, "failures": {},
            },
            "verdicts": [
                {
                    "guardrail": "caps", "place": "platform:caps.yaml:1", "moment": "judge", "mode": "protect",
                    "decision": {
                        "verdict": "mutate", "limit": { "times": 3 },
                        "findings": [{ "rule": "times", "path": "spec.times", "message": "9 is over the cap" }],
                    },
                },
                {
                    "guardrail": "watch", "place": null, "moment": "admit", "mode": "monitor",
                    "decision": { "verdict": "deny", "findings": [] },
                    "warnings": [{ "rule": "owner", "path": "metadata", "message": "whose is it?" }],
                },
            ],
            "selected": [2, 2], "notHit": [], "whyNots": [],
            "chain": [
                { "function": "path_mount", "predicate": "flags == 1 &&\n  x" },
                { "function": "should_failslab", "predicate": null },
            ],
            "targets": [
                target(0, "injecting", "attached for 3m0s; injected 4 times", Some("missed returns: 3")),
                target(1, "never_reached", "attached for 3m0s; never reached", None),
            ],
        }));
        let expected = "\
chaos/web
  declared    exp:a.yaml:1
  run         chaos/web#1 is Running (Attached)
  effective   probability 40, times unlimited, duration until removed
  activity    1 injecting, 1 never reached
  spent       4
  started     2026-03-01T12:00:00Z
  guardrail   caps: mutate: times at most 3
              spec.times: 9 is over the cap (times)
  guardrail   watch (only monitors): deny on its targets
              warning: metadata: whose is it? (owner)
  selected    2 of 2 matched pods can be hit
  call chain  path_mount where flags == 1 &&   x
              should_failslab
  target      shop/web/main on n1 in slot 0 by fmod_ret
              attached for 3m0s; injected 4 times
              path_mount by fentry/fexit
              warning: path_mount is shared with kprobe program 7 (spy)
              NOT INJECTED  CALLS  MEANING
              predicate     2      a predicate did not hold: that of path_mount
              starting      30     it had only just started
              warning: missed returns: 3
  target      shop/web/main on n1 in slot 1 by fmod_ret
              attached for 3m0s; never reached
              path_mount by fentry/fexit
";
        assert_eq!(text(&explanation.unwrap()), expected);
    }
}
