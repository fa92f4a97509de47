//! A kernel for tests of the session.
//!
//! Its limits: it never runs a program. Scopes are not resolved, functions exist unless listed as missing,
//! and injections happen only when a test calls [`FakeKernel::inject`], which applies lease, end,
//! probability 0 and `times` as the real gate does, and nothing else.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faultline_api::CallChain;
use faultline_ebpf::symbol::{Name, Unresolved};

use super::{
    AttachPoint, Attached, BootNanos, BudgetKey, Counters, FaultKind, FaultVerdict, Kernel, Mechanism,
    Preflight, ProbeError, ProbeId, ProbeOutcome, ProbeSpec, ProgramStatus, Rehearsal, Rehearsed,
};

/// An in-memory kernel.
#[derive(Debug, Default)]
pub struct FakeKernel {
    missing: BTreeSet<String>,
    probes: BTreeMap<ProbeId, (ProbeSpec, Counters)>,
    budgets: BTreeMap<BudgetKey, u64>,
    lease: Cell<u64>,
}

impl FakeKernel {
    /// A kernel on which every function exists.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, without a function of that name.
    #[must_use]
    pub fn without_function(mut self, name: &str) -> Self {
        self.missing.insert(name.to_owned());
        self
    }

    /// What a crash of the agent leaves: budgets stay (they are pinned), all else is gone.
    #[must_use]
    pub fn restarted(self) -> Self {
        Self { missing: self.missing, budgets: self.budgets, ..Self::default() }
    }

    /// A task in scope reaches the target through the whole chain at `now`; true when it fails.
    pub fn inject(&mut self, id: ProbeId, now: BootNanos) -> bool {
        let Some((spec, counters)) = self.probes.get_mut(&id) else { return false };
        counters.hits += 1;
        if now.0 >= self.lease.get() || now >= spec.ends {
            counters.expired += 1;
            return false;
        }
        counters.matches += 1;
        if spec.probability == 0 {
            counters.sampled_out += 1;
            return false;
        }
        let spent = self.budgets.entry(spec.budget).or_default();
        if spec.times.is_some_and(|times| *spent >= u64::from(times.get())) {
            counters.exhausted += 1;
            return false;
        }
        *spent += 1;
        counters.injections += 1;
        true
    }

    /// The probes in force.
    pub fn attached(&self) -> impl Iterator<Item = &ProbeSpec> {
        self.probes.values().map(|(spec, _)| spec)
    }

    /// The lease as last set.
    #[must_use]
    pub fn lease(&self) -> BootNanos {
        BootNanos(self.lease.get())
    }

    fn admit(&self, spec: &ProbeSpec) -> Result<Attached, ProbeError> {
        if spec.probability > 100 {
            return Err(ProbeError::Probability { given: spec.probability });
        }
        if spec.scope.is_empty() {
            return Err(ProbeError::ScopeGone);
        }
        let mut functions = spec.call_chain.frames.iter().map(|frame| &frame.function);
        match functions.find(|function| self.missing.contains(*function)) {
            Some(name) => Err(missing(name).into()),
            None => Ok(Attached { cgroups: spec.scope.len(), missing: Vec::new(), points: points(spec) }),
        }
    }
}

/// Always by the best mechanism there is.
fn points(spec: &ProbeSpec) -> Vec<AttachPoint> {
    let point = |function: &str, mechanism| AttachPoint {
        function: function.to_owned(),
        mechanism,
        others: Vec::new(),
    };
    let frames = spec.call_chain.frames.iter().map(|frame| point(&frame.function, Mechanism::Trampoline));
    frames.chain([point(spec.fault.function(), Mechanism::ModifyReturn)]).collect()
}

/// As the real kernel's answer: where a module is named, it is that which is not there.
fn missing(name: &str) -> Unresolved {
    match Name::parse(name).module() {
        Some(module) => Unresolved::NoModule { module, function: None },
        None => Unresolved::Unknown { name: name.to_owned(), nearest: Vec::new() },
    }
}

impl Kernel for FakeKernel {
    fn preflight(&self) -> Preflight {
        Preflight {
            release: "6.1.0-fake".to_owned(),
            arch: "x86_64".to_owned(),
            lockdown: "none".to_owned(),
            cgroup2: Some("/sys/fs/cgroup".into()),
            obstacles: Vec::new(),
            caveats: Vec::new(),
            faults: FaultKind::ALL
                .map(|kind| FaultVerdict {
                    kind,
                    mechanism: Ok(Mechanism::ModifyReturn),
                    untried: None,
                    others: Vec::new(),
                })
                .into(),
        }
    }

    fn converge(&mut self, desired: &[ProbeSpec]) -> Vec<ProbeOutcome> {
        let mut before = std::mem::take(&mut self.probes);
        desired
            .iter()
            .map(|spec| {
                let duplicate = self.probes.contains_key(&spec.id);
                let result = if duplicate { Err(ProbeError::Duplicate) } else { self.admit(spec) };
                if result.is_ok() {
                    let counters = before.remove(&spec.id).map(|(_, counters)| counters).unwrap_or_default();
                    self.budgets.entry(spec.budget).or_default();
                    self.probes.insert(spec.id, (spec.clone(), counters));
                }
                ProbeOutcome { id: spec.id, result }
            })
            .collect()
    }

    fn rehearse(&mut self, fault: FaultKind, chain: &CallChain) -> Rehearsal {
        let known = |function: &str, mechanism| {
            let point = AttachPoint { function: function.to_owned(), mechanism, others: Vec::new() };
            Rehearsed { function: function.to_owned(), attached: Some(point), problem: None }
        };
        let unknown = |function: &str| {
            let missing = Unresolved::Unknown { name: function.to_owned(), nearest: Vec::new() };
            Rehearsed { function: function.to_owned(), attached: None, problem: Some(missing.into()) }
        };
        let frames = chain.frames.iter().map(|frame| match self.missing.contains(&frame.function) {
            true => unknown(&frame.function),
            false => known(&frame.function, Mechanism::Trampoline),
        });
        let target = known(fault.function(), Mechanism::ModifyReturn);
        Rehearsal { frames: frames.collect(), target, problems: Vec::new() }
    }

    fn set_lease(&self, until: BootNanos) {
        self.lease.set(until.0);
    }

    fn programs(&self) -> Vec<ProgramStatus> {
        Vec::new()
    }

    fn counters(&self) -> BTreeMap<ProbeId, Counters> {
        self.probes.iter().map(|(id, (_, counters))| (*id, *counters)).collect()
    }

    fn spent(&self, key: BudgetKey) -> u64 {
        self.budgets.get(&key).copied().unwrap_or_default()
    }

    fn forget_budget(&mut self, key: BudgetKey) {
        if self.probes.values().all(|(spec, _)| spec.budget != key) {
            self.budgets.remove(&key);
        }
    }
}

/// A fake kernel that an agent has and the test holds as well.
#[derive(Clone, Debug, Default)]
pub struct SharedKernel(Arc<Mutex<FakeKernel>>);

impl SharedKernel {
    /// Shares `kernel`.
    #[must_use]
    pub fn new(kernel: FakeKernel) -> Self {
        Self(Arc::new(Mutex::new(kernel)))
    }

    /// The kernel, for as long as the guard is kept.
    pub fn lock(&self) -> MutexGuard<'_, FakeKernel> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes from it what the end of the agent's process takes.
    pub fn crash(&self) {
        let mut kernel = self.lock();
        *kernel = std::mem::take(&mut *kernel).restarted();
    }
}

impl Kernel for SharedKernel {
    fn preflight(&self) -> Preflight {
        self.lock().preflight()
    }

    fn converge(&mut self, desired: &[ProbeSpec]) -> Vec<ProbeOutcome> {
        self.lock().converge(desired)
    }

    fn rehearse(&mut self, fault: FaultKind, chain: &CallChain) -> Rehearsal {
        self.lock().rehearse(fault, chain)
    }

    fn set_lease(&self, until: BootNanos) {
        self.lock().set_lease(until);
    }

    fn programs(&self) -> Vec<ProgramStatus> {
        self.lock().programs()
    }

    fn counters(&self) -> BTreeMap<ProbeId, Counters> {
        self.lock().counters()
    }

    fn spent(&self, key: BudgetKey) -> u64 {
        self.lock().spent(key)
    }

    fn forget_budget(&mut self, key: BudgetKey) {
        self.lock().forget_budget(key);
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use faultline_api::Frame;

    use super::*;

    fn spec(id: u64, times: u32) -> ProbeSpec {
        ProbeSpec {
            id: ProbeId(id),
            fault: FaultKind::Slab,
            call_chain: CallChain {
                frames: vec![Frame { function: "__x64_sys_mount".to_owned(), predicate: None }],
                target: None,
            },
            probability: 100,
            times: NonZeroU32::new(times),
            ends: BootNanos(100),
            budget: BudgetKey([7; 16]),
            scope: vec!["/sys/fs/cgroup/a".into()],
        }
    }

    #[test]
    fn nothing_injects_before_the_first_lease_or_after_the_end() {
        let mut kernel = FakeKernel::new();
        kernel.converge(&[spec(1, 0)]);
        assert!(!kernel.inject(ProbeId(1), BootNanos(1)));
        kernel.set_lease(BootNanos(1_000));
        assert!(kernel.inject(ProbeId(1), BootNanos(1)));
        assert!(!kernel.inject(ProbeId(1), BootNanos(100)));
    }

    #[test]
    fn an_edit_and_a_restart_keep_what_is_spent() {
        let mut kernel = FakeKernel::new();
        kernel.set_lease(BootNanos(1_000));
        kernel.converge(&[spec(1, 2)]);
        assert!(kernel.inject(ProbeId(1), BootNanos(1)));
        kernel.converge(&[spec(1, 3)]);
        let mut kernel = kernel.restarted();
        kernel.set_lease(BootNanos(1_000));
        kernel.converge(&[spec(1, 3)]);
        let failed = (0..10).filter(|_| kernel.inject(ProbeId(1), BootNanos(1))).count();
        assert_eq!((failed, kernel.spent(BudgetKey([7; 16]))), (2, 3));
    }
}
