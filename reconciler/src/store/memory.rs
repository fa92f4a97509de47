//! A ledger that lasts as long as its process: for tests and for a reconciler without a state directory.

use faultline_core::ledger::Ledger;

use super::{LedgerStore, StoreError};

/// Keeps the ledger in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Ledger);

impl MemoryStore {
    /// Goes on from `ledger`, in the epoch after its own.
    #[must_use]
    pub fn opened_from(mut ledger: Ledger) -> Self {
        ledger.epoch += 1;
        Self(ledger)
    }
}

impl LedgerStore for MemoryStore {
    fn ledger(&self) -> &Ledger {
        &self.0
    }

    fn commit(&mut self, ledger: &Ledger) -> Result<(), StoreError> {
        self.0.clone_from(ledger);
        Ok(())
    }
}
