//! What the agent remembers through restarts and reboots: the fence, what it was last told, and what is spent.
//!
//! It is written before anything that it vouches for happens: before a desired set is acknowledged, and before a
//! probe that may spend is attached.

mod durable;
mod errors;
mod takeover;
mod tally;

use std::{collections::BTreeMap, fmt};

use faultline_api::Fault;
use faultline_core::{
    desired::{DesiredSet, Probe, Target},
    ledger::{Generation, RunKey},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use durable::DurableLedger;
pub use errors::LedgerError;
pub use takeover::take_over;
pub use tally::Tally;

use crate::kernel::{BudgetKey, ProbeId};

/// Everything that outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The desired set that was last accepted; `None` on a node that never accepted one.
    pub held: Option<Held>,
    /// Every probe that is held or was, by its id.
    pub probes: BTreeMap<String, Remembered>,
    /// Every budget that a remembered probe draws from.
    pub budgets: BTreeMap<BudgetName, Budget>,
}

impl Ledger {
    /// The highest generation that was ever accepted.
    #[must_use]
    pub fn accepted(&self) -> Generation {
        self.held.as_ref().map(|held| held.set.generation).unwrap_or_default()
    }

    /// What is to be kept attached.
    #[must_use]
    pub fn held_probes(&self) -> &[Probe] {
        self.held.as_ref().map_or(&[], |held| &held.set.probes)
    }

    /// A held probe by its id.
    #[must_use]
    pub fn held_probe(&self, id: &str) -> Option<&Probe> {
        let probes = self.held_probes();
        probes.binary_search_by(|probe| probe.id.as_str().cmp(id)).ok().map(|at| &probes[at])
    }
}

/// A desired set and the digest that came with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Generation and probes.
    pub set: DesiredSet,
    /// As the reconciler gave it.
    pub content: String,
}

/// What is known of a probe beyond what is desired of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// Its run.
    pub run: RunKey,
    /// Its slot.
    pub slot: u32,
    /// Its container.
    pub target: Target,
    /// What it injects.
    pub fault: Fault,
    /// First time it was attached.
    pub attached_at: Option<Timestamp>,
    /// When it ends.
    pub ends: Option<Timestamp>,
    /// Most injections, as was told.
    pub times: Option<u64>,
    /// When it left the desired set.
    pub dropped_at: Option<Timestamp>,
    /// What it counted until it was last detached, or until the agent last started.
    pub tally: Tally,
    /// Where its count of injections stood when it began to draw from its budget, in this boot.
    pub mark: Option<Mark>,
}

impl Remembered {
    /// A probe that is wanted for the first time.
    #[must_use]
    pub fn new(probe: &Probe) -> Self {
        Self {
            run: probe.run.clone(),
            slot: probe.slot,
            target: probe.target.clone(),
            fault: probe.fault,
            attached_at: None,
            ends: probe.ends,
            times: probe.times,
            dropped_at: None,
            tally: Tally::default(),
            mark: None,
        }
    }

    /// The budget that it draws from.
    #[must_use]
    pub fn budget(&self) -> BudgetName {
        BudgetName::new(&self.run, self.slot, &self.target.container)
    }
}

/// Ties a probe's count of injections to the kernel's count of its budget, which survives the agent. Since then
/// nobody else has drawn from it, so the kernel's count says exactly how often the probe injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The kernel's count of the budget.
    pub seen: u64,
    /// The probe's count of injections.
    pub injections: u64,
}

/// What may be spent and what is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// The boot in which `seen` was counted.
    pub boot_id: String,
    /// Most injections on this node over the whole run; `None`: unlimited.
    pub allowed: Option<u64>,
    /// Spent or forfeited before this boot.
    pub earlier: u64,
    /// Spent in this boot, as the kernel last said.
    pub seen: u64,
    /// Whether a probe that can spend what is left is attached, or may be since the process died.
    pub granted: bool,
    /// Forfeited in all.
    pub lost: u64,
}

impl Budget {
    /// One that nothing was spent of.
    #[must_use]
    pub fn new(boot_id: &str) -> Self {
        Self { boot_id: boot_id.into(), allowed: None, earlier: 0, seen: 0, granted: false, lost: 0 }
    }

    /// Spent or forfeited.
    #[must_use]
    pub const fn charged(&self) -> u64 {
        self.earlier.saturating_add(self.seen)
    }

    /// The kernel's count is gone: what was granted and is not known to be spent is given up. Counting goes on from
    /// `now`, which is what the kernel says in this boot. Returns how many injections were given up.
    pub fn forfeit(&mut self, boot_id: &str, now: u64) -> u64 {
        let charged = self.charged();
        let allowed = self.allowed.filter(|_| self.granted);
        let forfeited = allowed.map_or(0, |allowed| allowed.saturating_sub(charged));
        self.lost = self.lost.saturating_add(forfeited);
        self.earlier = charged.saturating_add(forfeited).saturating_sub(now);
        self.seen = now;
        self.granted = false;
        self.boot_id = boot_id.into();
        forfeited
    }

    /// What the kernel may let through in this boot, over the whole of it; `None`: unlimited.
    #[must_use]
    pub fn allowed_in_this_boot(&self) -> Option<u64> {
        self.allowed.map(|allowed| allowed.saturating_sub(self.earlier))
    }
}

/// Which budget: everything that ever fills a slot of a run draws from one per container name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BudgetName(pub String);

impl BudgetName {
    /// The budget of a slot and container name.
    #[must_use]
    pub fn new(run: &RunKey, slot: u32, container: &str) -> Self {
        Self(format!("{run}/{slot}/{container}"))
    }

    /// The name that the kernel side knows it by.
    #[must_use]
    pub fn key(&self) -> BudgetKey {
        BudgetKey(first_bytes(&self.0))
    }
}

impl fmt::Display for BudgetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name that the kernel side knows a probe by.
#[must_use]
pub fn probe_id(id: &str) -> ProbeId {
    ProbeId(u64::from_le_bytes(first_bytes(id)))
}

fn first_bytes<const N: usize>(text: &str) -> [u8; N] {
    let digest = Sha256::digest(text.as_bytes());
    std::array::from_fn(|at| digest[at])
}

/// Where the ledger is kept.
pub trait LedgerStore: Send {
    /// Keeps `ledger`. When this returns it is on disk.
    ///
    /// # Errors
    /// The machine could not do it; then nothing that the ledger vouches for may happen.
    fn store(&mut self, ledger: &Ledger) -> Result<(), LedgerError>;
}

/// A ledger that ends with the process.
#[cfg(test)]
#[derive(Clone, Debug, Default)]
pub(crate) struct VolatileLedger {
    /// What was last kept.
    pub(crate) kept: Ledger,
}

#[cfg(test)]
impl LedgerStore for VolatileLedger {
    fn store(&mut self, ledger: &Ledger) -> Result<(), LedgerError> {
        self.kept = ledger.clone();
        Ok(())
    }
}
