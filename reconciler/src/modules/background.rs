//! For a reconciler: no pass waits for a registry. What is wanted and not kept is fetched beside the passes, again and
//! again, and wakes one when it has come, or when the reason changes why it has not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use faultline_api::OciReference;
use faultline_core::parse::{Module, Obtained};
use tokio::{
    sync::Notify,
    task::{AbortHandle, spawn},
    time::sleep,
};

use super::{Modules, Store};
use crate::metrics::Metrics;

/// After a fetch that failed; doubled up to [`LAST_RETRY`] with each that fails.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How late a module can be after its registry is back, or after somebody has mended what was wrong.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// Fetches beside the passes. It has to be asked within a runtime.
pub struct Background {
    fetcher: Arc<Fetcher>,
    known: BTreeMap<OciReference, Known>,
}

struct Fetcher {
    store: Store,
    metrics: Arc<Metrics>,
    wake: Arc<Notify>,
}

/// One that is wanted.
struct Known {
    standing: Arc<Mutex<Result<Module, String>>>,
    fetching: Option<AbortHandle>,
}

/// What nobody wants any more is not fetched any more.
impl Drop for Known {
    fn drop(&mut self) {
        if let Some(fetching) = &self.fetching {
            fetching.abort();
        }
    }
}

impl Background {
    /// From `store`; each module that comes, or does not, notifies `wake`.
    #[must_use]
    pub fn new(store: Store, metrics: Arc<Metrics>, wake: Arc<Notify>) -> Self {
        Self { fetcher: Arc::new(Fetcher { store, metrics, wake }), known: BTreeMap::new() }
    }
}

impl Modules for Background {
    fn obtain(&mut self, wanted: &BTreeSet<OciReference>) -> Obtained {
        let Self { fetcher, known } = self;
        known.retain(|reference, _| wanted.contains(reference));
        let standing = |reference: &OciReference| {
            let known = known.entry(reference.clone()).or_insert_with(|| fetcher.begin(reference));
            let standing = known.standing.lock().unwrap_or_else(PoisonError::into_inner).clone();
            (reference.clone(), standing)
        };
        wanted.iter().map(standing).collect()
    }
}

impl Fetcher {
    fn begin(self: &Arc<Self>, reference: &OciReference) -> Known {
        if let Some(module) = self.store.kept(reference) {
            return Known { standing: Arc::new(Mutex::new(Ok(module))), fetching: None };
        }
        let standing = Arc::new(Mutex::new(Err("it is being fetched".to_owned())));
        let fetching = Arc::clone(self).fetch(reference.clone(), Arc::clone(&standing));
        Known { standing, fetching: Some(spawn(fetching).abort_handle()) }
    }

    async fn fetch(self: Arc<Self>, reference: OciReference, standing: Arc<Mutex<Result<Module, String>>>) {
        let mut retry = FIRST_RETRY;
        loop {
            let fetched = self.store.fetch(&reference).await;
            self.metrics.fetched(fetched.is_ok());
            let now = fetched.map_err(|error| error.to_string());
            let has_come = now.is_ok();
            let before =
                std::mem::replace(&mut *standing.lock().unwrap_or_else(PoisonError::into_inner), now.clone());
            if before != now {
                self.wake.notify_one();
            }
            if has_come {
                tracing::info!(%reference, "module fetched");
                return;
            }
            sleep(retry).await;
            retry = (retry * 2).min(LAST_RETRY);
        }
    }
}
