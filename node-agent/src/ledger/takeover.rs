//! The ledger of an agent that is about to be gone.

use std::{path::Path, time::Duration};

use faultline_telemetry::takeover;

use super::{DurableLedger, Ledger, LedgerError};

/// Opens the ledger in `directory` as [`DurableLedger::open`] does, and waits for up to `patience` while another
/// process has it.
///
/// A process that was killed lets go of what it holds in the opposite order to taking it. An agent takes its ledger
/// first: who gets it finds its programs detached and its ports free.
///
/// # Errors
/// As those of [`DurableLedger::open`]; that it is in use only after `patience`.
pub async fn take_over(directory: &Path, patience: Duration) -> Result<(DurableLedger, Ledger), LedgerError> {
    let open = || DurableLedger::open(directory);
    let waiting = |_: &LedgerError| {
        tracing::warn!(
            directory = %directory.display(),
            patience_ms = patience.as_millis(),
            "another process has the ledger: waiting for its end"
        );
    };
    takeover::take_over(patience, open, |error| matches!(error, LedgerError::InUse(_)), waiting).await
}

#[cfg(test)]
mod tests {
    use faultline_telemetry::takeover::PAUSE;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn a_ledger_that_is_let_go_of_meanwhile_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let held = DurableLedger::open(directory.path()).unwrap();
        let let_go = async {
            sleep(3 * PAUSE).await;
            drop(held);
        };
        let (taken, ()) = tokio::join!(take_over(directory.path(), Duration::from_secs(60)), let_go);
        taken.unwrap();
    }

    #[tokio::test]
    async fn a_ledger_that_is_kept_is_refused_with_its_name_and_the_way_out() {
        let directory = tempfile::tempdir().unwrap();
        let _held = DurableLedger::open(directory.path()).unwrap();
        let error = take_over(directory.path(), 3 * PAUSE).await.err().unwrap().to_string();
        let file = directory.path().join("agent.redb");
        assert!(error.contains(&*file.to_string_lossy()) && error.contains("--state-dir"), "{error}");
    }
}
