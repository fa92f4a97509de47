//! From a container to its cgroup v2 directory.
//!
//! A path is resolved beneath the root only, without following links. An id is looked for in the whole hierarchy, as
//! containerd, CRI-O and Docker name their directories under systemd's and cgroupfs' drivers. The root, and whatever
//! the agent itself is in, is never a target.

mod names;
mod own;
mod scan;

use std::{
    collections::BTreeMap,
    ffi::CString,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use faultline_core::desired::Target;
use rustix::{
    fs::{Mode, OFlags, ResolveFlags, fstat, openat2},
    io::Errno,
};
use thiserror::Error;

pub use own::{NoCgroups, find_root};

use names::container_id;

/// Why a container has no cgroup to attach to.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// Neither an id nor a path.
    #[error("the target names neither a container id nor a cgroup")]
    Unnamed,
    /// The id is of no known form.
    #[error("{0:?} is not a container id: expected runtime://id with 12 to 128 letters and digits")]
    NotAnId(String),
    /// No directory carries the id.
    #[error("no cgroup of container {0} is on this node: it is gone, or not started yet")]
    NotFound(String),
    /// Several directories carry the id.
    #[error("container {id} has several cgroups: {} and {}", .first.display(), .second.display())]
    Ambiguous {
        /// The container.
        id: String,
        /// One.
        first: PathBuf,
        /// Another.
        second: PathBuf,
    },
    /// The path leads nowhere.
    #[error("cgroup {0:?} does not exist: its container is gone, or not started yet")]
    Gone(String),
    /// The path leads out of the hierarchy, or through a link.
    #[error("cgroup {0:?} leads outside of the cgroup hierarchy")]
    Outside(String),
    /// It is the root.
    #[error("cgroup {0:?} is the root: every process of the node would be hit")]
    Root(String),
    /// The agent is in it.
    #[error("cgroup {0:?} holds the agent itself")]
    HoldsAgent(String),
    /// The hierarchy is larger than is looked through.
    #[error("the cgroup hierarchy has more than {0} directories")]
    TooLarge(usize),
    /// The system refused.
    #[error("cannot look at cgroup {path:?}")]
    Io {
        /// The path.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// The cgroup v2 hierarchy.
#[derive(Debug)]
pub struct Cgroups {
    root: PathBuf,
    handle: OwnedFd,
    inode: u64,
    /// The agent's own cgroup beneath the root; `None` where it is not in this hierarchy.
    own: Option<PathBuf>,
    /// Where containers were found. Looked up again once the directory is gone.
    found: BTreeMap<String, PathBuf>,
}

impl Cgroups {
    /// Opens the hierarchy at `root`. `own` is the agent's own cgroup, relative to it.
    ///
    /// # Errors
    /// The root cannot be opened.
    pub fn open(root: &Path, own: Option<PathBuf>) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(root, flags, Mode::empty())?;
        let inode = fstat(&handle)?.st_ino;
        Ok(Self { root: root.into(), handle, inode, own, found: BTreeMap::new() })
    }

    /// The directory of each target, in their order. The hierarchy is read once at most.
    pub fn resolve(&mut self, targets: &[&Target]) -> Vec<Result<PathBuf, CgroupError>> {
        let unknown = targets.iter().filter(|target| target.cgroup.is_none());
        let unknown: Vec<String> = unknown
            .filter_map(|target| container_id(target.container_id.as_deref()?).ok())
            .filter(|id| self.known(id).is_none())
            .map(str::to_owned)
            .collect();
        let mut scanned =
            if unknown.is_empty() { Ok(scan::Scan::default()) } else { scan::scan(&self.root, &unknown) };
        if let Ok(scan) = &mut scanned {
            self.found.append(&mut scan.found);
        }
        let resolved = targets.iter().map(|target| self.resolve_one(target, scanned.as_ref()));
        resolved.collect()
    }

    fn resolve_one(
        &self,
        target: &Target,
        scanned: Result<&scan::Scan, &CgroupError>,
    ) -> Result<PathBuf, CgroupError> {
        if let Some(path) = &target.cgroup {
            return self.admit(path.trim_start_matches('/'));
        }
        let id = container_id(target.container_id.as_deref().ok_or(CgroupError::Unnamed)?)?;
        if let Some(path) = self.known(id) {
            let path = path.display().to_string();
            return self.admit(&path);
        }
        match scanned {
            Err(CgroupError::TooLarge(most)) => Err(CgroupError::TooLarge(*most)),
            Err(error) => Err(CgroupError::Io {
                path: self.root.display().to_string(),
                source: io::Error::other(error.to_string()),
            }),
            Ok(scan) => Err(match scan.doubled.get(id) {
                Some((first, second)) => {
                    CgroupError::Ambiguous { id: id.into(), first: first.clone(), second: second.clone() }
                }
                None => CgroupError::NotFound(id.into()),
            }),
        }
    }

    /// Where a container was found, as long as its directory is there.
    fn known(&self, id: &str) -> Option<&Path> {
        self.found.get(id).map(PathBuf::as_path).filter(|path| self.root.join(path).is_dir())
    }

    /// Opens a path beneath the root and checks that it may be a target.
    fn admit(&self, path: &str) -> Result<PathBuf, CgroupError> {
        let shown = || path.to_owned();
        if path.is_empty() {
            return Err(CgroupError::Root(shown()));
        }
        let io = |source: io::Error| CgroupError::Io { path: shown(), source };
        let name = CString::new(path).map_err(|error| io(error.into()))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let opened =
            openat2(&self.handle, &name, flags, Mode::empty(), beneath).map_err(|errno| match errno {
                Errno::NOENT | Errno::NOTDIR => CgroupError::Gone(shown()),
                Errno::XDEV | Errno::LOOP => CgroupError::Outside(shown()),
                errno => io(errno.into()),
            })?;
        let inode = fstat(&opened).map_err(|errno| io(errno.into()))?.st_ino;
        if inode == self.inode {
            return Err(CgroupError::Root(shown()));
        }
        // `a/../b` stays beneath the root and is no way to write a path: what is compared below must be plain.
        if Path::new(path).components().any(|part| !matches!(part, std::path::Component::Normal(_))) {
            return Err(CgroupError::Outside(shown()));
        }
        if self.own.as_ref().is_some_and(|own| own.starts_with(path)) {
            return Err(CgroupError::HoldsAgent(shown()));
        }
        Ok(self.root.join(path))
    }
}

#[cfg(test)]
mod tests;
