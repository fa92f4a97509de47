//! The first ABI: components of our world, which import nothing.

use faultline_core::review::{Description, Response, Review, Undecided};
use wasmtime::{
    Engine, Store,
    component::{self, Linker},
};

use crate::{
    answer,
    bindings::{GuardrailPre, policy},
    call::{Called, Memory, bad_answer, call, failure, refused},
    guest::Guest,
    question,
};

/// The interface that a module exports, up to its version.
const INTERFACE: &str = "faultline:guardrail/policy@";
/// The version of [`INTERFACE`] that this host speaks.
const VERSION: &str = "0.1.0";

/// A component that fits the world.
pub(crate) struct Component {
    engine: Engine,
    pre: GuardrailPre<Memory>,
}

impl Component {
    /// Checks that `bytes` are a component of our world, with no imports, and compiles them.
    pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self, Undecided> {
        let component = component::Component::from_binary(engine, bytes).map_err(|error| refused(&error))?;
        if let Some((name, _)) = component.component_type().imports(engine).next() {
            let why = format!("it imports {name}, and a guardrail may import nothing");
            return Err(Undecided::RefusedModule(why));
        }
        check_version(engine, &component)?;
        let pre = Linker::new(engine).instantiate_pre(&component).and_then(GuardrailPre::new);
        let pre = pre.map_err(|error| {
            Undecided::RefusedModule(format!("it does not fit {INTERFACE}{VERSION}: {error:#}"))
        })?;
        Ok(Self { engine: engine.clone(), pre })
    }

    /// Calls `function` in a fresh instance.
    fn call<T>(
        &self,
        fuel: u64,
        function: impl FnOnce(&policy::Guest, &mut Store<Memory>) -> wasmtime::Result<T>,
    ) -> Called<T> {
        call(&self.engine, Memory::default(), fuel, |store| {
            let instance =
                self.pre.instantiate(&mut *store).map_err(|error| failure(&error, fuel, refused))?;
            function(instance.faultline_guardrail_policy(), store)
                .map_err(|error| failure(&error, fuel, bad_answer))
        })
    }
}

impl Guest for Component {
    fn compiled_bytes(&self) -> usize {
        let image = self.pre.instance_pre().component().image_range();
        image.end.addr() - image.start.addr()
    }

    fn describe(&self, fuel: u64) -> Called<Description> {
        self.call(fuel, |guest, store| guest.call_describe(store)).and_then(answer::description)
    }

    fn validate(&self, settings: &str, fuel: u64) -> Called<()> {
        self.call(fuel, |guest, store| guest.call_validate_settings(store, settings))
            .and_then(|verdict| verdict.map_err(answer::problems))
    }

    fn evaluate(&self, own: &Description, settings: &str, review: &Review, fuel: u64) -> Called<Response> {
        let question = question::review(review, own.inputs);
        self.call(fuel, |guest, store| guest.call_evaluate(store, settings, &question))
            .and_then(|answer| answer::response(answer, &own.rules))
    }
}

/// Tells a module of another version from one that is no guardrail at all.
fn check_version(engine: &Engine, component: &component::Component) -> Result<(), Undecided> {
    let ty = component.component_type();
    let mut versions = ty.exports(engine).filter_map(|(name, _)| name.strip_prefix(INTERFACE));
    let why = match versions.next() {
        Some(VERSION) => return Ok(()),
        Some(other) => format!("it is built for {INTERFACE}{other}, and this host runs {VERSION}"),
        None => format!("it does not export {INTERFACE}{VERSION}"),
    };
    Err(Undecided::RefusedModule(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_the_interface_that_is_checked() {
        assert_eq!(crate::abi::Abi::Component.protocol(), format!("{INTERFACE}{VERSION}"));
    }
}
