//! What would come of experiments on this kernel: everything that a converge attaches is attached, and let go again.
//!
//! Nothing can inject meanwhile. There is no probe and no cgroup in scope, so every program leaves at its fast path.

use faultline_api::{CallChain, Predicate};
use faultline_ebpf::layout::MAX_FRAMES;

use super::EngineConfig;
use super::converge::{self, Places};
use super::engine::Engine;
use super::error::ProbeError;
use super::preflight::Preflight;
use super::spec::{AttachPoint, FaultKind};
use super::{Kernel, obstacles};

/// What would come of one experiment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// Each function of the chain, outermost first.
    pub frames: Vec<Rehearsed>,
    /// The function that fails.
    pub target: Rehearsed,
    /// What else would keep it from being attached.
    pub problems: Vec<ProbeError>,
}

/// What would come of a function on the way, or of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// As the chain names it.
    pub function: String,
    /// What its programs were attached to for a moment, and how.
    pub attached: Option<AttachPoint>,
    /// Why they, or its predicate, cannot be.
    pub problem: Option<ProbeError>,
}

impl Rehearsal {
    /// Everything that stands against it, in the order of the chain.
    pub fn reasons(&self) -> impl Iterator<Item = &ProbeError> {
        let of_functions = self.frames.iter().chain([&self.target]).filter_map(|at| at.problem.as_ref());
        of_functions.chain(&self.problems)
    }

    /// Whether it could be attached.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.reasons().next().is_none()
    }
}

/// What this machine can do, and what would come of each of these on it.
///
/// Without an engine the chains are not looked at: then only the fault is judged.
#[must_use]
pub fn rehearse(config: &EngineConfig, wanted: &[(FaultKind, CallChain)]) -> (Preflight, Vec<Rehearsal>) {
    match Engine::open(config) {
        Ok(mut engine) => {
            let each = wanted.iter().map(|(fault, chain)| engine.rehearse(*fault, chain)).collect();
            (engine.preflight(), each)
        }
        Err(error) => {
            let preflight = obstacles::in_the_way(config, &error);
            let each = wanted.iter().map(|(fault, _)| refused(&preflight, *fault)).collect();
            (preflight, each)
        }
    }
}

/// As far as the fault alone tells.
pub(crate) fn refused(preflight: &Preflight, fault: FaultKind) -> Rehearsal {
    let function = fault.function().to_owned();
    let reason = preflight.usable(fault).err();
    let problem = reason.map(|reason| ProbeError::Fault { function: function.clone(), reason });
    Rehearsal {
        frames: Vec::new(),
        target: Rehearsed { function, attached: None, problem },
        problems: Vec::new(),
    }
}

impl Engine {
    /// As [`Kernel::rehearse`] has it.
    pub(super) fn attach_and_detach(&mut self, fault: FaultKind, chain: &CallChain) -> Rehearsal {
        let places = converge::attach(self, &[(fault, chain)]);
        let others = self.others();
        let shared = |point: AttachPoint| {
            let others = others.get(&point.function).cloned().unwrap_or_default();
            AttachPoint { others, ..point }
        };
        let frames = chain.frames.iter().map(|frame| {
            let attached = places.point(&frame.function).map(shared);
            let problem = places.step(frame).err();
            Rehearsed { function: frame.function.clone(), attached, problem }
        });
        let frames = frames.collect();
        let target = self.rehearsed_target(fault, chain.target.as_ref(), &places);
        let rehearsal = Rehearsal {
            frames,
            target: Rehearsed { attached: target.attached.map(shared), ..target },
            problems: self.problems(chain),
        };
        converge::detach_unused(self);
        rehearsal
    }

    fn rehearsed_target(
        &self,
        fault: FaultKind,
        predicate: Option<&Predicate>,
        places: &Places,
    ) -> Rehearsed {
        Rehearsed {
            function: fault.function().to_owned(),
            attached: self.gates.point(fault),
            problem: places.gate(fault, predicate).err(),
        }
    }

    fn problems(&mut self, chain: &CallChain) -> Vec<ProbeError> {
        let given = chain.frames.len();
        let too_many = (given > MAX_FRAMES).then_some(ProbeError::TooManyFrames { given, max: MAX_FRAMES });
        too_many.into_iter().chain(converge::follow_cgroups(self).err()).collect()
    }
}
