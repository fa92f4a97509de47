//! The numbers that data and programs know functions and predicates by.

use std::collections::BTreeMap;

use faultline_api::{Experiment, Predicate};
use faultline_ebpf::{
    codegen::{self, ChainFunction, Hook},
    layout::{probe::Step, task::SITE_SPAN},
    predicate::Ir,
};

use super::Mechanism;
use crate::cli::kernel::{Chain, Resolved};

/// Where a function is, only a running kernel knows.
pub(super) const ADDRESS: u64 = 0;

/// And how long it is.
const SIZE: u32 = 0;

/// Predicates of one program. An agent numbers them in this order, and a test of its holds it to that.
type Predicates<'a> = BTreeMap<&'a Predicate, &'a Ir>;

/// Those of an agent that has one experiment and nothing else.
#[derive(Debug)]
pub(super) struct Numbers<'a> {
    /// By the kernel's own spelling: spelt in two ways, a function is still one.
    functions: BTreeMap<String, (ChainFunction, Predicates<'a>)>,
    of_target: Predicates<'a>,
}

impl<'a> Numbers<'a> {
    /// Functions are numbered in the alphabetical order of their names as they are written, as agents do.
    pub(super) fn of(experiment: &'a Experiment, chain: &'a Chain, mechanism: Mechanism) -> Self {
        let mut frames: Vec<_> = experiment.call_chain.frames.iter().zip(&chain.frames).collect();
        frames.sort_by_key(|(frame, _)| frame.function.as_str());
        let mut functions = BTreeMap::new();
        let mut next = 1;
        for (frame, Resolved { symbol, condition }) in frames {
            let (_, predicates) = functions.entry(symbol.to_string()).or_insert_with(|| {
                let (name, number) = (symbol.to_string(), next);
                next += 1;
                let (hook, span) = match (&symbol.module, mechanism) {
                    (None, Mechanism::Trampoline) => (Hook::Trampoline { btf_id: symbol.id }, SITE_SPAN),
                    _ => (Hook::Kprobe { address: ADDRESS }, SIZE),
                };
                (ChainFunction { name, number, hook, address: ADDRESS, span }, Predicates::new())
            });
            predicates.extend(frame.predicate.as_ref().zip(condition.as_ref()));
        }
        let of_target = experiment.call_chain.target.as_ref().zip(chain.condition.as_ref());
        Self { functions, of_target: of_target.into_iter().collect() }
    }

    /// The functions on the way in the order of their numbers, with what is evaluated at their entries.
    pub(super) fn functions(&self) -> Vec<(ChainFunction, Vec<codegen::Predicate>)> {
        let functions = self.functions.values();
        let mut functions: Vec<_> =
            functions.map(|(function, predicates)| (function.clone(), numbered(predicates))).collect();
        functions.sort_by_key(|(function, _)| function.number);
        functions
    }

    /// What is evaluated where the function that fails is entered.
    pub(super) fn of_target(&self) -> Vec<codegen::Predicate> {
        numbered(&self.of_target)
    }

    /// What the chain waits for at a frame.
    pub(super) fn step(&self, frame: &Resolved, predicate: Option<&Predicate>) -> Step {
        match self.functions.get(&frame.symbol.to_string()) {
            Some((function, predicates)) => {
                Step { function: function.number, predicate: number(predicates, predicate) }
            }
            None => Step { function: 0, predicate: 0 },
        }
    }
}

fn numbered(predicates: &Predicates<'_>) -> Vec<codegen::Predicate> {
    let predicates = predicates.values().zip(1..);
    predicates
        .map(|(condition, number)| codegen::Predicate { number, condition: (*condition).clone() })
        .collect()
}

/// 0 for none.
fn number(predicates: &Predicates<'_>, predicate: Option<&Predicate>) -> u8 {
    let mut known = predicates.keys().zip(1..);
    known.find(|(known, _)| Some(**known) == predicate).map_or(0, |(_, number)| number)
}
