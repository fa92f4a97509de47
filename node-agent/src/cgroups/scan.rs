//! One look through the whole hierarchy.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{CgroupError, names::id_in};

/// Most directories that are looked at: ten times what a node of 250 pods has.
const MOST: usize = 50_000;

/// Deepest level: Kubernetes' containers are at most six levels down.
const DEEPEST: usize = 16;

/// Where the wanted containers are.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// By id, relative to the root.
    pub(super) found: BTreeMap<String, PathBuf>,
    /// Ids of more than one directory, and two of those.
    pub(super) doubled: BTreeMap<String, (PathBuf, PathBuf)>,
}

/// Looks for `ids`. What vanishes meanwhile is passed over; below a container nothing is looked at.
pub(super) fn scan(root: &Path, ids: &[String]) -> Result<Scan, CgroupError> {
    let wanted: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let mut scan = Scan::default();
    let mut level = vec![PathBuf::new()];
    let mut seen = 0;
    for _ in 0..DEEPEST {
        let mut below = Vec::new();
        for directory in level {
            for name in directories(&root.join(&directory)) {
                seen += 1;
                if seen > MOST {
                    return Err(CgroupError::TooLarge(MOST));
                }
                match id_in(&name).filter(|id| wanted.contains(id)) {
                    Some(id) => scan.note(id, directory.join(&name)),
                    None => below.push(directory.join(&name)),
                }
            }
        }
        level = below;
    }
    Ok(scan)
}

impl Scan {
    fn note(&mut self, id: &str, path: PathBuf) {
        if self.doubled.contains_key(id) {
            return;
        }
        match self.found.remove(id) {
            Some(first) => drop(self.doubled.insert(id.into(), (first, path))),
            None => drop(self.found.insert(id.into(), path)),
        }
    }
}

/// Names of the directories in a directory; none where it cannot be read.
fn directories(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
