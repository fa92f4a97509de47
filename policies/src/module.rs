//! One module: compiled, and what it has said of itself and of settings.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use faultline_core::review::{Description, Response, Review, Undecided};
use sha2::{Digest, Sha256};
use wasmtime::Engine;

use crate::{
    abi::{self, Abi},
    call::{Called, Cost},
    engine::limits,
    guest::{self, Guest},
    recent::Recent,
};

/// A module in memory. Cheap to use again: it is compiled, and asked to describe itself, once.
pub struct Module {
    digest: String,
    abi: Option<Abi>,
    compiled: Result<Compiled, Undecided>,
}

/// A module that this host runs.
pub(crate) struct Compiled {
    guest: Box<dyn Guest>,
    /// Empty until it has answered.
    description: OnceLock<Description>,
    /// By hash of the settings: the verdict of the module on them. Failures to answer are not kept.
    validated: Mutex<Recent<[u8; 32], Called<()>>>,
}

impl Module {
    /// Compiles `bytes`. A module that is refused is a module all the same: it says why whenever it is asked.
    pub(crate) fn new(engine: &Engine, bytes: &[u8]) -> Self {
        let compiled = guest::compile(engine, bytes).map(Compiled::new);
        Self { digest: digest(bytes), abi: abi::sniff(bytes).ok(), compiled }
    }

    /// Which kind of module it is; `None`: none that this host runs.
    #[must_use]
    pub const fn abi(&self) -> Option<Abi> {
        self.abi
    }

    /// Memory in bytes that its compiled code takes for as long as it is loaded; `None`: it is refused.
    #[must_use]
    pub fn compiled_bytes(&self) -> Option<usize> {
        self.compiled.as_ref().ok().map(|compiled| compiled.guest.compiled_bytes())
    }

    /// `sha256:<hex>` of its bytes.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// # Errors
    /// Why it is refused.
    pub(crate) const fn compiled(&self) -> Result<&Compiled, &Undecided> {
        self.compiled.as_ref()
    }
}

impl Compiled {
    fn new(guest: Box<dyn Guest>) -> Self {
        let validated = Mutex::new(Recent::new(limits::SETTINGS));
        Self { guest, description: OnceLock::new(), validated }
    }

    /// What the module says of itself. Kept once it has answered; a failure is not.
    pub(crate) fn describe(&self, fuel: u64) -> Called<&Description> {
        if let Some(description) = self.description.get() {
            return Called { result: Ok(description), cost: Cost::default() };
        }
        // Another thread may have been quicker, with the same answer.
        self.guest.describe(fuel).and_then(|description| Ok(self.description.get_or_init(|| description)))
    }

    /// Has the module validate `settings`, unless it has done so before.
    pub(crate) fn validate(&self, settings: &str, fuel: u64) -> Called<()> {
        let hash: [u8; 32] = Sha256::digest(settings).into();
        if let Some(called) = self.validations().get(|known| *known == hash) {
            return called;
        }
        let called = self.guest.validate(settings, fuel);
        if matches!(called.result, Ok(()) | Err(Undecided::InvalidSettings(_))) {
            self.validations().insert(hash, called.clone());
        }
        called
    }

    /// Asks the module, which describes itself as `own` and finds `settings` valid, about `review`.
    pub(crate) fn evaluate(
        &self,
        own: &Description,
        settings: &str,
        review: &Review,
        fuel: u64,
    ) -> Called<Response> {
        self.guest.evaluate(own, settings, review, fuel)
    }

    fn validations(&self) -> MutexGuard<'_, Recent<[u8; 32], Called<()>>> {
        self.validated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `sha256:<hex>`.
fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
