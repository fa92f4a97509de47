//! From the slots of a run to the probes of its nodes.

use std::collections::BTreeMap;

use faultline_api::Reason;

use crate::{
    desired::Probe,
    due::WhyNot,
    effective::Effective,
    ledger::{Ledger, Run, RunKey},
    select::{Selection, SlotTarget},
};

/// Adds the probes of one run to `nodes`, and marks in the record which nodes will have to say what was
/// spent. A target waits, and says so, while its slot's budget may still be in use on another node.
pub(super) fn build(
    key: &RunKey,
    run: &mut Run,
    selection: &Selection,
    values: &Effective,
    ledger: &Ledger,
    nodes: &mut BTreeMap<String, Vec<Probe>>,
) -> Vec<WhyNot> {
    let mut waiting = Vec::new();
    for target in &selection.targets {
        match unconfirmed(run, target, values, ledger) {
            Some(other) => waiting.push(waits(key, run, target, &other)),
            None => {
                nodes.entry(target.node.clone()).or_default().push(probe(key, run, target, values));
                if let Some(slot) = slot_mut(run, target.slot) {
                    slot.unconfirmed.insert(target.node.clone());
                }
            }
        }
    }
    waiting
}

/// Another node that may still be spending from the slot's budget, or has not said how much it spent. What is
/// left cannot be known before it does; without a limit there is nothing to know.
fn unconfirmed(run: &Run, target: &SlotTarget, values: &Effective, ledger: &Ledger) -> Option<String> {
    values.times?;
    let slot = run.slots.get(usize::try_from(target.slot).ok()?)?;
    slot.unconfirmed.iter().find(|node| **node != target.node && ledger.has_heard(node)).cloned()
}

fn probe(key: &RunKey, run: &Run, target: &SlotTarget, values: &Effective) -> Probe {
    let SlotTarget { slot, node, target, .. } = target;
    let slots = usize::try_from(*slot).ok().and_then(|index| run.slots.get(index));
    Probe {
        id: format!("{key}/{slot}/{}/{}", target.uid, target.container),
        run: key.clone(),
        slot: *slot,
        target: target.clone(),
        fault: run.declared.fault,
        call_chain: run.declared.call_chain.clone(),
        probability: values.probability,
        times: values.times,
        spent_elsewhere: slots.map_or(0, |slot| slot.spent_elsewhere(node, &target.container)),
        duration: values.duration,
        ends: values.ends,
    }
}

fn slot_mut(run: &mut Run, slot: u32) -> Option<&mut crate::ledger::Slot> {
    run.slots.get_mut(usize::try_from(slot).ok()?)
}

fn waits(key: &RunKey, run: &Run, target: &SlotTarget, other: &str) -> WhyNot {
    let pod = format!("{}/{}", target.target.namespace, target.target.pod);
    WhyNot {
        subject: key.to_string(),
        place: Some(run.place.to_string()),
        reason: Some(Reason::AwaitingAttach),
        message: format!(
            "slot {} waits with {pod}: node {other} has not said how much of the slot's budget it spent",
            target.slot
        ),
    }
}
