//! `faultline get`.

mod wide;

use clap::{Args, ValueEnum};
use faultline_core::inventory::{Injectability, KernelReport};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    CliError, Outcome,
    output::{ListFormat, print},
    serving::blocking,
    table::{or_dash, table},
};
use crate::admin::{
    AdminAddress, DEFAULT_ADDRESS,
    client::ask,
    views::{ExperimentView, GuardrailView, NodeView, ReportView, RunView},
};
use crate::publish::Problem;

/// Show what a running reconciler has
///
/// Exit codes: 0 fine, whatever is shown; 2 usage, or no reconciler answers.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline get runs
  faultline get nodes -o wide
  faultline get nodes -o json
  faultline get guardrails --admin unix:/run/faultline/admin.sock")]
pub(super) struct Get {
    /// What to show
    #[arg(value_enum)]
    resource: Resource,
    #[command(flatten)]
    admin: AdminArgs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: ListFormat,
}

/// Where the reconciler is.
#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    /// Address of the reconciler's admin interface
    #[arg(long, value_name = "ADDRESS", env = "FAULTLINE_ADMIN", default_value = DEFAULT_ADDRESS)]
    pub(super) admin: AdminAddress,
}

impl AdminArgs {
    /// Says on standard error what of the answers is not up to date: a failed pass, a source that cannot be read.
    pub(super) fn reliance(&self) -> Result<ReportView, CliError> {
        let report: ReportView = blocking(ask(&self.admin, "/v1/report"))??;
        if let Some(error) = &report.error {
            anstream::eprintln!("warning: the newest pass did not go through: {error}");
            anstream::eprintln!("warning: what is shown is from {}", report.at);
        }
        for source in &report.sources {
            anstream::eprintln!("warning: {source}");
        }
        Ok(report)
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Resource {
    /// Every declared experiment and where it stands
    #[value(alias = "experiment")]
    Experiments,
    /// Every run that is remembered
    #[value(alias = "run")]
    Runs,
    /// Every node, its agent, and what its kernel can do
    #[value(alias = "node")]
    Nodes,
    /// Everything that is wrong with the files of the sources
    #[value(alias = "problem")]
    Problems,
    /// Every guardrail and its verdicts
    #[value(alias = "guardrail")]
    Guardrails,
}

impl Get {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let report = self.admin.reliance()?;
        match self.resource {
            Resource::Experiments => {
                self.show("/v1/experiments", |views| experiments(views) + &problems(&report.problems))
            }
            Resource::Runs if self.output == ListFormat::Wide => {
                self.show("/v1/runs", |views| wide::runs(views))
            }
            Resource::Runs => self.show("/v1/runs", |views| runs(views)),
            Resource::Problems => {
                print(&report.problems, self.output.format(), |found| {
                    problems(found).trim_start().to_owned()
                })?;
                Ok(Outcome::Fine)
            }
            Resource::Nodes if self.output == ListFormat::Wide => {
                self.show("/v1/nodes", |views| wide::nodes(views))
            }
            Resource::Nodes => self.show("/v1/nodes", |views| nodes(views)),
            Resource::Guardrails => self.show("/v1/guardrails", |views| guardrails(views)),
        }
    }

    fn show<T>(&self, path: &str, text: impl FnOnce(&Vec<T>) -> String) -> Result<Outcome, CliError>
    where
        T: Serialize + DeserializeOwned,
    {
        let views: Vec<T> = blocking(ask(&self.admin.admin, path))??;
        print(&views, self.output.format(), text)?;
        Ok(Outcome::Fine)
    }
}

fn experiments(views: &[ExperimentView]) -> String {
    let row = |view: &ExperimentView| {
        let ExperimentView { experiment, place, run, state, reason, activity, message } = view;
        let activation = run.as_ref().and_then(|run| run.rsplit_once('#')).map(|(_, activation)| activation);
        let state = state.map(|state| format!("{state:?}"));
        let reason = reason.map(|reason| format!("{reason:?}"));
        [
            experiment.clone(),
            or_dash(activation),
            or_dash(state),
            or_dash(reason),
            or_dash(activity.furthest().map(|_| activity)),
            place.clone(),
            message.clone(),
        ]
    };
    table(["EXPERIMENT", "RUN", "STATE", "REASON", "ACTIVITY", "PLACE", "MESSAGE"], views.iter().map(row))
}

fn problems(found: &[Problem]) -> String {
    let row = |problem: &Problem| {
        let Problem { place, code, message } = problem.clone();
        [place.to_string(), code, message]
    };
    if found.is_empty() {
        return String::new();
    }
    "\n".to_owned() + &table(["PLACE", "PROBLEM", "MESSAGE"], found.iter().map(row))
}

fn runs(views: &[RunView]) -> String {
    let row = |view: &RunView| {
        [
            view.run.to_string(),
            format!("{:?}", view.state),
            format!("{:?}", view.reason),
            or_dash(view.activity.furthest().map(|_| &view.activity)),
            format!("{}/{}", view.slots.0, view.slots.1),
            view.spent.to_string(),
            or_dash(view.started),
            or_dash(view.ended.or(view.ends)),
            view.message.clone(),
        ]
    };
    table(
        ["RUN", "STATE", "REASON", "ACTIVITY", "TARGETS", "SPENT", "STARTED", "ENDS", "MESSAGE"],
        views.iter().map(row),
    )
}

fn nodes(views: &[NodeView]) -> String {
    let row = |view: &NodeView| {
        [
            view.node.clone(),
            if view.connected { "yes" } else { "no" }.to_owned(),
            or_dash(view.heard),
            or_dash(view.accepted),
            view.attached.to_string(),
            view.failed.to_string(),
            or_dash(view.kernel.as_ref().map(|kernel| kernel.release.clone())),
            or_dash(view.kernel.as_ref().map(injectable)),
        ]
    };
    table(
        ["NODE", "CONNECTED", "HEARD", "GENERATION", "ATTACHED", "FAILED", "KERNEL", "FAULTS"],
        views.iter().map(row),
    )
}

fn guardrails(views: &[GuardrailView]) -> String {
    let row = |view: &GuardrailView| {
        let verdicts: Vec<_> =
            view.verdicts.iter().map(|(verdict, count)| format!("{count} {verdict}")).collect();
        [
            view.guardrail.clone(),
            or_dash(view.mode.map(|mode| format!("{mode:?}").to_lowercase())),
            verdicts.join(", "),
            or_dash(view.module.as_ref().map(|digest| digest.chars().take(19).collect::<String>())),
            view.place.clone(),
            view.error.clone().unwrap_or_default(),
        ]
    };
    table(["GUARDRAIL", "MODE", "VERDICTS", "MODULE", "PLACE", "ERROR"], views.iter().map(row))
}

/// Which faults a kernel can inject.
fn injectable(kernel: &KernelReport) -> String {
    let can = kernel.faults.iter().filter(|(_, can)| matches!(can, Injectability::Yes { .. }));
    let can: Vec<_> = can.map(|(fault, _)| wide::name(*fault)).collect();
    if can.is_empty() { "none".to_owned() } else { can.join(",") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_lists_have_a_column_for_how_far_probes_have_come() {
        let experiment = |name: &str, activity: serde_json::Value, message: &str| {
            json!({
                "experiment": name, "place": "exp:a.yaml:1", "run": "chaos/web#3", "state": "Running",
                "reason": "Attached", "activity": activity, "message": message,
            })
        };
        let views: Vec<ExperimentView> = serde_json::from_value(json!([
            experiment("chaos/a", json!({ "never_reached": 2 }), "the function that fails was never reached"),
            experiment("chaos/b", json!({ "injecting": 1, "failed": 1 }), ""),
            experiment("chaos/c", json!({}), ""),
        ]))
        .unwrap();
        let expected = "\
EXPERIMENT  RUN  STATE    REASON    ACTIVITY               PLACE         MESSAGE
chaos/a     3    Running  Attached  never reached          exp:a.yaml:1  the function that fails was never reached
chaos/b     3    Running  Attached  1 injecting, 1 failed  exp:a.yaml:1
chaos/c     3    Running  Attached  -                      exp:a.yaml:1
";
        assert_eq!(experiments(&views), expected);
    }
}
