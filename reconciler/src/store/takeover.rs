//! The ledger of a reconciler that is about to be gone.

use std::{path::Path, time::Duration};

use faultline_telemetry::takeover;

use super::{DurableStore, StoreError};

/// Opens the ledger in `directory` as [`DurableStore::open`] does, and waits for up to `patience` while another process
/// has it: one that was killed has it until its memory is given back and, where it held an agent, until that agent's
/// programs are detached.
///
/// # Errors
/// As those of [`DurableStore::open`]; that it is in use only after `patience`.
pub async fn take_over(directory: &Path, patience: Duration) -> Result<DurableStore, StoreError> {
    let open = || DurableStore::open(directory);
    let waiting = |in_use: &StoreError| {
        tracing::warn!(%in_use, patience_ms = patience.as_millis(), "waiting for the other reconciler's end");
    };
    takeover::take_over(patience, open, |error| matches!(error, StoreError::InUse { .. }), waiting).await
}

#[cfg(test)]
mod tests {
    use faultline_telemetry::takeover::PAUSE;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn a_ledger_that_is_let_go_of_meanwhile_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let held = DurableStore::open(directory.path()).unwrap();
        let let_go = async {
            sleep(3 * PAUSE).await;
            drop(held);
        };
        let (taken, ()) = tokio::join!(take_over(directory.path(), Duration::from_secs(60)), let_go);
        taken.unwrap();
    }

    #[tokio::test]
    async fn a_ledger_that_is_kept_is_refused_with_its_holder_and_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let _held = DurableStore::open(directory.path()).unwrap();
        let error = take_over(directory.path(), 3 * PAUSE).await.err().unwrap().to_string();
        let holder = format!("process {}", std::process::id());
        assert!(error.contains(&holder) && error.contains("--state-dir"), "{error}");
    }
}
