//! The ledger of a process that is about to be gone.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// How often it is tried again.
pub const PAUSE: Duration = Duration::from_millis(50);

/// Opens a ledger with `open`, which is tried again for up to `patience` while it fails because another process has the
/// ledger: `in_use` tells such a failure from all others, and `waiting` hears of the first.
///
/// # Errors
/// As those of `open`; that it is in use only after `patience`.
pub async fn take_over<L, E>(
    patience: Duration,
    open: impl Fn() -> Result<L, E>,
    in_use: impl Fn(&E) -> bool,
    waiting: impl FnOnce(&E),
) -> Result<L, E> {
    let held = match open() {
        Err(error) if in_use(&error) => error,
        opened => return opened,
    };
    waiting(&held);
    let freed = async {
        loop {
            sleep(PAUSE).await;
            match open() {
                Err(error) if in_use(&error) => {}
                opened => return opened,
            }
        }
    };
    let ledger = timeout(patience, freed).await.unwrap_or(Err(held))?;
    tracing::info!("the ledger is free");
    Ok(ledger)
}
