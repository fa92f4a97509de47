//! What was found out, as data and as text.

use std::{collections::BTreeMap, path::PathBuf};

use faultline_api::Fault;
use faultline_core::inventory::{Injectability, KernelReport};
use faultline_node_agent::{
    kernel::{FaultVerdict, Preflight, Rehearsal, Rehearsed},
    kernel_report,
};
use serde::Serialize;

use super::Asked;
use crate::cli::validate::Found;

/// The whole answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    kernel: KernelReport,
    lockdown: String,
    cgroup2: Option<PathBuf>,
    others: BTreeMap<Fault, Vec<String>>,
    experiments: Vec<Told>,
    findings: Vec<Found>,
    /// What there is to say of the machine.
    #[serde(skip)]
    machine: String,
    #[serde(skip)]
    rendered: String,
}

/// What would come of one experiment.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Told {
    experiment: String,
    file: String,
    line: u32,
    usable: bool,
    reasons: Vec<String>,
    frames: Vec<At>,
    target: At,
}

/// A function on the way, or the target.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct At {
    function: String,
    symbol: Option<String>,
    mechanism: Option<String>,
    /// What is on it already.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<String>,
    problem: Option<String>,
}

impl Told {
    pub(super) fn of(asked: &Asked, rehearsal: &Rehearsal) -> Self {
        Self {
            experiment: asked.experiment.id.to_string(),
            file: asked.file.clone(),
            line: asked.line,
            usable: rehearsal.is_usable(),
            reasons: rehearsal.reasons().map(ToString::to_string).collect(),
            frames: rehearsal.frames.iter().map(At::of).collect(),
            target: At::of(&rehearsal.target),
        }
    }

    fn text(&self) -> String {
        let verdict = if self.usable { "can be injected" } else { "cannot be injected" };
        let at = self.frames.iter().chain([&self.target]).map(At::text);
        let head = format!("{} ({}:{}): {verdict}\n", self.experiment, self.file, self.line);
        let beyond = self.frames.iter().chain([&self.target]).filter_map(|at| at.problem.as_ref());
        let beyond: Vec<_> = beyond.collect();
        let others = self.reasons.iter().filter(|reason| !beyond.contains(reason));
        let others = others.map(|reason| format!("  {reason}\n"));
        head + &at.collect::<String>() + &others.collect::<String>()
    }
}

impl At {
    fn of(Rehearsed { function, attached, problem }: &Rehearsed) -> Self {
        let (symbol, mechanism) =
            attached.as_ref().map(|point| (point.function.clone(), point.mechanism.to_string())).unzip();
        let others = attached.as_ref().map(|point| point.others.clone()).unwrap_or_default();
        let problem = problem.as_ref().map(ToString::to_string);
        Self { function: function.clone(), symbol, mechanism, others, problem }
    }

    fn text(&self) -> String {
        let Self { function, symbol, mechanism, others, problem } = self;
        let is = symbol.iter().filter(|symbol| *symbol != function).map(|symbol| format!(" ({symbol})"));
        let is: String = is.collect();
        let verdict = match (problem, mechanism) {
            (Some(problem), _) => format!("  {function}{is}: {problem}\n"),
            (None, Some(mechanism)) => format!("  {function}{is}: by {mechanism}\n"),
            (None, None) => format!("  {function}{is}: not tried\n"),
        };
        verdict + &shared(others)
    }
}

impl Report {
    pub(super) fn new(
        preflight: &Preflight,
        experiments: Vec<Told>,
        findings: Vec<Found>,
        rendered: String,
    ) -> Self {
        let others = |verdict: &FaultVerdict| (Fault::from(verdict.kind), verdict.others.clone());
        let others = preflight.faults.iter().map(others);
        Self {
            others: others.filter(|(_, others)| !others.is_empty()).collect(),
            machine: preflight.to_text(),
            kernel: kernel_report(preflight),
            lockdown: preflight.lockdown.clone(),
            cgroup2: preflight.cgroup2.clone(),
            experiments,
            findings,
            rendered,
        }
    }

    /// Whether what was asked about can be injected: the experiments, or else any fault.
    pub(super) fn can(&self) -> bool {
        match self.experiments.as_slice() {
            [] => self.kernel.faults.values().any(|can| matches!(can, Injectability::Yes { .. })),
            experiments => experiments.iter().all(|told| told.usable),
        }
    }

    /// Whether a file has errors.
    pub(super) fn is_wrong(&self) -> bool {
        self.findings.iter().any(Found::is_error)
    }

    pub(super) fn text(&self) -> String {
        let mut text = self.machine.clone();
        for told in &self.experiments {
            text += &format!("\n{}", told.text());
        }
        if self.rendered.is_empty() { text } else { format!("{}\n{text}", self.rendered) }
    }
}

/// What is on a function already.
fn shared(others: &[String]) -> String {
    others.iter().map(|other| format!("    warning: shared with {other}\n")).collect()
}

#[cfg(test)]
mod tests {
    use faultline_node_agent::kernel::{
        AttachPoint, FaultKind, FaultVerdict, Mechanism, Obstacle, ProbeError, Unusable,
    };

    use super::*;

    fn preflight(obstacles: Vec<Obstacle>) -> Preflight {
        let clone = Some("should_failslab.constprop.0".to_owned());
        let verdict = |kind, mechanism, untried: Option<&str>| FaultVerdict {
            kind,
            mechanism,
            untried: untried.map(str::to_owned),
            others: Vec::new(),
        };
        Preflight {
            release: "6.12.0".to_owned(),
            arch: "x86_64".to_owned(),
            lockdown: "none".to_owned(),
            cgroup2: None,
            obstacles,
            caveats: Vec::new(),
            faults: vec![
                verdict(FaultKind::Slab, Err(Unusable::NeverCalled { clone }), None),
                verdict(FaultKind::Page, Ok(Mechanism::ModifyReturn), None),
                verdict(
                    FaultKind::Bio,
                    Ok(Mechanism::ModifyReturn),
                    Some("there is no block device to read"),
                ),
            ],
        }
    }

    fn report(obstacles: Vec<Obstacle>, experiments: Vec<Told>) -> Report {
        Report::new(&preflight(obstacles), experiments, Vec::new(), String::new())
    }

    #[test]
    fn a_kernel_reads_as_a_line_for_each_fault() {
        let expected = "\
kernel 6.12.0 x86_64, lockdown none
  slab  (failtype 0, should_failslab): no: never called: callers use the clone should_failslab.constprop.0, which \
                        nothing can be attached to
  page  (failtype 1, should_fail_alloc_page): yes, by fmod_ret
  bio   (failtype 2, should_fail_bio): yes, by fmod_ret, but whether anything calls it could not be tried: there is no \
                        block device to read
";
        let report = report(Vec::new(), Vec::new());
        assert_eq!(report.text(), expected);
        assert!(report.can());
    }

    #[test]
    fn whoever_is_on_a_target_already_is_told_below_it() {
        let mut preflight = preflight(Vec::new());
        preflight.faults[1].others = vec!["fentry program 7 (spy)".to_owned()];
        let report = Report::new(&preflight, Vec::new(), Vec::new(), String::new());
        let told = "by fmod_ret\n    warning: shared with fentry program 7 (spy)\n  bio";
        assert!(report.text().contains(told), "{}", report.text());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["others"]["page"][0], "fentry program 7 (spy)");
        assert_eq!(json["others"]["slab"], serde_json::Value::Null);
    }

    #[test]
    fn what_is_in_the_way_is_told_once_and_the_faults_but_for_that() {
        let obstacles = ["no bpf file system", "no cgroup v2"].map(|text| Obstacle::Machine(text.to_owned()));
        let report = report(obstacles.into(), Vec::new());
        let text = report.text();
        assert!(
            text.contains("here:\n  no bpf file system\n  no cgroup v2\nbut for that:\n  slab"),
            "{text}"
        );
        assert!(!report.can());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["kernel"]["obstacles"][1], "no cgroup v2");
        assert_eq!(json["kernel"]["faults"]["page"]["injectable"], "no");
        assert_eq!(json["kernel"]["untried"]["bio"], "there is no block device to read");
    }

    #[test]
    fn an_experiment_is_told_function_by_function_and_each_reason_once() {
        let refused =
            ProbeError::NotAttachable { name: "path_muont".to_owned(), reason: "unknown".to_owned() };
        let shared = ["fmod_ret program 7 (spy)".to_owned()];
        let at = |function: &str, symbol: Option<&str>, problem| Rehearsed {
            function: function.to_owned(),
            attached: symbol.map(|symbol| AttachPoint {
                function: symbol.to_owned(),
                mechanism: Mechanism::Trampoline,
                others: shared.iter().filter(|_| symbol == "should_failslab").cloned().collect(),
            }),
            problem,
        };
        let rehearsal = Rehearsal {
            frames: vec![at("mount", Some("__x64_sys_mount"), None), at("path_muont", None, Some(refused))],
            target: at("should_failslab", Some("should_failslab"), None),
            problems: vec![ProbeError::ScopeGone],
        };
        let told = Told {
            experiment: "chaos/a".to_owned(),
            file: "a.yaml".to_owned(),
            line: 3,
            usable: rehearsal.is_usable(),
            reasons: rehearsal.reasons().map(ToString::to_string).collect(),
            frames: rehearsal.frames.iter().map(At::of).collect(),
            target: At::of(&rehearsal.target),
        };
        let expected = "\
chaos/a (a.yaml:3): cannot be injected
  mount (__x64_sys_mount): by fentry/fexit
  path_muont: cannot attach to `path_muont`: unknown
  should_failslab: by fentry/fexit
    warning: shared with fmod_ret program 7 (spy)
  no cgroup of the scope exists any more
";
        assert_eq!(told.text(), expected);
        assert!(!report(Vec::new(), vec![told]).can());
    }
}
