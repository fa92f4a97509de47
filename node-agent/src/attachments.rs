//! Between what the agent wants and what the kernel takes: names to ids, containers to cgroups, instants as they are.

use std::collections::BTreeMap;

use faultline_core::inventory::{Injectability, KernelReport};
use faultline_core::{
    rehearsal::{Chain, Rehearsal, Rehearsed},
    report::AttachPoint,
};

use crate::{
    agent::{Converged, Observed, Unattached, Wanted},
    cgroups::Cgroups,
    kernel::{
        self, Attached, BootNanos, BudgetKey, FaultKind, FaultVerdict, Kernel, Preflight, ProbeError,
        ProbeId, ProbeSpec,
    },
    ledger::{BudgetName, Tally, probe_id},
};

/// The kernel, and the hierarchy in which its targets are.
pub(crate) struct Attachments {
    kernel: Box<dyn Kernel>,
    cgroups: Cgroups,
    /// Whether any fault can be injected. Where none can, nothing is spent, and what the kernel counted is not known.
    can_inject: bool,
    /// Names of the probes that were last wanted.
    names: BTreeMap<ProbeId, String>,
}

impl Attachments {
    /// Nothing is attached yet.
    #[must_use]
    pub(crate) fn new(kernel: Box<dyn Kernel>, cgroups: Cgroups) -> Self {
        let preflight = kernel.preflight();
        let can_inject = FaultKind::ALL.iter().any(|kind| preflight.usable(*kind).is_ok());
        Self { kernel, cgroups, can_inject, names: BTreeMap::new() }
    }

    /// What the kernel can do, as it is reported.
    #[must_use]
    pub(crate) fn report(&self) -> KernelReport {
        kernel_report(&self.kernel.preflight())
    }

    /// Lets probes inject until then.
    pub(crate) fn set_lease(&self, until: BootNanos) {
        self.kernel.set_lease(until);
    }

    /// Drops a budget's count.
    pub(crate) fn forget(&mut self, budget: BudgetKey) {
        self.kernel.forget_budget(budget);
    }

    /// Attaches exactly what is wanted. A container without a cgroup fails by itself.
    pub(crate) fn converge<'a>(
        &mut self,
        wanted: &[Wanted],
        budgets: impl Iterator<Item = &'a BudgetName>,
    ) -> Converged {
        let before = self.counters();
        let targets: Vec<_> = wanted.iter().map(|wanted| &wanted.probe.target).collect();
        let mut outcomes = BTreeMap::new();
        let mut specs = Vec::new();
        for (wanted, directory) in wanted.iter().zip(self.cgroups.resolve(&targets)) {
            match directory {
                Ok(directory) => specs.push(spec(wanted, directory)),
                Err(error) => {
                    outcomes.insert(wanted.probe.id.clone(), Err(Unattached::Failed(causes(&error))));
                }
            }
        }
        self.names =
            wanted.iter().map(|wanted| (probe_id(&wanted.probe.id), wanted.probe.id.clone())).collect();
        for outcome in self.kernel.converge(&specs) {
            if let Some(name) = self.names.get(&outcome.id) {
                let result = outcome.result.map(attach_points).map_err(|error| unattached(&error));
                outcomes.insert(name.clone(), result);
            }
        }
        Converged { before, outcomes, after: self.observe(budgets) }
    }

    /// What would come of these. What is attached is not affected.
    pub(crate) fn rehearse(&mut self, chains: &[Chain]) -> Vec<Rehearsal> {
        chains
            .iter()
            .map(|chain| self.kernel.rehearse(chain.fault.into(), &chain.call_chain).into())
            .collect()
    }

    /// What the kernel counted. Budgets are read last, so that they are never behind.
    pub(crate) fn observe<'a>(&self, budgets: impl Iterator<Item = &'a BudgetName>) -> Observed {
        let counters = self.counters();
        let budgets = budgets.filter(|_| self.can_inject);
        let spent = budgets.map(|name| (name.clone(), self.kernel.spent(name.key()))).collect();
        Observed { counters, spent, missed: self.missed() }
    }

    /// Programs that two probes share, or that replaced one another, go by one name.
    fn missed(&self) -> BTreeMap<String, u64> {
        let mut missed = BTreeMap::new();
        for program in self.kernel.programs() {
            *missed.entry(program.name).or_default() += program.missed;
        }
        missed
    }

    fn counters(&self) -> BTreeMap<String, Tally> {
        let counters = self.kernel.counters().into_iter();
        counters.filter_map(|(id, counters)| Some((self.names.get(&id)?.clone(), counters.into()))).collect()
    }
}

fn attach_points(attached: Attached) -> Vec<AttachPoint> {
    let point = |point: kernel::AttachPoint| AttachPoint {
        function: point.function,
        mechanism: point.mechanism.to_string(),
        others: point.others,
        missed_runs: 0,
    };
    attached.points.into_iter().map(point).collect()
}

fn unattached(error: &ProbeError) -> Unattached {
    let reason = causes(error);
    if error.is_pending() { Unattached::Pending(reason) } else { Unattached::Failed(reason) }
}

fn spec(wanted: &Wanted, directory: std::path::PathBuf) -> ProbeSpec {
    let Wanted { probe, times, ends, budget } = wanted;
    ProbeSpec {
        id: probe_id(&probe.id),
        fault: probe.fault.into(),
        call_chain: probe.call_chain.clone(),
        probability: probe.probability.get(),
        times: *times,
        ends: *ends,
        budget: *budget,
        scope: vec![directory],
    }
}

impl From<kernel::Rehearsal> for Rehearsal {
    fn from(kernel::Rehearsal { frames, target, problems }: kernel::Rehearsal) -> Self {
        Self {
            frames: frames.into_iter().map(Rehearsed::from).collect(),
            target: target.into(),
            problems: problems.iter().map(|problem| causes(problem)).collect(),
        }
    }
}

impl From<kernel::Rehearsed> for Rehearsed {
    fn from(kernel::Rehearsed { function, attached, problem }: kernel::Rehearsed) -> Self {
        let point = attached.map(|point| (point.function, point.mechanism.to_string()));
        let (symbol, mechanism) = point.unzip();
        Self { function, symbol, mechanism, problem: problem.map(|problem| causes(&problem)) }
    }
}

/// A preflight, as it is reported.
#[must_use]
pub fn kernel_report(preflight: &Preflight) -> KernelReport {
    let Preflight { release, arch, lockdown: _, cgroup2: _, obstacles, faults, caveats } = preflight;
    let untried = |verdict: &FaultVerdict| Some((verdict.kind.into(), verdict.untried.clone()?));
    let injectable = |verdict: &FaultVerdict| match preflight.usable(verdict.kind) {
        Ok(mechanism) => Injectability::Yes { mechanism: mechanism.to_string() },
        Err(reason) => Injectability::No { reason: causes(&reason) },
    };
    KernelReport {
        release: release.clone(),
        machine: arch.clone(),
        faults: faults.iter().map(|verdict| (verdict.kind.into(), injectable(verdict))).collect(),
        obstacles: obstacles.iter().map(|obstacle| obstacle.text().to_owned()).collect(),
        untried: faults.iter().filter_map(untried).collect(),
        caveats: caveats.clone(),
    }
}

/// An error with its causes, in one line.
#[must_use]
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
