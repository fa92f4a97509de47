//! One call into a fresh store, its limits, and what its failure means.

use faultline_core::review::Undecided;
use wasmtime::{Engine, ResourceLimiter, Store, Trap};

use crate::engine::limits;

/// What a call came to, with what it cost.
#[derive(Clone, Debug)]
pub(crate) struct Called<T> {
    pub(crate) result: Result<T, Undecided>,
    pub(crate) cost: Cost,
}

/// What a call used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    pub(crate) fuel: u64,
    /// Linear memory at its largest.
    pub(crate) memory_bytes: usize,
}

impl<T> Called<T> {
    /// Goes on with the value.
    pub(crate) fn and_then<U>(self, next: impl FnOnce(T) -> Result<U, Undecided>) -> Called<U> {
        Called { result: self.result.and_then(next), cost: self.cost }
    }
}

/// Takes `steps` in a fresh store that holds `state`, with no more than `fuel` and within all other limits.
pub(crate) fn call<S: AsMut<Memory> + 'static, T>(
    engine: &Engine,
    state: S,
    fuel: u64,
    steps: impl FnOnce(&mut Store<S>) -> Result<T, Undecided>,
) -> Called<T> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| state.as_mut());
    store.set_hostcall_fuel(limits::ANSWER);
    store.set_epoch_deadline(limits::DEADLINE_TICKS);
    let result = store.set_fuel(fuel).map_err(|error| refused(&error)).and_then(|()| steps(&mut store));
    let left = store.get_fuel().unwrap_or(0);
    let Memory { largest_bytes: memory_bytes } = *store.data_mut().as_mut();
    Called { result, cost: Cost { fuel: fuel - left, memory_bytes } }
}

/// The limits on memory. A growth beyond them ends the call: the guest cannot go on as if it had been told no.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Linear memory at its largest, as far as it was granted.
    largest_bytes: usize,
}

impl AsMut<Self> for Memory {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

/// The host ends the call, and this is what that means.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Ended(pub(crate) Undecided);

impl ResourceLimiter for Memory {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired <= limits::MEMORY {
            self.largest_bytes = self.largest_bytes.max(desired);
            return Ok(true);
        }
        Err(too_much(format!("{} MiB of memory", limits::MEMORY >> 20)))
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        if desired <= limits::TABLE {
            return Ok(true);
        }
        Err(too_much(format!("{} table entries", limits::TABLE)))
    }
}

fn too_much(what: String) -> wasmtime::Error {
    Ended(Undecided::OutOfBounds(what)).into()
}

/// What an error of the engine means after a call with `fuel`; `otherwise` for those that are neither a trap nor a
/// limit.
pub(crate) fn failure(
    error: &wasmtime::Error,
    fuel: u64,
    otherwise: fn(&wasmtime::Error) -> Undecided,
) -> Undecided {
    if let Some(Ended(why)) = error.downcast_ref() {
        return why.clone();
    }
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => Undecided::OutOfBounds(format!("{fuel} units of fuel")),
        Some(Trap::Interrupt) => Undecided::OutOfBounds(format!("{} ms", limits::DEADLINE.as_millis())),
        Some(trap) => Undecided::Trapped(trap.to_string()),
        None => otherwise(error),
    }
}

/// The module could not be brought to life.
pub(crate) fn refused(error: &wasmtime::Error) -> Undecided {
    Undecided::RefusedModule(format!("{error:#}"))
}

/// The module ended, and what it left cannot be read: too large, out of its memory, or no text.
pub(crate) fn bad_answer(error: &wasmtime::Error) -> Undecided {
    Undecided::BadAnswer(format!("{error:#}"))
}
