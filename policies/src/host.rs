//! The host: what the rest of Faultline asks.

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use faultline_core::review::{Description, Evaluation, Evaluator, Response, Review, Undecided};
use serde_json::Value;
use wasmtime::Engine;

use crate::{
    call::{Called, Cost},
    engine::{self, limits},
    module::{Compiled, Module},
    recent::Recent,
    ticker::Ticker,
};

/// How a host runs.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Units of fuel per call.
    pub fuel: u64,
    /// Who counts wall-clock time.
    pub ticks: Ticks,
    /// Where compiled code is kept from one process to the next; `None`: nowhere. Only the host writes there.
    pub compilation_cache: Option<PathBuf>,
}

impl Default for HostConfig {
    fn default() -> Self {
        Self { fuel: limits::FUEL, ticks: Ticks::Own, compilation_cache: None }
    }
}

/// Who counts the ticks (of [`limits::TICK`]) by which a call's deadline is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticks {
    /// A thread of the host's own.
    Own,
    /// Whoever calls [`Host::tick`]. Without ticks there is no deadline, and the fuel alone bounds a call.
    ByHand,
}

/// A host that cannot start.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The engine refuses the platform or the compilation cache.
    #[error("the WebAssembly engine cannot start: {0:#}")]
    Engine(wasmtime::Error),
    /// There is no thread for the ticks.
    #[error("the WebAssembly host cannot start its ticker")]
    Ticker(#[source] io::Error),
}

/// Runs modules. Shared between threads as it is.
pub struct Host {
    engine: Engine,
    fuel: u64,
    /// By their bytes: comparing them is quicker than hashing them, and exact.
    modules: Mutex<Recent<Arc<[u8]>, Arc<Module>>>,
    /// Calls under way.
    running: Mutex<u32>,
    ended: Condvar,
    /// Dropped with the host, which ends its thread.
    _ticker: Option<Ticker>,
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("fuel", &self.fuel).finish_non_exhaustive()
    }
}

impl Host {
    /// Starts the engine.
    ///
    /// # Errors
    /// The platform has too little address space or no thread, or the compilation cache cannot be used.
    pub fn new(config: HostConfig) -> Result<Self, HostError> {
        let HostConfig { fuel, ticks, compilation_cache } = config;
        let engine = engine::engine(compilation_cache.as_deref()).map_err(HostError::Engine)?;
        let ticker = match ticks {
            Ticks::Own => Some(Ticker::start(engine.clone(), limits::TICK).map_err(HostError::Ticker)?),
            Ticks::ByHand => None,
        };
        let modules = Mutex::new(Recent::new(limits::MODULES));
        let (running, ended) = (Mutex::new(0), Condvar::new());
        Ok(Self { engine, fuel, modules, running, ended, _ticker: ticker })
    }

    /// Lets [`limits::TICK`] pass, as far as deadlines are concerned.
    pub fn tick(&self) {
        self.engine.increment_epoch();
    }

    /// The module of these bytes, compiled unless it is still in memory.
    #[must_use]
    pub fn load(&self, bytes: &[u8]) -> Arc<Module> {
        if let Some(module) = lock(&self.modules).get(|known| **known == *bytes) {
            return module;
        }
        // Compiled outside the lock: two threads may do so at once, which costs time and nothing else.
        let module = Arc::new(Module::new(&self.engine, bytes));
        if bytes.len() <= limits::MODULE {
            lock(&self.modules).insert(bytes.into(), Arc::clone(&module));
        }
        module
    }

    /// [`Evaluator::describe`] of a module that is loaded.
    ///
    /// # Errors
    /// The module is refused or does not answer.
    pub fn describe_loaded(&self, module: &Module) -> Result<Description, Undecided> {
        let compiled = module.compiled().map_err(Clone::clone)?;
        let _permit = self.permit();
        compiled.describe(self.fuel).result.cloned()
    }

    /// [`Evaluator::evaluate`] of a module that is loaded.
    #[must_use]
    pub fn evaluate_loaded(&self, module: &Module, settings: &Value, review: &Review) -> Evaluation {
        self.evaluate_measured(module, settings, review).0
    }

    /// [`Self::evaluate_loaded`], with the bytes of linear memory that the guest had in the end.
    #[must_use]
    pub fn evaluate_measured(
        &self,
        module: &Module,
        settings: &Value,
        review: &Review,
    ) -> (Evaluation, usize) {
        let Called { result: outcome, cost } = match module.compiled() {
            Ok(compiled) => {
                let _permit = self.permit();
                ask(compiled, self.fuel, settings, review)
            }
            Err(refusal) => Called { result: Err(refusal.clone()), cost: Cost::default() },
        };
        let Cost { fuel, memory_bytes } = cost;
        (Evaluation { outcome, module_digest: module.digest().to_owned(), fuel }, memory_bytes)
    }

    /// Waits until fewer than [`limits::PARALLEL`] calls are under way.
    fn permit(&self) -> Permit<'_> {
        let running = lock(&self.running);
        let free = self.ended.wait_while(running, |running| *running >= limits::PARALLEL);
        *free.unwrap_or_else(PoisonError::into_inner) += 1;
        Permit(self)
    }
}

impl Evaluator for Host {
    fn describe(&self, module: &[u8]) -> Result<Description, Undecided> {
        self.describe_loaded(&self.load(module))
    }

    fn check(&self, module: &[u8], settings: &Value) -> Result<Description, Undecided> {
        let module = self.load(module);
        let compiled = module.compiled().map_err(Clone::clone)?;
        let _permit = self.permit();
        prepared(compiled, self.fuel, settings)
            .map(|(description, _)| description.clone())
            .map_err(|(why, _)| why)
    }

    fn evaluate(&self, module: &[u8], settings: &Value, review: &Review) -> Evaluation {
        self.evaluate_loaded(&self.load(module), settings, review)
    }
}

/// Has the module describe itself and validate the settings, unless it has, and puts the question. The fuel is that of
/// the call that decided, so that it does not depend on what was asked before.
fn ask(module: &Compiled, fuel: u64, settings: &Value, review: &Review) -> Called<Response> {
    let (description, settings) = match prepared(module, fuel, settings) {
        Ok(prepared) => prepared,
        Err((why, cost)) => return Called { result: Err(why), cost },
    };
    module.evaluate(description, &settings, review, fuel)
}

/// What the module says of itself, and settings that it accepts, as JSON; or why not, with what it took to say so.
fn prepared<'m>(
    module: &'m Compiled,
    fuel: u64,
    settings: &Value,
) -> Result<(&'m Description, String), (Undecided, Cost)> {
    let Called { result, cost: burnt } = module.describe(fuel);
    let description = result.map_err(|why| (why, burnt))?;
    // No settings are empty settings.
    let settings = if settings.is_null() { "{}".to_owned() } else { settings.to_string() };
    let Called { result, cost: burnt } = module.validate(&settings, fuel);
    result.map_err(|why| (why, burnt))?;
    Ok((description, settings))
}

/// One call under way.
struct Permit<'a>(&'a Host);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *lock(&self.0.running) -= 1;
        self.0.ended.notify_one();
    }
}

/// A panic while one of our locks is held leaves nothing half done behind it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
