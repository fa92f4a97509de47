//! The gates: at most one program per target function, and the verdict whether it can be had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use faultline_api::Predicate;
use faultline_ebpf::asm::{AsmError, Program};
use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::{self, Hook, gate};
use faultline_ebpf::facts::{Facts, TargetFacts};
use faultline_ebpf::layout::globals::Unit;
use faultline_ebpf::predicate::Function as Signature;

use super::engine::Kprobes;
use super::error::ProbeError;
use super::functions::Ground;
use super::host::Host;
use super::maps::Maps;
use super::others::{Others, Seat};
use super::predicates::{Numbers, Predicates, compile};
use super::preflight::{FaultVerdict, Mechanism, Unusable};
use super::programs::{AttachError, Live, Loaded};
use super::selftest;
use super::spec::{AttachPoint, FaultKind};
use super::symbols::Listed;

/// The generation of the gates that are tried, which stay loaded: not active before it is written down as such. It is one
/// for all targets, for each has a place of its own where its generation is written down.
pub(super) const TRIED: u64 = 1;

/// Why a kprobe was taken where nothing was tried before.
pub(super) const FORCED: &str = "as configured";

/// Gates by fault.
#[derive(Debug, Default)]
pub(super) struct Gates {
    usable: BTreeMap<FaultKind, Result<TargetFacts, Unusable>>,
    /// Why it could not be tried whether anything calls the target.
    untried: BTreeMap<FaultKind, String>,
    /// Why the gate of a target is a kprobe.
    instead: BTreeMap<FaultKind, String>,
    /// Those that were tried, without predicates: loading them takes the verifier longer than all else that arming does.
    loaded: BTreeMap<FaultKind, Arc<Loaded>>,
    live: BTreeMap<FaultKind, (Live, Predicates)>,
    /// Where the targets start.
    addresses: BTreeMap<FaultKind, u64>,
    /// Whether gates go without the proof of their records.
    #[cfg(any(test, feature = "testing"))]
    believe_records: bool,
}

/// Writes a gate: its target, its predicates and its generation.
type Write = fn(&Facts, &TargetFacts, &[codegen::Predicate], u64) -> Result<Program, AsmError>;

impl Gates {
    /// Tries every gate once, disarmed, and whether anything would come to it. Those that can be had stay loaded.
    pub(super) fn try_all(
        btf: &Btf,
        facts: &Facts,
        maps: &Maps,
        host: &Host,
        targets: &BTreeMap<FaultKind, Listed>,
        kprobes: Kprobes,
    ) -> Self {
        let mut gates = Self::default();
        for kind in FaultKind::ALL {
            let symbol = targets.get(&kind).cloned().unwrap_or_default();
            gates.addresses.extend(symbol.addresses.first().map(|address| (kind, *address)));
            let trial = Trial { facts, maps, host, kprobes };
            let usable = trial.attempt(kind, btf, &symbol).and_then(|Tried { target, gate, instead }| {
                gates.instead.extend(instead.map(|reason| (kind, reason)));
                let target = gates.called(kind, btf, target, symbol.clone)?;
                gates.loaded.insert(kind, gate);
                Ok(target)
            });
            gates.usable.insert(kind, usable);
        }
        gates
    }

    /// Gates attached from now on do not prove what they have on record.
    #[cfg(any(test, feature = "testing"))]
    pub(super) fn believe_records(&mut self) {
        self.believe_records = true;
        self.loaded.clear();
    }

    fn write(&self) -> Write {
        #[cfg(any(test, feature = "testing"))]
        if self.believe_records {
            return codegen::credulous_gate;
        }
        gate
    }

    /// Whether what has to call the target does.
    fn called(
        &mut self,
        kind: FaultKind,
        btf: &Btf,
        target: TargetFacts,
        clone: Option<String>,
    ) -> Result<TargetFacts, Unusable> {
        match (selftest::calls(kind, btf), clone) {
            (Ok(0), clone) => Err(Unusable::NeverCalled { clone }),
            (Ok(_), _) => Ok(target),
            (Err(_), Some(clone)) => Err(Unusable::Clone { clone }),
            (Err(reason), None) => {
                self.untried.insert(kind, reason);
                Ok(target)
            }
        }
    }

    /// As long as no gate is attached.
    pub(super) fn verdicts(&self) -> Vec<FaultVerdict> {
        let others = Others::look(&BTreeSet::new());
        let seats: BTreeMap<String, Seat> = self.seats().collect();
        let verdict = |(kind, result): (&FaultKind, &Result<TargetFacts, Unusable>)| FaultVerdict {
            kind: *kind,
            mechanism: result.clone().map(|_| self.mechanism(*kind)),
            untried: self.untried.get(kind).cloned(),
            others: seats.get(kind.function()).map(|seat| others.on(seat)).unwrap_or_default(),
        };
        self.usable.iter().map(verdict).collect()
    }

    /// How the gate of a usable target is attached.
    pub(super) fn mechanism(&self, kind: FaultKind) -> Mechanism {
        match self.instead.get(&kind) {
            Some(reason) => Mechanism::Override { instead: reason.clone() },
            None => Mechanism::ModifyReturn,
        }
    }

    /// Attaches the gate of a fault, if it is not attached yet with the predicates that are wanted, and returns their
    /// numbers. A gate that lacks some is replaced: the new one is attached, takes over, and only then the old one goes.
    pub(super) fn ensure(
        &mut self,
        kind: FaultKind,
        wanted: &BTreeSet<&Predicate>,
        ground: &mut Ground<'_>,
    ) -> Result<Numbers, ProbeError> {
        let fault = |reason| ProbeError::Fault { function: kind.function().to_owned(), reason };
        let target = match self.usable.get(&kind) {
            Some(Ok(target)) => target,
            Some(Err(reason)) => return Err(fault(reason.clone())),
            None => return Err(fault(Unusable::Refused { reason: "it was never tried".to_owned() })),
        };
        let known = self.live.get(&kind).map(|(_, predicates)| predicates.clone());
        let (is_attached, mut predicates) = (known.is_some(), known.unwrap_or_default());
        let (types, write) = (ground.types, self.write());
        let compile = |predicate: &Predicate| {
            compile(Signature { btf: types.get()?, id: target.btf_id, is_syscall: false }, predicate)
        };
        let attach = |all: &[_]| match self.loaded.get(&kind).filter(|_| all.is_empty()) {
            Some(loaded) => Ok((TRIED, ground.attach_loaded(loaded)?)),
            None => ground.attach(|facts, generation| write(facts, target, all, generation)),
        };
        let renewed = predicates
            .renew(is_attached, wanted, compile, attach)
            .map_err(|error| fault(Unusable::Refused { reason: error.to_string() }))?;
        if let Some((generation, live)) = renewed.program {
            ground.maps.globals.store(Unit::Gate(kind.target()).offset(), generation);
            self.live.insert(kind, (live, predicates));
        } else if let Some((_, known)) = self.live.get_mut(&kind) {
            *known = predicates;
        }
        Ok(renewed.numbers)
    }

    /// Detaches all but the `used` ones.
    pub(super) fn keep(&mut self, used: &BTreeSet<FaultKind>) {
        self.live.retain(|kind, _| used.contains(kind));
    }

    /// What the gate of a fault is attached to, where it is.
    pub(super) fn point(&self, kind: FaultKind) -> Option<AttachPoint> {
        self.live.get(&kind)?;
        let (function, mechanism) = (kind.function().to_owned(), self.mechanism(kind));
        Some(AttachPoint { function, mechanism, others: Vec::new() })
    }

    /// The usable targets, each with its name.
    pub(super) fn seats(&self) -> impl Iterator<Item = (String, Seat)> {
        let usable = self.usable.iter().filter_map(|(kind, usable)| Some((*kind, usable.as_ref().ok()?)));
        usable.map(|(kind, target)| {
            let live = self.live.get(&kind).map(|(live, _)| live);
            let seat = Seat {
                name: kind.function().to_owned(),
                module: None,
                btf_id: target.btf_id,
                address: self.addresses.get(&kind).copied().unwrap_or_default(),
                kprobes: usize::from(live.is_some() && self.instead.contains_key(&kind)),
                gate: live.and_then(Live::link_id),
            };
            (kind.function().to_owned(), seat)
        })
    }

    /// The programs attached.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Live> {
        self.live.values().map(|(live, _)| live)
    }
}

/// A gate that was tried.
struct Tried {
    target: TargetFacts,
    gate: Arc<Loaded>,
    /// Why its hook is not the best of all.
    instead: Option<String>,
}

/// What trying a gate takes.
struct Trial<'a> {
    facts: &'a Facts,
    maps: &'a Maps,
    host: &'a Host,
    kprobes: Kprobes,
}

impl Trial<'_> {
    /// The gate with the best hook that there is.
    fn attempt(&self, kind: FaultKind, btf: &Btf, symbol: &Listed) -> Result<Tried, Unusable> {
        let Some(address) = symbol.addresses.first().copied() else {
            return Err(match &symbol.clone {
                Some(clone) => Unusable::Clone { clone: clone.clone() },
                None => Unusable::Missing { option: self.host.option(option_of(kind)) },
            });
        };
        let target = TargetFacts::from_btf(btf, kind.target()).map_err(|missing| Unusable::Refused {
            reason: format!("its description in BTF has {missing}"),
        })?;
        let kprobe = TargetFacts { hook: Hook::Kprobe { address }, ..target };
        let by_kprobe = |gate, instead| Tried { target: kprobe, gate, instead: Some(instead) };
        if self.kprobes.gates {
            return Ok(by_kprobe(self.attach(&kprobe).map_err(refused)?, FORCED.to_owned()));
        }
        let first = match self.attach(&target) {
            Ok(gate) => return Ok(Tried { target, gate, instead: None }),
            Err(error) => error,
        };
        match self.attach(&kprobe) {
            Ok(gate) => Ok(by_kprobe(gate, format!("fmod_ret: {first}"))),
            // Both need this one option, and the second would only say that a helper is unknown.
            Err(_) if first.is_not_modifiable() => {
                let option = self.host.option("CONFIG_FUNCTION_ERROR_INJECTION");
                Err(Unusable::NotInjectable { option })
            }
            Err(second) => {
                let reason = format!("fmod_ret: {first}; kprobe override: {second}");
                Err(Unusable::Refused { reason })
            }
        }
    }

    /// For a moment, disarmed.
    fn attach(&self, target: &TargetFacts) -> Result<Arc<Loaded>, AttachError> {
        let loaded = Loaded::load(&gate(self.facts, target, &[], TRIED)?, self.maps)?;
        loaded.attach()?;
        Ok(loaded)
    }
}

fn refused(error: AttachError) -> Unusable {
    Unusable::Refused { reason: error.to_string() }
}

/// The option that keeps the function in newer kernels.
fn option_of(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Slab => "CONFIG_FAILSLAB",
        FaultKind::Page => "CONFIG_FAIL_PAGE_ALLOC",
        FaultKind::Bio => "CONFIG_FAIL_MAKE_REQUEST",
    }
}
