//! Three accounts of one epoch, and whether they agree: of the victims, of the tracer, of the engine.

use std::collections::BTreeMap;
use std::fs;

use crate::agent::Counted;
use crate::book::Book;
use crate::experiments::{Experiment, FUNCTIONS};
use crate::tracer::{Record, Seen};
use crate::victim::Account;
use crate::workers::Failure;

/// Everything that is known of an epoch.
pub(crate) struct Evidence<'a> {
    pub(crate) book: &'a Book,
    pub(crate) accounts: &'a [Account],
    pub(crate) seen: &'a Seen,
    /// Each experiment with the most `times` that it ever had, and what its budget has lost.
    pub(crate) spent: &'a [(Experiment, u64)],
    /// Each experiment in every form that it had.
    pub(crate) used: &'a [Experiment],
    /// What the engine at the end counted of the probes that it had.
    pub(crate) counted: &'a [Counted],
    /// Ids of the containers' cgroups.
    pub(crate) containers: &'a [u64],
    /// Containers whose experiments all have frames, so that each injection is one failed operation.
    pub(crate) exact: &'a [usize],
    pub(crate) bystanders: &'a [usize],
    pub(crate) functions: &'a Functions,
}

/// Where the functions of the chains are.
pub(crate) struct Functions(BTreeMap<&'static str, (u64, u64)>);

impl Functions {
    pub(crate) fn find() -> Self {
        let table = fs::read_to_string("/proc/kallsyms").unwrap();
        let address = |line: &str| u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap();
        let mut all: Vec<u64> = table.lines().map(address).collect();
        all.sort_unstable();
        let find = |name: &'static str| {
            let suffix = format!(" {name}");
            let line = table.lines().find(|line| line.ends_with(&suffix)).unwrap();
            let start = address(line);
            (name, (start, *all.iter().find(|next| **next > start).unwrap()))
        };
        Self(FUNCTIONS.map(find).into())
    }

    /// Whether the functions are on a stack, the last innermost.
    fn are_on(&self, functions: &[&str], stack: &[u64]) -> bool {
        let mut addresses = stack.iter();
        functions.iter().rev().all(|name| {
            let (start, end) = self.0[name];
            addresses.any(|address| (start..end).contains(address))
        })
    }
}

impl Evidence<'_> {
    /// Everything that is wrong.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        self.scope(&mut faults);
        self.times(&mut faults);
        self.sums(&mut faults);
        self.stacks(&mut faults);
        self.matches(&mut faults);
        faults
    }

    /// Nothing fails where nothing may, when nothing may, or in an interrupt.
    fn scope(&self, faults: &mut Vec<String>) {
        for (container, account) in self.accounts.iter().enumerate() {
            for failure in account.failures.iter().filter(|failure| !self.book.allows(container, failure)) {
                faults.push(format!("out of scope or after its end: container {container}: {failure:?}"));
            }
        }
        for record in self.seen.records.iter().filter(|record| self.container(record).is_none()) {
            faults.push(format!("outside all containers: {record:x?}"));
        }
        for bystander in self.bystanders {
            if self.seen.counts[*bystander] > 0 {
                faults
                    .push(format!("{} failed calls in bystander {bystander}", self.seen.counts[*bystander]));
            }
        }
        if self.seen.interrupted > 0 {
            faults.push(format!("{} failed calls in interrupts", self.seen.interrupted));
        }
    }

    fn times(&self, faults: &mut Vec<String>) {
        for (experiment, spent) in self.spent {
            if experiment.times > 0 && *spent > u64::from(experiment.times) {
                faults.push(format!("over budget: {spent} of {experiment:?}"));
            }
        }
        for Counted { id, injections, spent, .. } in self.counted {
            if injections != spent {
                faults.push(format!("probe {id} counts {injections} injections; its budget lost {spent}"));
            }
        }
    }

    /// Budgets, tracer and victims have the same sums.
    fn sums(&self, faults: &mut Vec<String>) {
        let spent_in = |exact: bool| -> u64 {
            let inside = |experiment: &Experiment| {
                self.exact.iter().any(|container| experiment.covers(*container)) == exact
            };
            self.spent.iter().filter(|(experiment, _)| inside(experiment)).map(|(_, spent)| spent).sum()
        };
        let failed: u64 = self.exact.iter().map(|container| self.accounts[*container].failed()).sum();
        if failed != spent_in(true) {
            faults.push(format!("{failed} operations failed, and budgets lost {}", spent_in(true)));
        }
        for (container, account) in self.accounts.iter().enumerate() {
            let (traced, failed) = (self.seen.counts[container], account.failed());
            let is_exact = self.exact.contains(&container);
            if failed > traced + self.seen.uncounted || is_exact && traced > failed {
                faults.push(format!("container {container}: {failed} operations failed, {traced} calls"));
            }
        }
        let all = spent_in(true) + spent_in(false);
        let calls: u64 = self.seen.counts.iter().sum();
        if calls > all || all > calls + self.seen.uncounted {
            faults.push(format!("budgets lost {all}; {calls} calls failed"));
        }
    }

    /// Each failed call of a container that has chains only was inside one of them.
    fn stacks(&self, faults: &mut Vec<String>) {
        for record in &self.seen.records {
            let Some(container) = self.container(record) else { continue };
            let is_inside = self
                .used
                .iter()
                .filter(|experiment| experiment.covers(container) && experiment.shape.fault() == record.fault)
                .any(|experiment| self.functions.are_on(experiment.shape.functions(), &record.stack));
            if !is_inside {
                faults.push(format!("outside every chain: container {container}: {record:x?}"));
            }
        }
    }

    /// Each failed call is a failed operation of the same thread, at the same time.
    fn matches(&self, faults: &mut Vec<String>) {
        let mut failures: BTreeMap<u64, Vec<&Failure>> = BTreeMap::new();
        for failure in self.exact.iter().flat_map(|container| &self.accounts[*container].failures) {
            failures.entry(failure.tid).or_default().push(failure);
        }
        for record in &self.seen.records {
            if !self.container(record).is_some_and(|container| self.exact.contains(&container)) {
                continue;
            }
            let of_thread = failures.get_mut(&record.tid);
            let found = of_thread.and_then(|all| {
                let same = |failure: &&Failure| (failure.began..=failure.ended).contains(&record.time);
                all.iter().position(same).map(|at| all.swap_remove(at))
            });
            if found.is_none() {
                faults.push(format!("no operation fits: {record:x?}"));
            }
        }
        let left: usize = failures.values().map(Vec::len).sum();
        if u64::try_from(left).unwrap() > self.seen.unkept {
            faults.push(format!("{left} failed operations without a failed call"));
        }
    }

    fn container(&self, record: &Record) -> Option<usize> {
        self.containers.iter().position(|id| *id == record.cgroup)
    }
}
