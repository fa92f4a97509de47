//! The gates: at most one program per target function, and the verdict whether it can be had.

use std::collections::{BTreeMap, BTreeSet};

use faultline_ebpf::btf::Btf;
use faultline_ebpf::codegen::gate;
use faultline_ebpf::facts::{Facts, TargetFacts};
use faultline_ebpf::layout::globals::Unit;

use super::error::ProbeError;
use super::functions::Ground;
use super::host::Host;
use super::maps::Maps;
use super::preflight::{FaultVerdict, Mechanism, Unusable};
use super::programs::{AttachError, Live};
use super::spec::FaultKind;
use super::symbols::Symbol;

/// The generation of a gate that is only tried: never active, for generations count up from 1.
const DISARMED: u64 = u64::MAX;

/// Gates by fault.
#[derive(Debug)]
pub(super) struct Gates {
    usable: BTreeMap<FaultKind, Result<TargetFacts, Unusable>>,
    live: BTreeMap<FaultKind, Live>,
}

impl Gates {
    /// Tries every gate once, disarmed.
    pub(super) fn try_all(
        btf: &Btf,
        facts: &Facts,
        maps: &Maps,
        host: &Host,
        table: &BTreeMap<String, Symbol>,
    ) -> Self {
        let usable = FaultKind::ALL.map(|kind| {
            let symbol = table.get(kind.function()).cloned().unwrap_or_default();
            (kind, attempt(kind, btf, facts, maps, host, &symbol))
        });
        Self { usable: usable.into(), live: BTreeMap::new() }
    }

    pub(super) fn verdicts(&self) -> Vec<FaultVerdict> {
        let mechanism = |result: &Result<TargetFacts, Unusable>| match result {
            Ok(_) => Ok(Mechanism::ModifyReturn),
            Err(reason) => Err(reason.clone()),
        };
        self.usable
            .iter()
            .map(|(kind, result)| FaultVerdict { kind: *kind, mechanism: mechanism(result) })
            .collect()
    }

    /// Attaches the gate of a fault, if it is not attached yet.
    pub(super) fn ensure(&mut self, kind: FaultKind, ground: &mut Ground<'_>) -> Result<(), ProbeError> {
        if self.live.contains_key(&kind) {
            return Ok(());
        }
        let fault = |reason| ProbeError::Fault { function: kind.function().to_owned(), reason };
        let target = match self.usable.get(&kind) {
            Some(Ok(target)) => target,
            Some(Err(reason)) => return Err(fault(reason.clone())),
            None => return Err(fault(Unusable::Refused { reason: "it was never tried".to_owned() })),
        };
        *ground.generation += 1;
        let live = gate(ground.facts, target, *ground.generation)
            .map_err(AttachError::from)
            .and_then(|program| Live::attach(&program, ground.maps))
            .map_err(|error| fault(Unusable::Refused { reason: error.to_string() }))?;
        ground.maps.globals.store(Unit::Gate(kind.target()).offset(), *ground.generation);
        self.live.insert(kind, live);
        Ok(())
    }

    /// Detaches all but the `used` ones.
    pub(super) fn keep(&mut self, used: &BTreeSet<FaultKind>) {
        self.live.retain(|kind, _| used.contains(kind));
    }

    /// The programs attached.
    pub(super) fn programs(&self) -> impl Iterator<Item = &Live> {
        self.live.values()
    }
}

fn attempt(
    kind: FaultKind,
    btf: &Btf,
    facts: &Facts,
    maps: &Maps,
    host: &Host,
    symbol: &Symbol,
) -> Result<TargetFacts, Unusable> {
    if let Some(clone) = &symbol.clone {
        return Err(Unusable::Clone { clone: clone.clone() });
    }
    if symbol.addresses.is_empty() {
        return Err(Unusable::Missing { option: host.option(option_of(kind)) });
    }
    let target = TargetFacts::from_btf(btf, kind.target())
        .map_err(|missing| Unusable::Refused { reason: format!("its description in BTF has {missing}") })?;
    let refused = |error: AttachError| match error {
        error if error.is_not_modifiable() => {
            Unusable::NotInjectable { option: host.option("CONFIG_FUNCTION_ERROR_INJECTION") }
        }
        error => Unusable::Refused { reason: error.to_string() },
    };
    let program = gate(facts, &target, DISARMED).map_err(AttachError::from).map_err(refused)?;
    Live::attach(&program, maps).map_err(refused)?;
    Ok(target)
}

/// The option that keeps the function in newer kernels.
fn option_of(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Slab => "CONFIG_FAILSLAB",
        FaultKind::Page => "CONFIG_FAIL_PAGE_ALLOC",
        FaultKind::Bio => "CONFIG_FAIL_MAKE_REQUEST",
    }
}
