//! What no plan may ever do, as functions that tests, the CLI and debug builds share.

use std::fmt;

use crate::{ledger::Ledger, plan::Plan};

/// One broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant, in kebab-case.
    pub invariant: &'static str,
    /// Of what.
    pub subject: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.subject)
    }
}

/// Every invariant that `plan`, made from `ledger`, breaks.
#[must_use]
pub fn check_plan(plan: &Plan, ledger: &Ledger) -> Vec<Violation> {
    let _ = (plan, ledger);
    todo!("lands next")
}
