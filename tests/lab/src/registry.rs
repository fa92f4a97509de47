//! An OCI registry for tests: the machine's own, else Debian's package unpacked into the cache. It is not installed,
//! because the package starts a server on port 5000 of every address.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::apt::{Apt, AptError};
use crate::cache::{Cache, Lock};
use crate::packages;
use crate::progress::Progress;

/// Debian's name of the package and of its program.
const PACKAGE: &str = "docker-registry";

/// Why there is no registry.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// apt cannot get it.
    #[error("no {PACKAGE} in PATH, and Debian's package is not to be had here")]
    Apt(#[from] AptError),
    /// A file in the cache.
    #[error("cannot unpack the package {PACKAGE}")]
    Io(#[from] io::Error),
}

/// Finds the program, or downloads it once.
///
/// # Errors
/// When it is not there and cannot be downloaded.
pub fn obtain(cache: &Cache, progress: &Progress) -> Result<PathBuf, RegistryError> {
    if let Some(installed) = packages::command(PACKAGE) {
        return Ok(installed);
    }
    let held = cache.lock(PACKAGE, || progress.note("another process is downloading a registry"))?;
    let program = cache.folder("tools")?.join(PACKAGE);
    if !program.exists() {
        download(cache, &held, progress, &program)?;
    }
    Ok(program)
}

/// Whole or not at all.
fn download(cache: &Cache, held: &Lock, progress: &Progress, program: &Path) -> Result<(), RegistryError> {
    let step = progress.step(PACKAGE, "downloading a registry");
    let work = cache.work(PACKAGE, held)?;
    Apt::update(cache, progress)?.unpack(PACKAGE, work.path())?;
    fs::rename(work.path().join("usr/bin").join(PACKAGE), program)?;
    step.done();
    Ok(())
}
