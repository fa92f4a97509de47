//! One way to a module for everybody who needs one: from what was kept, else from its registry.

use faultline_api::OciReference;
use faultline_core::parse::Module;

use super::{
    Blobs, FetchError, Registries,
    manifest::{MAX_MANIFEST, MAX_MODULE, module_layer},
};

/// What was kept, and where the rest is fetched from.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// What was kept; `None`: nothing is.
    pub blobs: Option<Blobs>,
    /// Where the rest is fetched from.
    pub registries: Registries,
}

impl Store {
    /// What was kept of `reference`, verified as if it had just been fetched.
    #[must_use]
    pub fn kept(&self, reference: &OciReference) -> Option<Module> {
        let blobs = self.blobs.as_ref()?;
        let manifest = blobs.read(&reference.digest, MAX_MANIFEST)?;
        let layer = module_layer(&manifest).ok()?;
        Some(Module::new(blobs.read(&layer.digest, MAX_MODULE)?.into()))
    }

    /// Fetches `reference` from its registry, and keeps it.
    ///
    /// # Errors
    /// It is not to be had, or not what was named.
    pub async fn fetch(&self, reference: &OciReference) -> Result<Module, FetchError> {
        let fetched = self.registries.fetch(reference).await?;
        if let Some(blobs) = &self.blobs
            && let Err(error) = blobs.write(&fetched.module).and_then(|()| blobs.write(&fetched.manifest))
        {
            tracing::warn!(%reference, %error, "the module is not kept: the next start fetches it again");
        }
        Ok(Module::new(fetched.module.into()))
    }

    /// From what was kept, else from its registry.
    ///
    /// # Errors
    /// It was not kept, and is not to be had.
    pub async fn obtain(&self, reference: &OciReference) -> Result<Module, FetchError> {
        match self.kept(reference) {
            Some(module) => Ok(module),
            None => self.fetch(reference).await,
        }
    }
}
