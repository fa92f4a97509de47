//! For commands that judge once: they wait for what they want.

use std::{collections::BTreeSet, sync::Arc};

use faultline_api::OciReference;
use faultline_core::parse::Obtained;
use tokio::{runtime::Builder, task::JoinSet};

use super::{Modules, Store};

/// Gets all that is wanted at the same time, each within the time that one may take.
#[derive(Debug, Default)]
pub struct AtOnce {
    store: Arc<Store>,
}

impl AtOnce {
    /// From `store`.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store: Arc::new(store) }
    }

    async fn gather(&self, wanted: &BTreeSet<OciReference>) -> Obtained {
        let mut gathering = JoinSet::new();
        for reference in wanted.iter().cloned() {
            let store = Arc::clone(&self.store);
            gathering.spawn(async move {
                let obtained = store.obtain(&reference).await.map_err(|error| error.to_string());
                (reference, obtained)
            });
        }
        gathering.join_all().await.into_iter().collect()
    }
}

impl Modules for AtOnce {
    fn obtain(&mut self, wanted: &BTreeSet<OciReference>) -> Obtained {
        if wanted.is_empty() {
            return Obtained::new();
        }
        match Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(self.gather(wanted)),
            Err(error) => {
                wanted.iter().map(|reference| (reference.clone(), Err(error.to_string()))).collect()
            }
        }
    }
}
