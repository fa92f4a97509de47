//! A kernel that the engine does not open on: it says why, and attaches nothing.

use std::collections::BTreeMap;

use faultline_api::CallChain;

use crate::kernel::{
    BootNanos, BudgetKey, Counters, FaultKind, Kernel, Preflight, ProbeError, ProbeId, ProbeOutcome,
    ProbeSpec, ProgramStatus, Rehearsal, refused,
};

/// Nothing but a preflight whose verdicts are all negative.
#[derive(Debug)]
pub(crate) struct InertKernel {
    preflight: Preflight,
}

impl InertKernel {
    pub(crate) const fn new(preflight: Preflight) -> Self {
        Self { preflight }
    }

    fn refuse(&self, spec: &ProbeSpec) -> ProbeError {
        let verdict = self.preflight.usable(spec.fault).err();
        let function = spec.fault.function().to_owned();
        match verdict {
            Some(reason) => ProbeError::Fault { function, reason },
            None => ProbeError::NotAttachable { name: function, reason: "the engine is not open".into() },
        }
    }
}

impl Kernel for InertKernel {
    fn preflight(&self) -> Preflight {
        self.preflight.clone()
    }

    fn converge(&mut self, desired: &[ProbeSpec]) -> Vec<ProbeOutcome> {
        desired.iter().map(|spec| ProbeOutcome { id: spec.id, result: Err(self.refuse(spec)) }).collect()
    }

    fn rehearse(&mut self, fault: FaultKind, _: &CallChain) -> Rehearsal {
        refused(&self.preflight, fault)
    }

    fn set_lease(&self, _: BootNanos) {}

    fn programs(&self) -> Vec<ProgramStatus> {
        Vec::new()
    }

    fn counters(&self) -> BTreeMap<ProbeId, Counters> {
        BTreeMap::new()
    }

    fn spent(&self, _: BudgetKey) -> u64 {
        0
    }

    fn forget_budget(&mut self, _: BudgetKey) {}
}
