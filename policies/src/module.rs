//! One module: compiled, checked against the world, and what it has said of itself and of settings.

use std::sync::{Mutex, OnceLock, PoisonError};

use faultline_core::review::{Description, Undecided};
use sha2::{Digest, Sha256};
use wasmtime::{
    Engine,
    component::{Component, Linker},
};

use crate::{
    abi::{self, Abi},
    answer,
    bindings::{GuardrailPre, policy},
    call::{Called, Memory, call},
    engine::limits,
    recent::Recent,
};

/// The interface that a module exports, up to its version.
const INTERFACE: &str = "faultline:guardrail/policy@";
/// The version of [`INTERFACE`] that this host speaks.
const VERSION: &str = "0.1.0";

/// A module in memory. Cheap to use again: it is compiled, and asked to describe itself, once.
pub struct Module {
    digest: String,
    compiled: Result<Compiled, Undecided>,
}

/// A module that fits the world.
pub(crate) struct Compiled {
    engine: Engine,
    pre: GuardrailPre<Memory>,
    /// Empty until it has answered.
    description: OnceLock<Description>,
    /// By hash of the settings: the verdict of the module on them. Failures to answer are not kept.
    validated: Mutex<Recent<[u8; 32], Called<()>>>,
}

impl Module {
    /// Compiles `bytes`. A module that is refused is a module all the same: it says why whenever it is asked.
    pub(crate) fn new(engine: &Engine, bytes: &[u8]) -> Self {
        Self { digest: digest(bytes), compiled: compile(engine, bytes) }
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
    /// Calls `function` in a fresh instance.
    pub(crate) fn call<T>(
        &self,
        fuel: u64,
        function: impl FnOnce(&policy::Guest, &mut wasmtime::Store<Memory>) -> wasmtime::Result<T>,
    ) -> Called<T> {
        call(&self.engine, &self.pre, fuel, |guest, store| {
            function(guest.faultline_guardrail_policy(), store)
        })
    }

    /// What the module says of itself. Kept once it has answered; a failure is not.
    pub(crate) fn describe(&self, fuel: u64) -> Called<&Description> {
        if let Some(description) = self.description.get() {
            return Called { result: Ok(description), fuel: 0 };
        }
        let called = self.call(fuel, |guest, store| guest.call_describe(store)).and_then(answer::description);
        // Another thread may have been quicker, with the same answer.
        called.and_then(|description| Ok(self.description.get_or_init(|| description)))
    }

    /// Has the module validate `settings`, unless it has done so before.
    pub(crate) fn validate(&self, settings: &str, fuel: u64) -> Called<()> {
        let hash: [u8; 32] = Sha256::digest(settings).into();
        if let Some(called) = self.validations().get(|known| *known == hash) {
            return called;
        }
        let called = self
            .call(fuel, |guest, store| guest.call_validate_settings(store, settings))
            .and_then(|verdict| verdict.map_err(answer::problems));
        if matches!(called.result, Ok(()) | Err(Undecided::InvalidSettings(_))) {
            self.validations().insert(hash, called.clone());
        }
        called
    }

    fn validations(&self) -> std::sync::MutexGuard<'_, Recent<[u8; 32], Called<()>>> {
        self.validated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `sha256:<hex>`.
fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Checks that `bytes` are a component of our world, with no imports, and compiles them.
fn compile(engine: &Engine, bytes: &[u8]) -> Result<Compiled, Undecided> {
    if bytes.len() > limits::MODULE {
        return Err(refused(format!("{} bytes, more than {} MiB", bytes.len(), limits::MODULE >> 20)));
    }
    match abi::sniff(bytes)? {
        Abi::Component => {}
        Abi::CoreModule => return Err(refused("a core module: waPC and OPA modules are not supported yet")),
    }
    let component = Component::from_binary(engine, bytes).map_err(|error| refused(format!("{error:#}")))?;
    if let Some((name, _)) = component.component_type().imports(engine).next() {
        return Err(refused(format!("it imports {name}, and a guardrail may import nothing")));
    }
    check_version(engine, &component)?;
    let pre = Linker::new(engine)
        .instantiate_pre(&component)
        .and_then(GuardrailPre::new)
        .map_err(|error| refused(format!("it does not fit {INTERFACE}{VERSION}: {error:#}")))?;
    let validated = Mutex::new(Recent::new(limits::SETTINGS));
    Ok(Compiled { engine: engine.clone(), pre, description: OnceLock::new(), validated })
}

/// Tells a module of another version from one that is no guardrail at all.
fn check_version(engine: &Engine, component: &Component) -> Result<(), Undecided> {
    let ty = component.component_type();
    let mut versions = ty.exports(engine).filter_map(|(name, _)| name.strip_prefix(INTERFACE));
    match versions.next() {
        Some(VERSION) => Ok(()),
        Some(other) => {
            Err(refused(format!("it is built for {INTERFACE}{other}, and this host runs {VERSION}")))
        }
        None => Err(refused(format!("it does not export {INTERFACE}{VERSION}"))),
    }
}

fn refused(why: impl Into<String>) -> Undecided {
    Undecided::RefusedModule(why.into())
}
