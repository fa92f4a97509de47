//! Modules that are not in the tree: which are wanted, and what came of getting them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use faultline_api::{ModuleRef, OciReference};

use super::types::{Binding, Module, Parsed};
use crate::digest::sha256;

/// Modules from registries, or why one is not there.
pub type Obtained = BTreeMap<OciReference, Result<Module, String>>;

impl Module {
    /// WebAssembly with its digest.
    #[must_use]
    pub fn new(bytes: Arc<[u8]>) -> Self {
        Self { digest: sha256(&bytes), bytes }
    }
}

impl Parsed {
    /// The modules that guardrails want from registries.
    #[must_use]
    pub fn wanted_modules(&self) -> BTreeSet<OciReference> {
        self.guardrails.iter().filter_map(|bound| bound.binding.reference()).cloned().collect()
    }

    /// Binds guardrails to what was obtained for them. One that is not bound lets nothing pass that it matches.
    #[must_use]
    pub fn bound_to(mut self, obtained: &Obtained) -> Self {
        for bound in &mut self.guardrails {
            let found = bound.binding.reference().and_then(|reference| obtained.get_key_value(reference));
            let found = found.map(|(reference, found)| match found {
                Ok(module) => Ok(module.clone()),
                Err(why) => Err(format!("{reference}: {why}")),
            });
            if let (Binding::Bound { module, .. }, Some(found)) = (&mut bound.binding, found) {
                *module = found;
            }
        }
        self
    }
}

impl Binding {
    /// What it wants from a registry.
    #[must_use]
    pub fn reference(&self) -> Option<&OciReference> {
        match self {
            Self::Bound { guardrail, .. } => match &guardrail.module {
                ModuleRef::Oci(reference) => Some(reference),
                ModuleRef::Path(_) => None,
            },
            Self::Broken { .. } => None,
        }
    }
}
