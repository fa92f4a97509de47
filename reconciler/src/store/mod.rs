//! Where the ledger is kept between processes.

mod durable;
mod errors;
mod lock;
mod memory;
mod takeover;

use faultline_core::ledger::Ledger;

pub use durable::{DurableStore, read_only};
pub use errors::StoreError;
pub use memory::MemoryStore;
pub use takeover::take_over;

/// Keeps the ledger. One commit is one transaction: after a crash either all of it is there or none.
pub trait LedgerStore: Send {
    /// The ledger as it was last committed. The store raised its epoch when it was opened, and kept that before
    /// anybody could use it.
    fn ledger(&self) -> &Ledger;

    /// Makes `ledger` the one that is kept; on return it survives a crash.
    ///
    /// # Errors
    /// It could not be written; the one before is still in force.
    fn commit(&mut self, ledger: &Ledger) -> Result<(), StoreError>;
}
