//! What every ABI offers: the three questions, each put to a fresh instance.

use faultline_core::review::{Description, Response, Review, Undecided};
use wasmtime::Engine;

use crate::{
    abi::{self, Abi},
    call::Called,
    component::Component,
    engine::limits,
    wapc::Wapc,
};

/// A compiled module of some ABI. `fuel` bounds each call.
pub(crate) trait Guest: Send + Sync {
    /// Memory that its compiled code takes, for as long as it is loaded.
    fn compiled_bytes(&self) -> usize;

    /// What the module says of itself.
    fn describe(&self, fuel: u64) -> Called<Description>;

    /// Has the module validate `settings`, which are JSON.
    fn validate(&self, settings: &str, fuel: u64) -> Called<()>;

    /// Asks the module, which describes itself as `own`, about `review`.
    fn evaluate(&self, own: &Description, settings: &str, review: &Review, fuel: u64) -> Called<Response>;
}

/// Compiles `bytes`, whichever ABI they have.
///
/// # Errors
/// The module is refused.
pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Box<dyn Guest>, Undecided> {
    if bytes.len() > limits::MODULE {
        let why = format!("{} bytes, more than {} MiB", bytes.len(), limits::MODULE >> 20);
        return Err(Undecided::RefusedModule(why));
    }
    Ok(match abi::sniff(bytes)? {
        Abi::Component => Box::new(Component::compile(engine, bytes)?),
        Abi::Wapc => Box::new(Wapc::compile(engine, bytes)?),
    })
}
