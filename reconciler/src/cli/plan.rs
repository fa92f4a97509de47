//! `faultline plan`.

mod against;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use faultline_api::Reason;
use faultline_core::{Cache, due::Step, ledger::Ledger, parse::Freshness, plan::Plan, review::Evaluator};
use faultline_policies::{Host, HostConfig};
use jiff::Timestamp;
use serde::Serialize;

use against::Changes;

use super::{
    CliError, Outcome,
    defaults::DefaultsArgs,
    nodes::OnNodes,
    output::{Format, print, print_text},
    registries::{RegistryArgs, user_cache},
    sources::SourceArgs,
};
use crate::{
    admin::AdminAddress,
    clock::{Clock as _, ManualClock, SystemClock},
    converge::DryRun,
    inventory::{Observer, Provider},
    modules::AtOnce,
    reconcile::{Deps, Pass, reconcile},
    store,
};

/// Show what would be injected where, what the guardrails say, and why the rest would not be
///
/// It is the plan that `run` would make and execute, from the same sources, inventory, ledger and instant.
///
/// Exit codes: 0 fine; 1 something was read and found wrong, or denied, or, with --exit-code, would change, or, with
/// --admin, can be injected on no node; 2 usage, IO, or a guardrail cannot decide, or no node answers. With --guardrails
/// and --against: 0 fine; 1 something is wrong with the new guardrails or, with --exit-code, a verdict changes; 2 usage
/// or IO.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline plan --source experiments --platform guardrails
  faultline plan --source experiments --platform guardrails --inventory inventory.yaml -o json
  faultline plan --source experiments --inventory pods.yaml --state-dir state --exit-code
  faultline plan --source experiments --guardrails main/guardrails --against guardrails --exit-code
  faultline plan --source experiments --inventory pods.yaml --admin 127.0.0.1:9464")]
pub(super) struct PlanCommand {
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    registries: RegistryArgs,
    /// Nodes and pods to select from, YAML or JSON; without one nothing is selected
    #[arg(long, value_name = "FILE")]
    inventory: Option<PathBuf>,
    /// Ledger to go on from, as JSON
    #[arg(long, value_name = "FILE", conflicts_with = "state_dir")]
    ledger: Option<PathBuf>,
    /// State directory of a reconciler to go on from; it is only read, and may be in use
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// The instant to plan for, such as 2026-03-01T12:00:00Z; otherwise the present
    #[arg(long, value_name = "RFC3339")]
    now: Option<Timestamp>,
    /// Exit with 1 if the plan begins, changes or ends anything
    #[arg(long)]
    exit_code: bool,
    /// Ask the nodes of the reconciler there as well: each tries, disarmed and for a moment, what it would attach for
    /// every experiment, which changes nothing in the plan
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<AdminAddress>,
    /// Show whose verdict changes instead: with the guardrails of this directory, and with those of --against
    #[arg(long, value_name = "OLD", requires = "against", conflicts_with = "admin")]
    guardrails: Option<PathBuf>,
    /// The guardrails that are to take their place, with their modules
    #[arg(long, value_name = "NEW", requires = "guardrails")]
    against: Option<PathBuf>,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
    #[command(flatten)]
    defaults: DefaultsArgs,
}

impl PlanCommand {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let (output, exit_code) = (self.output, self.exit_code);
        if let (Some(before), Some(after)) = (&self.guardrails, &self.against) {
            let evaluator: Arc<dyn Evaluator + Send + Sync> = Arc::new(host()?);
            let changes = self.changes(before, after, &evaluator)?;
            print(&changes, output, Changes::text)?;
            return Ok(changes.outcome(exit_code));
        }
        let admin = self.admin.clone();
        let Pass { plan, parsed, .. } = self.pass(Arc::new(host()?))?;
        let preflight = admin.map(|address| OnNodes::ask(&address, &parsed)).transpose()?;
        print_text(&rendered(&plan, preflight.as_ref(), output)?)?;
        Ok(match (outcome(&plan, exit_code), preflight) {
            (Outcome::Fine, Some(nodes)) if nodes.has_useless() => Outcome::Found,
            (Outcome::Fine, Some(nodes)) if nodes.has_unanswered() => Outcome::Undecided,
            (outcome, _) => outcome,
        })
    }

    /// A pass whose plan goes nowhere.
    fn pass(&self, evaluator: Arc<dyn Evaluator + Send + Sync>) -> Result<Pass, CliError> {
        Ok(reconcile(&mut self.deps(evaluator)?)?)
    }

    /// What such a pass works with.
    fn deps(&self, evaluator: Arc<dyn Evaluator + Send + Sync>) -> Result<Deps, CliError> {
        let Self {
            sources,
            registries,
            inventory,
            ledger,
            state_dir,
            now,
            exit_code: _,
            admin: _,
            guardrails: _,
            against: _,
            output: _,
            defaults,
        } = self;
        let ledger = match (ledger, state_dir) {
            (Some(path), _) => read_ledger(path)?,
            (None, Some(directory)) => store::read_only(directory)?,
            (None, None) => Ledger::default(),
        };
        Ok(Deps {
            clock: Arc::new(ManualClock::at(now.unwrap_or_else(|| SystemClock::new().now()))),
            sources: sources.directories()?,
            modules: Box::new(AtOnce::new(registries.store_of_the_user())),
            inventory: Observer::new(inventory.clone().map(Provider::File)),
            evaluator,
            cache: Cache::default(),
            defaults: defaults.defaults(),
            converge: Box::new(DryRun::from(ledger)),
        })
    }
}

/// Runs guardrails, and keeps their compiled code in the user's cache where there is one: compiling one takes far
/// longer than all the rest of a plan.
pub(super) fn host() -> Result<Host, CliError> {
    let cached = user_cache().map(|cache| cache.join("faultline/modules"));
    let with_cache = Host::new(HostConfig { compilation_cache: cached, ..HostConfig::default() });
    Ok(with_cache.or_else(|_| Host::new(HostConfig::default()))?)
}

/// A plan, and what the nodes said if they were asked.
#[derive(Serialize)]
struct Planned<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    #[serde(skip_serializing_if = "Option::is_none")]
    preflight: Option<&'a OnNodes>,
}

fn rendered(plan: &Plan, preflight: Option<&OnNodes>, format: Format) -> Result<String, CliError> {
    let planned = Planned { plan, preflight };
    Ok(match (format, preflight) {
        (Format::Text, None) => plan.to_text(),
        (Format::Text, Some(nodes)) => plan.to_text() + &nodes.text(),
        (Format::Json, None) => plan.to_json(),
        (Format::Json, Some(_)) => serde_json::to_string_pretty(&planned)? + "\n",
        (Format::Yaml, _) => serde_saphyr::to_string(&planned)?,
    })
}

fn read_ledger(path: &Path) -> Result<Ledger, CliError> {
    let text = fs::read(path).map_err(|source| CliError::Read { path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| CliError::Ledger { path: path.to_owned(), source })
}

/// What was found wrong weighs more than what could not be decided, but a source that was never read weighs most:
/// nothing is known then.
fn outcome(plan: &Plan, exit_code: bool) -> Outcome {
    let errors = plan.report.files.iter().flat_map(|file| &file.findings);
    let has_errors = errors.into_iter().any(|finding| finding.diagnostic.is_error());
    let mut reasons: Vec<Reason> = plan.report.why_nots.iter().filter_map(|why| why.reason).collect();
    reasons.extend(plan.runs.iter().filter(|run| run.step != Step::Over).map(|planned| planned.run.reason));
    let because = |wanted: &[Reason]| reasons.iter().any(|reason| wanted.contains(reason));
    let unread = plan.sources.values().any(|source| source.freshness == Freshness::Missing);
    let changes = |step| !matches!(step, Step::GoOn | Step::Over);
    if unread {
        Outcome::Undecided
    } else if has_errors || because(&[Reason::Invalid, Reason::Denied, Reason::Duplicate]) {
        Outcome::Found
    } else if because(&[Reason::Undecided]) {
        Outcome::Undecided
    } else if exit_code && plan.runs.iter().any(|run| changes(run.step)) {
        Outcome::Found
    } else {
        Outcome::Fine
    }
}

#[cfg(test)]
mod tests;
