//! Debian packages from suites that this machine does not have configured, without touching its
//! configuration: an apt of our own in the cache, with sources derived from the machine's mirror.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

mod sources;

pub(crate) use sources::{BACKPORTS, KEYRING};

use crate::cache::Cache;
use crate::packages::{self, PackageError, Purpose, tail};
use crate::progress::Progress;

/// Names the mirror for a machine that is not Debian.
pub const MIRROR_VARIABLE: &str = "FAULTLINE_LAB_DEBIAN_MIRROR";

/// Why a package is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum AptError {
    /// Debian's keys are not here.
    #[error(transparent)]
    Keys(#[from] Box<PackageError>),
    /// apt failed.
    #[error("{what} failed:\n{tail}")]
    Failed {
        /// What was tried.
        what: String,
        /// The end of what it said.
        tail: String,
    },
    /// The mirror does not have it.
    #[error("the Debian mirror has no package {0}")]
    NoPackage(String),
    /// A file of our own.
    #[error("cannot prepare apt in the cache")]
    Io(#[from] io::Error),
}

/// An apt that knows the suites the lab needs, and whose lists are fresh.
pub(crate) struct Apt {
    options: Vec<String>,
}

impl Apt {
    /// Derives the sources and fetches their lists.
    pub(crate) fn update(cache: &Cache, progress: &Progress) -> Result<Self, AptError> {
        let root = cache.folder("apt")?;
        let mirror = std::env::var(MIRROR_VARIABLE).ok();
        let sources = sources::derive(&sources::configured(), mirror.as_deref());
        if sources.iter().any(|source| source.is_signed_by(KEYRING)) {
            packages::ensure(&[Purpose::Trust], progress).map_err(Box::new)?;
        }
        for folder in ["lists/partial", "cache/archives/partial", "sources"] {
            fs::create_dir_all(root.join(folder))?;
        }
        fs::write(root.join("sources/faultline.sources"), sources::render(&sources))?;
        let path = |name: &str| root.join(name).display().to_string();
        let settings = [
            format!("Dir::Etc::sourceparts={}", path("sources")),
            "Dir::Etc::sourcelist=/dev/null".into(),
            format!("Dir::State::lists={}", path("lists")),
            format!("Dir::Cache={}", path("cache")),
            // The cache belongs to the caller, where apt's own user cannot write.
            format!("APT::Sandbox::User={}", if rustix::process::geteuid().is_root() { "root" } else { "" }),
        ];
        let options = settings.into_iter().flat_map(|setting| ["-o".into(), setting]).collect();
        let apt = Self { options };
        apt.run("apt-get", &["-q", "update"], &root)?;
        Ok(apt)
    }

    /// Names of packages that begin like this.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>, AptError> {
        let listed = self.run("apt-cache", &["pkgnames", prefix], Path::new("/"))?;
        Ok(listed.lines().map(String::from).collect())
    }

    /// The version that would be downloaded.
    pub(crate) fn version(&self, package: &str) -> Result<String, AptError> {
        let shown = self.run("apt-cache", &["show", "--no-all-versions", package], Path::new("/"));
        let shown = shown.map_err(|_| AptError::NoPackage(package.into()))?;
        let version = shown.lines().find_map(|line| line.strip_prefix("Version: ")).map(String::from);
        version.ok_or_else(|| AptError::NoPackage(package.into()))
    }

    /// Downloads a package, from its best suite or the one that `package/suite` names, and unpacks its
    /// files, unconfigured, below `into`.
    pub(crate) fn unpack(&self, package: &str, into: &Path) -> Result<(), AptError> {
        let folder = tempfile::tempdir_in(into)?;
        self.run("apt-get", &["-q", "download", package], folder.path())?;
        let deb = fs::read_dir(folder.path())?.flatten().map(|entry| entry.path()).find(|path| is_deb(path));
        let deb = deb.ok_or_else(|| AptError::NoPackage(package.into()))?;
        extract(&deb, into)
    }

    /// Downloads packages with all that they depend on, as for a machine that has nothing, and unpacks their files,
    /// unconfigured, below `into`.
    pub(crate) fn unpack_all(&self, packages: &[&str], into: &Path) -> Result<(), AptError> {
        let folder = tempfile::tempdir_in(into)?;
        fs::create_dir(folder.path().join("partial"))?;
        let archives = format!("Dir::Cache::archives={}", folder.path().display());
        let nothing = ["-o", &archives, "-o", "Dir::State::status=/dev/null", "-o", "Debug::NoLocking=1"];
        let install = ["-q", "-y", "--no-install-recommends", "--download-only", "install"];
        self.run("apt-get", &[&nothing[..], &install, packages].concat(), folder.path())?;
        let debs = fs::read_dir(folder.path())?.flatten().map(|entry| entry.path());
        debs.filter(|path| is_deb(path)).try_for_each(|deb| extract(&deb, into))
    }

    fn run(&self, program: &str, arguments: &[&str], folder: &Path) -> Result<String, AptError> {
        let output =
            Command::new(program).args(&self.options).args(arguments).current_dir(folder).output()?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(AptError::Failed {
            what: format!("{program} {}", arguments.join(" ")),
            tail: tail(&output.stderr, 10),
        })
    }
}

fn extract(deb: &Path, into: &Path) -> Result<(), AptError> {
    let output = Command::new("dpkg-deb").arg("-x").arg(deb).arg(into).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(AptError::Failed { what: format!("unpacking {}", deb.display()), tail: tail(&output.stderr, 10) })
}

fn is_deb(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "deb")
}
