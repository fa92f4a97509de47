//! What would come of an experiment on a node: what its agent found out by attaching for a moment, disarmed.

use faultline_api::{CallChain, Fault};
use serde::{Deserialize, Serialize};

/// What is asked about: what of an experiment its node's kernel decides on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Chain {
    /// What is injected.
    pub fault: Fault,
    /// On which call chain.
    pub call_chain: CallChain,
}

/// What would come of it on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsal {
    /// Each function of the chain, outermost first; empty where they could not be looked at.
    pub frames: Vec<Rehearsed>,
    /// The function that fails.
    pub target: Rehearsed,
    /// What else would keep it from being attached.
    pub problems: Vec<String>,
}

/// What would come of a function on the way, or of the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rehearsed {
    /// As the chain names it.
    pub function: String,
    /// As the kernel spells it, where it was attached to.
    pub symbol: Option<String>,
    /// How, and why not better.
    pub mechanism: Option<String>,
    /// Why it, or its predicate, cannot be.
    pub problem: Option<String>,
}

impl Rehearsal {
    /// Whether it could be attached.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.reasons().next().is_none()
    }

    /// Everything that stands against it, in the order of the chain.
    pub fn reasons(&self) -> impl Iterator<Item = &str> {
        let of_functions = self.frames.iter().chain([&self.target]).filter_map(|at| at.problem.as_deref());
        of_functions.chain(self.problems.iter().map(String::as_str))
    }
}
