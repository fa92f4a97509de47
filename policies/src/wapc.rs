//! The second ABI: Kubewarden's policies, which are core modules that speak waPC.
//!
//! A module exports `__guest_call(operation_len, payload_len) -> i32` and imports up to nine functions of `wapc`, by
//! which bytes go to and fro: <https://wapc.io/docs/spec/>. Kubewarden's operations are `protocol_version`,
//! `validate_settings` and `validate`, their payloads JSON:
//! <https://docs.kubewarden.io/reference/spec/intro-spec>. The host is our own: each call meets a fresh instance, and
//! every pointer from the guest is checked.

mod conversation;
mod host_calls;
mod imports;
mod log;
mod memory;
mod metadata;
mod mutation;
mod request;
mod response;
mod wasi;

use faultline_core::review::{Description, Finding, Inputs, Moment, Response, Review, Undecided};
use wasmtime::{Engine, InstancePre, Linker, Module, Store, TypedFunc, UnknownImportError};

use crate::{
    call::{Called, call, failure, refused},
    guest::Guest,
};
use conversation::{Conversation, Spoken};
use metadata::Metadata;

/// The one rule that its findings are of: Kubewarden has no names for rules.
const RULE: &str = "validate";

/// Exports that are called first where they are there, in this order: a reactor's, a command's, and waPC's own.
const STARTS: [&str; 3] = ["_initialize", "_start", "wapc_init"];

/// A policy whose imports are all there.
pub(crate) struct Wapc {
    engine: Engine,
    pre: InstancePre<Conversation>,
    metadata: Metadata,
}

impl Wapc {
    /// Compiles `bytes` and resolves their imports.
    pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self, Undecided> {
        let metadata = Metadata::of(bytes)?;
        let module = Module::from_binary(engine, bytes).map_err(|error| refused(&error))?;
        let pre = linker(engine, &module).and_then(|linker| linker.instantiate_pre(&module));
        let pre = pre.map_err(|error| match error.downcast_ref::<UnknownImportError>() {
            Some(unknown) => Undecided::RefusedModule(format!(
                "it imports {}.{}, which is neither waPC's nor WASI's",
                unknown.module(),
                unknown.name()
            )),
            None => refused(&error),
        })?;
        Ok(Self { engine: engine.clone(), pre, metadata })
    }

    /// Puts `payload` to the guest's `operation`.
    fn ask(&self, operation: &'static str, payload: Vec<u8>, fuel: u64) -> Called<Spoken> {
        let lengths = (length(operation.as_bytes()), length(&payload));
        call(&self.engine, Conversation::new(operation, payload), fuel, |store| {
            let outcome = self.start(store, fuel).and_then(|guest_call| {
                store.data_mut().begin();
                guest_call.call(&mut *store, lengths).map_err(|error| failed(&error, fuel))
            });
            let said = store.data_mut();
            outcome.map_err(|why| said.explain(why)).and_then(|returned| said.end(returned))
        })
    }

    /// A fresh instance's `__guest_call`, once the instance is initialised.
    fn start(
        &self,
        store: &mut Store<Conversation>,
        fuel: u64,
    ) -> Result<TypedFunc<(u32, u32), u32>, Undecided> {
        let instance = self.pre.instantiate(&mut *store).map_err(|error| failed(&error, fuel))?;
        for name in STARTS {
            if instance.get_func(&mut *store, name).is_none() {
                continue;
            }
            let start =
                instance.get_typed_func::<(), ()>(&mut *store, name).map_err(|error| refused(&error))?;
            match start.call(&mut *store, ()) {
                // A command that is done says so.
                Err(error) if matches!(error.downcast_ref(), Some(wasi::Exit(0))) => {}
                called => called.map_err(|error| failed(&error, fuel))?,
            }
        }
        instance.get_typed_func(store, "__guest_call").map_err(|error| refused(&error))
    }
}

impl Guest for Wapc {
    fn compiled_bytes(&self) -> usize {
        let image = self.pre.module().image_range();
        image.end.addr() - image.start.addr()
    }

    fn describe(&self, fuel: u64) -> Called<Description> {
        self.ask("protocol_version", Vec::new(), fuel).and_then(|spoken| {
            response::protocol_version(&spoken.said)?;
            let Metadata { name, version } = self.metadata.clone();
            let inputs = Inputs { raw: true, ..Inputs::default() };
            Ok(Description {
                name,
                version,
                rules: vec![RULE.to_owned()],
                moments: vec![Moment::Judge],
                inputs,
            })
        })
    }

    fn validate(&self, settings: &str, fuel: u64) -> Called<()> {
        let Called { result, cost } = self.ask("validate_settings", settings.into(), fuel);
        let result = match result {
            Ok(spoken) => response::settings(&spoken.said),
            // What the guest cannot even read is not valid; the SDKs say so in this way.
            Err(Undecided::GaveUp(why)) => Err(Undecided::InvalidSettings(vec![why])),
            Err(why) => Err(why),
        };
        Called { result, cost }
    }

    fn evaluate(&self, _: &Description, settings: &str, review: &Review, fuel: u64) -> Called<Response> {
        self.ask("validate", request::validation(settings, review), fuel).and_then(|spoken| {
            let Spoken { said, unanswered } = spoken;
            // Whatever it says now, it says without what it wanted to know.
            if !unanswered.is_empty() {
                let calls = unanswered.into_iter().collect::<Vec<_>>().join(", ");
                let why = format!("it asked the host for what is not to be had here: {calls}");
                return Err(Undecided::BadAnswer(why));
            }
            response::validation(&said, review)
        })
    }
}

/// All that the imports of `module` may be.
fn linker(engine: &Engine, module: &Module) -> wasmtime::Result<Linker<Conversation>> {
    let mut linker = Linker::new(engine);
    imports::define(&mut linker)?;
    host_calls::define(&mut linker)?;
    wasi::define(&mut linker, module)?;
    Ok(linker)
}

/// What an error means that ended the guest.
fn failed(error: &wasmtime::Error, fuel: u64) -> Undecided {
    match error.downcast_ref() {
        Some(wasi::Exit(code)) => Undecided::Trapped(format!("it exited with code {code}")),
        None => failure(error, fuel, refused),
    }
}

/// Bytes, as the guest counts them. Questions are far smaller than a guest's memory could ever be.
fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn finding(path: impl Into<String>, message: impl Into<String>) -> Finding {
    Finding { rule: RULE.to_owned(), path: path.into(), message: message.into() }
}
