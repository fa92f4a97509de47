//! A lost ledger, rebuilt from the agents.

use jiff::Timestamp;

use crate::{defaults::Defaults, ledger::Ledger, parse::Parsed, report::NodeReport};

/// Returns `ledger` unchanged unless an agent knows a generation that it never told: then it was lost or replaced by an
/// older one. Runs that agents know are taken over; bounded experiments that neither knows are held until a rerun. A
/// fresh installation, in which no agent ever accepted a generation, is no loss. Called before `judge` whenever
/// a session starts; calling it always is correct too.
#[must_use]
pub fn rebuild(
    ledger: &Ledger,
    parsed: &Parsed,
    reports: &[NodeReport],
    defaults: &Defaults,
    now: Timestamp,
) -> Ledger {
    let _ = (ledger, parsed, reports, defaults, now);
    todo!("lands next")
}
