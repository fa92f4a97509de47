//! From directories of the cgroup v2 tree to the ids that programs compare.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use faultline_ebpf::layout::MAX_CGROUPS;

use super::error::ProbeError;
use super::host::own_cgroup;

/// `statfs` type of cgroup v2.
const CGROUP2: i64 = 0x6367_7270;

/// Levels below a scope directory that are followed; the kernel's own default limit is far lower in practice.
const DEPTH: usize = 64;

/// What must never be a target, and how to find out.
#[derive(Debug)]
pub(super) struct Tree {
    root: u64,
    own: Option<u64>,
}

/// The cgroups of one scope: id to directory, parents before children by path.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) cgroups: BTreeMap<u64, PathBuf>,
    pub(super) missing: Vec<PathBuf>,
}

impl Tree {
    pub(super) fn new(mount: &Path) -> std::io::Result<Self> {
        let own = own_cgroup(mount).and_then(|path| fs::metadata(path).ok());
        Ok(Self { root: fs::metadata(mount)?.ino(), own: own.map(|own| own.ino()) })
    }

    /// All cgroups of a scope. The id is the directory's inode number.
    pub(super) fn walk(&self, scope: &[PathBuf]) -> Result<Walk, ProbeError> {
        let mut walk = Walk::default();
        for directory in scope {
            if directory.is_dir() {
                self.admit(directory)?;
                self.descend(directory, DEPTH, directory, &mut walk)?;
            } else {
                walk.missing.push(directory.clone());
            }
        }
        if walk.cgroups.is_empty() { Err(ProbeError::ScopeGone) } else { Ok(walk) }
    }

    fn admit(&self, directory: &Path) -> Result<(), ProbeError> {
        let unified = rustix::fs::statfs(directory).is_ok_and(|fs| fs.f_type == CGROUP2);
        if !unified {
            return Err(refused(directory, "it is not in the cgroup v2 tree"));
        }
        Ok(())
    }

    fn descend(&self, at: &Path, levels: usize, top: &Path, walk: &mut Walk) -> Result<(), ProbeError> {
        // A directory that vanishes during the walk is out of scope.
        let Ok(metadata) = fs::symlink_metadata(at) else { return Ok(()) };
        if !metadata.is_dir() {
            return Ok(());
        }
        let id = metadata.ino();
        if id == self.root {
            return Err(refused(top, "it is the root: every process would be in scope"));
        }
        if Some(id) == self.own {
            return Err(refused(top, "the agent itself is in it"));
        }
        if walk.cgroups.len() >= MAX_CGROUPS as usize {
            return Err(ProbeError::Full { what: "cgroups", max: MAX_CGROUPS as usize });
        }
        walk.cgroups.insert(id, at.to_owned());
        let Some(levels) = levels.checked_sub(1) else { return Ok(()) };
        let Ok(entries) = fs::read_dir(at) else { return Ok(()) };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            self.descend(&entry.path(), levels, top, walk)?;
        }
        Ok(())
    }
}

fn refused(cgroup: &Path, why: &str) -> ProbeError {
    ProbeError::Scope { cgroup: cgroup.to_owned(), why: why.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_directory_is_no_target_and_an_absent_one_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let tree = Tree { root: 1, own: None };
        let plain = vec![directory.path().to_owned()];
        assert!(matches!(tree.walk(&plain), Err(ProbeError::Scope { .. })));
        assert_eq!(tree.walk(&[directory.path().join("gone")]).unwrap_err(), ProbeError::ScopeGone);
    }

    #[test]
    fn the_agents_own_cgroup_and_the_root_are_refused_wherever_they_lie() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        let id = fs::metadata(&inner).unwrap().ino();
        for tree in [Tree { root: id, own: None }, Tree { root: 1, own: Some(id) }] {
            let mut walk = Walk::default();
            let result = tree.descend(directory.path(), DEPTH, directory.path(), &mut walk);
            assert!(matches!(result, Err(ProbeError::Scope { .. })));
        }
    }
}
