//! Prometheus for tests: the machine's own, else Debian's package unpacked into the cache. It is not installed, because
//! the package starts a server on port 9090 of every address.

use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::apt::{Apt, AptError};
use crate::cache::{Cache, Lock};
use crate::packages;
use crate::progress::Progress;

const PACKAGE: &str = "prometheus";

/// Why there is no Prometheus.
#[derive(Debug, thiserror::Error)]
pub enum PrometheusError {
    /// apt cannot get it.
    #[error("no prometheus and promtool in PATH, and Debian's package {PACKAGE} is not to be had here")]
    Apt(#[from] AptError),
    /// A file in the cache.
    #[error("cannot unpack the package {PACKAGE}")]
    Io(#[from] io::Error),
}

/// Where its two programs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prometheus {
    /// The server.
    pub server: PathBuf,
    /// The checker of configurations and of metrics.
    pub promtool: PathBuf,
}

/// Finds it, or downloads it once.
///
/// # Errors
/// When it is not there and cannot be downloaded.
pub fn obtain(cache: &Cache, progress: &Progress) -> Result<Prometheus, PrometheusError> {
    let installed = packages::command("prometheus").zip(packages::command("promtool"));
    if let Some((server, promtool)) = installed {
        return Ok(Prometheus { server, promtool });
    }
    let held = cache.lock(PACKAGE, || progress.note("another process is downloading Prometheus"))?;
    let folder = cache.folder("tools")?.join(PACKAGE);
    if !folder.exists() {
        download(cache, &held, progress, &folder)?;
    }
    let program = |name: &str| folder.join(name);
    Ok(Prometheus { server: program("prometheus"), promtool: program("promtool") })
}

/// Whole or not at all: what is in `folder` was unpacked to its end.
fn download(cache: &Cache, held: &Lock, progress: &Progress, folder: &Path) -> Result<(), PrometheusError> {
    let step = progress.step(PACKAGE, "downloading Prometheus");
    let work = cache.work(PACKAGE, held)?;
    Apt::update(cache, progress)?.unpack(PACKAGE, work.path())?;
    fs::rename(work.path().join("usr/bin"), folder)?;
    step.done();
    Ok(())
}
