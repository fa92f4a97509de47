//! `--registry-config` and `--insecure-registry`.

use std::{env, path::PathBuf};

use clap::Args;

use crate::modules::{Blobs, Credentials, Registries, Store};

/// How modules are fetched that guardrails name in a registry.
#[derive(Debug, Args)]
pub(super) struct RegistryArgs {
    /// Credentials for registries of modules, in the form of Docker's config.json; helpers that it names are not run
    /// [default: config.json in $DOCKER_CONFIG, or else in ~/.docker, if it is there]
    #[arg(long, value_name = "FILE")]
    registry_config: Option<PathBuf>,
    /// A registry of modules to ask in plain HTTP, as one on loopback is anyway; repeat for more
    #[arg(long = "insecure-registry", value_name = "HOST[:PORT]")]
    insecure_registries: Vec<String>,
}

impl RegistryArgs {
    /// Modules that are kept in `folder`, where there is one.
    pub(super) fn store(&self, folder: Option<PathBuf>) -> Store {
        let Self { registry_config, insecure_registries } = self;
        let credentials = match registry_config {
            Some(file) => Credentials::in_file(file.clone()),
            None => dockers_config().map(Credentials::where_there_is).unwrap_or_default(),
        };
        let registries = Registries { credentials, insecure: insecure_registries.iter().cloned().collect() };
        Store { blobs: folder.map(Blobs::in_folder), registries }
    }

    /// Modules that are kept in the user's cache, where there is one.
    pub(super) fn store_of_the_user(&self) -> Store {
        self.store(user_cache().map(|cache| cache.join("faultline/fetched")))
    }
}

/// The user's cache, where there is one.
pub(super) fn user_cache() -> Option<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    cache.filter(|path| path.is_absolute())
}

fn dockers_config() -> Option<PathBuf> {
    let folder = env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}
