//! One call into a fresh instance, and what its failure means.

use faultline_core::review::Undecided;
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

use crate::{
    bindings::{Guardrail, GuardrailPre},
    engine::limits,
};

/// What a call came to, with the fuel it used.
#[derive(Clone, Debug)]
pub(crate) struct Called<T> {
    pub(crate) result: Result<T, Undecided>,
    pub(crate) fuel: u64,
}

impl<T> Called<T> {
    /// Goes on with the value.
    pub(crate) fn and_then<U>(self, next: impl FnOnce(T) -> Result<U, Undecided>) -> Called<U> {
        Called { result: self.result.and_then(next), fuel: self.fuel }
    }
}

/// Instantiates the module and calls `function` with no more than `fuel`.
pub(crate) fn call<T>(
    engine: &Engine,
    module: &GuardrailPre<Memory>,
    fuel: u64,
    function: impl FnOnce(&Guardrail, &mut Store<Memory>) -> wasmtime::Result<T>,
) -> Called<T> {
    let mut store = Store::new(engine, Memory);
    store.limiter(|memory| memory);
    store.set_hostcall_fuel(limits::ANSWER);
    store.set_epoch_deadline(limits::DEADLINE_TICKS);
    let result = store.set_fuel(fuel).map_err(|error| refused(&error)).and_then(|()| {
        let instance = module.instantiate(&mut store).map_err(|error| failure(&error, fuel, refused))?;
        function(&instance, &mut store).map_err(|error| failure(&error, fuel, bad_answer))
    });
    let left = store.get_fuel().unwrap_or(0);
    Called { result, fuel: fuel - left }
}

/// The limits on memory. A growth beyond them ends the call: the guest cannot go on as if it had been told no.
#[derive(Debug)]
pub(crate) struct Memory;

/// A growth was refused.
#[derive(Debug, thiserror::Error)]
#[error("more than {0}")]
struct TooMuch(String);

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired <= limits::MEMORY {
            return Ok(true);
        }
        Err(TooMuch(format!("{} MiB of memory", limits::MEMORY >> 20)).into())
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired <= limits::TABLE {
            return Ok(true);
        }
        Err(TooMuch(format!("{} table entries", limits::TABLE)).into())
    }
}

/// What an error of the engine means; `otherwise` for those that are neither a trap nor a limit.
fn failure(error: &wasmtime::Error, fuel: u64, otherwise: fn(&wasmtime::Error) -> Undecided) -> Undecided {
    if let Some(TooMuch(what)) = error.downcast_ref() {
        return Undecided::OutOfBounds(what.clone());
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Undecided::OutOfBounds(format!("{fuel} units of fuel")),
        Some(Trap::Interrupt) => Undecided::OutOfBounds(format!("{} ms", limits::DEADLINE.as_millis())),
        Some(trap) => Undecided::Trapped(trap.to_string()),
        None => otherwise(error),
    }
}

/// The module could not be brought to life.
fn refused(error: &wasmtime::Error) -> Undecided {
    Undecided::RefusedModule(format!("{error:#}"))
}

/// The module ended, and what it left cannot be read: too large, out of its memory, or no text.
fn bad_answer(error: &wasmtime::Error) -> Undecided {
    Undecided::BadAnswer(format!("{error:#}"))
}
