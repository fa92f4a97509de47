//! What is shown of a call chain, and why calls on it were not injected into.

use faultline_api::{CallChain, Experiment, ExperimentId, Kind, Predicate};
use faultline_core::{refusal::Refusal, rehearsal::Chain, report::Counters};

use super::{FrameView, RefusalView};
use crate::reconcile::Pass;

/// What of an experiment a node's kernel decides on; `None`: it is not declared, and never ran.
#[must_use]
pub fn chain(pass: &Pass, namespace: &str, name: &str) -> Option<Chain> {
    let id = ExperimentId { kind: Kind::KernelChaos, namespace: namespace.to_owned(), name: name.to_owned() };
    let declared = pass.parsed.experiments.get(&id).map(|declared| &*declared.experiment);
    let experiment = declared.or_else(|| pass.ledger.newest(&id).map(|(_, run)| &*run.declared))?;
    Some(Chain { fault: experiment.fault, call_chain: experiment.call_chain.clone() })
}

pub(super) fn chain_view(experiment: &Experiment) -> Vec<FrameView> {
    let CallChain { frames, target } = &experiment.call_chain;
    let frames = frames.iter().map(|frame| (frame.function.as_str(), frame.predicate.as_ref()));
    let view = |(function, predicate): (&str, Option<&Predicate>)| FrameView {
        function: function.to_owned(),
        predicate: predicate.map(|predicate| predicate.text.clone()),
    };
    frames.chain([(experiment.fault.target_function(), target.as_ref())]).map(view).collect()
}

/// Predicates are counted together, so one is named only where it is alone.
pub(super) fn refusals(counters: &Counters, chain: &[FrameView]) -> Vec<RefusalView> {
    let mut predicated = chain.iter().filter(|frame| frame.predicate.is_some());
    let alone = predicated.next().filter(|_| predicated.next().is_none());
    let view = |(reason, count): (Refusal, u64)| RefusalView {
        reason,
        count,
        meaning: reason.meaning().to_owned(),
        function: alone
            .filter(|_| matches!(reason, Refusal::Predicate | Refusal::Unread))
            .map(|frame| frame.function.clone()),
    };
    counters.refusals().into_iter().map(view).collect()
}
