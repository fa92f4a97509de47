//! Where the source of a kernel comes from: a tarball the caller names, the one that Debian's
//! linux-source package left in /usr/src, or that package downloaded into the cache.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use super::KernelId;
use crate::apt::{Apt, AptError};
use crate::cache::Cache;
use crate::progress::Progress;

/// Why the source is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A tarball was named that is not there.
    #[error("{variable} names {path}, which cannot be read")]
    Named {
        /// The environment variable.
        variable: String,
        /// Its value.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// apt cannot get it.
    #[error(
        "no source for Linux {kernel}: Debian 12 has the package {package} and this machine cannot get it; \
         set {variable} to a tarball of that version's source instead"
    )]
    Apt {
        /// `6.1` or `6.12`.
        kernel: String,
        /// The package.
        package: String,
        /// What takes its place.
        variable: String,
        /// The reason.
        source: AptError,
    },
    /// A file in the cache.
    #[error("cannot unpack the source")]
    Io(#[from] io::Error),
}

/// The source of a kernel.
pub(crate) struct Source {
    /// Version of the package, or a digest of the tarball.
    pub(crate) version: String,
    pub(crate) tarball: PathBuf,
}

/// Finds or fetches the source; what is downloaded goes below `work`, which the caller removes.
pub(crate) fn obtain(
    id: &KernelId,
    cache: &Cache,
    work: &Path,
    progress: &Progress,
) -> Result<Source, SourceError> {
    let version = id.version();
    let variable = format!("FAULTLINE_LAB_SOURCE_{}", version.replace('.', "_"));
    if let Some(path) = std::env::var_os(&variable) {
        return named(variable, path.into());
    }
    let package = format!("linux-source-{version}");
    let relative = format!("usr/src/{package}.tar.xz");
    let installed = Path::new("/").join(&relative);
    if let Some(version) = installed_version(&package).filter(|_| installed.exists()) {
        return Ok(Source { version, tarball: installed });
    }
    let step = progress.step(&format!("source-{id}"), &format!("downloading {package}"));
    let download = || {
        let apt = Apt::update(cache, progress)?;
        let version = apt.version(&package)?;
        apt.unpack(&package, work)?;
        Ok(version)
    };
    let version = download().map_err(|source| SourceError::Apt {
        kernel: version.to_owned(),
        package,
        variable,
        source,
    })?;
    step.done();
    Ok(Source { version, tarball: work.join(relative) })
}

fn named(variable: String, path: PathBuf) -> Result<Source, SourceError> {
    let fail =
        |source| SourceError::Named { variable: variable.clone(), path: path.display().to_string(), source };
    fs::File::open(&path).map_err(fail)?;
    // coreutils hash a hundred megabytes in well under a second, an unoptimised build of ours does not.
    let output = Command::new("sha256sum").arg(&path).output().map_err(fail)?;
    let digest = String::from_utf8_lossy(&output.stdout).split_whitespace().next().map(String::from);
    let version = digest.ok_or_else(|| fail(io::ErrorKind::InvalidData.into()))?;
    Ok(Source { version, tarball: path })
}

fn installed_version(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !version.is_empty()).then_some(version)
}
