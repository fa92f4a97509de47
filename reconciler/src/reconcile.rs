//! One pass: the whole way from what is written to what is attached.

use std::sync::Arc;

use faultline_core::{
    Cache, Defaults, admit, due, inventory::Inventory, judge, ledger::Ledger, observe, observe::Transition,
    parse, parse::Parsed, plan, plan::Plan, rebuild, report::NodeReport, review::Evaluator, select,
    transitions, tree::Fetched,
};

use crate::{
    clock::Clock,
    converge::Converge,
    inventory::{InventoryError, Observer},
    modules::Modules,
    source::Directory,
    store::StoreError,
};

/// What a pass works with.
pub struct Deps {
    /// Tells the instant of the pass.
    pub clock: Arc<dyn Clock>,
    /// Where documents come from.
    pub sources: Vec<Directory>,
    /// Where modules come from that are in no source.
    pub modules: Box<dyn Modules>,
    /// Where pods and nodes are observed.
    pub inventory: Observer,
    /// Runs guardrails.
    pub evaluator: Arc<dyn Evaluator + Send + Sync>,
    /// What the last pass left: it saves time and changes nothing.
    pub cache: Cache,
    /// What holds where nobody has said otherwise.
    pub defaults: Defaults,
    /// Where the plan goes.
    pub converge: Box<dyn Converge>,
}

/// What a pass came to.
#[derive(Debug)]
pub struct Pass {
    /// The plan.
    pub plan: Plan,
    /// What it was made from, beside the sources.
    pub inputs: Inputs,
    /// What the sources declare.
    pub parsed: Parsed,
    /// The ledger that is in force now.
    pub ledger: Ledger,
    /// What changed.
    pub transitions: Vec<Transition>,
    /// Whether the reports changed something that the plan did not know of yet: then another pass is due.
    pub unsettled: bool,
}

/// What a plan depends on, beside the sources and the instant: the same inputs give the same plan, byte for byte.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// The ledger.
    pub ledger: Ledger,
    /// The inventory with what agents said of their kernels; `None`: a plan without one.
    pub inventory: Option<Arc<Inventory>>,
}

/// Why a pass did not go through, by what is to be done next.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// A person has to do something.
    #[error(transparent)]
    Stalled(StoreError),
    /// Something that is not there yet will wake the next pass.
    #[error(transparent)]
    Waiting(#[from] InventoryError),
    /// The next pass may go through.
    #[error(transparent)]
    Transient(StoreError),
}

impl From<StoreError> for ReconcileError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Io { .. }) { Self::Transient(error) } else { Self::Stalled(error) }
    }
}

/// Goes the whole way once. `faultline plan` and `faultline run` both do this and nothing else; they differ in where
/// the plan goes.
///
/// # Errors
/// Nothing was told to anybody, and what is in force stays in force.
pub fn reconcile(deps: &mut Deps) -> Result<Pass, ReconcileError> {
    let Deps { clock, sources, modules, inventory, evaluator, cache, defaults, converge } = deps;
    let (now, known, reports) = (clock.now(), converge.ledger(), converge.reports());

    let fetched: Vec<Fetched> = sources.iter_mut().map(|source| source.fetch(now)).collect(); //   source    (io)
    let (parsed, ledger) = parse_and_rebuild(&fetched, &known, &reports, cache, defaults, now); // parse     (pure)
    let parsed = with_modules(parsed, &mut **modules); //                                          modules   (io)
    let judged = judge(&parsed, &ledger, defaults, &**evaluator, &mut cache.verdicts, now); //     judge     (pure)
    let due = due(&judged, &ledger, defaults, now); //                                             due       (pure)
    let inventory = inventory.observe(now, &reports)?; //                                          inventory (io)
    let selected = select(due, inventory.as_deref(), defaults); //                                 select    (pure)
    let admitted = admit(selected, &**evaluator, &mut cache.verdicts, defaults, now); //           admit     (pure)
    let plan = plan(admitted, &ledger, defaults, now); //                                          plan      (pure)
    let committed = converge.converge(&ledger, &plan)?; //                                         converge  (io)
    let observed = observe(&committed, &plan, &reports, now); //                                   observe   (pure)

    let unsettled = observed.ledger != committed;
    converge.keep(&observed.ledger)?;
    let transitions = transitions(&known, &committed).into_iter().chain(observed.transitions).collect();
    let inputs = Inputs { ledger, inventory };
    Ok(Pass { plan, inputs, parsed, ledger: observed.ledger, transitions, unsettled })
}

/// Modules that are in no tree, as far as they can be had.
fn with_modules(parsed: Parsed, modules: &mut dyn Modules) -> Parsed {
    let obtained = modules.obtain(&parsed.wanted_modules());
    parsed.bound_to(&obtained)
}

/// Parses with the ledger in force; where agents know more than it does, with the ledger that they give.
fn parse_and_rebuild(
    fetched: &[Fetched],
    known: &Ledger,
    reports: &[NodeReport],
    cache: &mut Cache,
    defaults: &Defaults,
    now: jiff::Timestamp,
) -> (Parsed, Ledger) {
    let parsed = parse(fetched, known, &mut cache.files);
    let rebuilt = rebuild(known, &parsed, reports, defaults, now);
    if rebuilt == *known { (parsed, rebuilt) } else { (parse(fetched, &rebuilt, &mut cache.files), rebuilt) }
}
