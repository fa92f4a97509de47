//! Kernels in the cache: one folder each, moved in whole, described by `meta.json`.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::recipe::Recipe;
use super::{Kernel, KernelId};
use crate::cache::Cache;

const META: &str = "meta.json";
/// Names of the files of an entry.
pub(crate) const IMAGE: &str = "bzImage";
pub(crate) const CONFIG: &str = "config";
pub(crate) const SYSTEM_MAP: &str = "System.map";
pub(crate) const BTF: &str = "vmlinux.btf";
pub(crate) const MODULES: &str = "modules";
pub(crate) const LOADABLE: &str = "loadable";

/// What is known of a kernel in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// `6.1`, `6.12`, `nofail` or `stock`.
    pub(crate) kernel: String,
    /// What `uname -r` says in it.
    pub(crate) release: String,
    /// Version of the source or image package, or a digest of the tarball.
    pub(crate) source: String,
    /// Digest of options and steps.
    pub(crate) recipe: String,
    /// How long it took, in seconds.
    pub(crate) seconds: u64,
}

/// A kernel in the cache.
#[derive(Debug, Clone)]
pub struct Cached {
    pub(crate) meta: Meta,
    /// Its folder.
    pub folder: PathBuf,
}

impl Cached {
    /// `6.1`, `6.12`, `nofail` or `stock`.
    #[must_use]
    pub fn kernel(&self) -> &str {
        &self.meta.kernel
    }

    /// What `uname -r` says in it.
    #[must_use]
    pub fn release(&self) -> &str {
        &self.meta.release
    }

    /// How long it took to get, in seconds.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        self.meta.seconds
    }

    /// Bytes on disk.
    #[must_use]
    pub fn size(&self) -> u64 {
        size_of(&self.folder)
    }

    /// Whether this checkout would use it: its options or steps are those of today.
    #[must_use]
    pub fn is_current(&self) -> bool {
        let recipe = self.meta.kernel.parse().ok().and_then(|id| super::recipe::of(&id));
        recipe.is_some_and(|recipe| self.fits(&recipe))
    }

    pub(crate) fn fits(&self, recipe: &Recipe) -> bool {
        self.meta.kernel == recipe.kernel && self.meta.recipe == recipe.digest
    }
}

/// All kernels in the cache, the newest first.
///
/// # Errors
/// When the cache cannot be read.
pub fn cached(cache: &Cache) -> io::Result<Vec<Cached>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(cache.folder("kernels")?)? {
        let folder = entry?.path();
        // A folder without a description is not finished, or not the lab's.
        let Ok(bytes) = fs::read(folder.join(META)) else { continue };
        let modified = fs::metadata(folder.join(META))?.modified()?;
        if let Ok(meta) = serde_json::from_slice(&bytes) {
            found.push((modified, Cached { meta, folder }));
        }
    }
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    Ok(found.into_iter().map(|(_, entry)| entry).collect())
}

/// Removes a kernel from the cache.
///
/// # Errors
/// When a file cannot be removed.
pub fn remove(entry: &Cached) -> io::Result<()> {
    fs::remove_dir_all(&entry.folder)
}

/// Moves a finished folder, which has to be in the cache's `work`, into its place in one step.
pub(crate) fn adopt(cache: &Cache, finished: &Path, key: &str, meta: Meta) -> io::Result<Cached> {
    fs::write(finished.join(META), serde_json::to_vec_pretty(&meta)?)?;
    let folder = cache.folder("kernels")?.join(key);
    if folder.exists() {
        // Same key, same content: a refresh that found nothing newer.
        fs::remove_dir_all(&folder)?;
    }
    fs::rename(finished, &folder)?;
    Ok(Cached { meta, folder })
}

/// The kernel of an entry.
pub(crate) fn open(id: &KernelId, entry: &Cached) -> io::Result<Kernel> {
    let file = |name: &str| Some(entry.folder.join(name)).filter(|path| path.exists());
    Ok(Kernel {
        id: id.clone(),
        image: entry.folder.join(IMAGE),
        config: file(CONFIG),
        system_map: file(SYSTEM_MAP),
        btf: file(BTF),
        modules: sorted(file(MODULES))?,
        loadable: sorted(file(LOADABLE))?,
    })
}

/// The files of a folder by name: those of modules that init loads begin with their place in the order.
fn sorted(folder: Option<PathBuf>) -> io::Result<Vec<PathBuf>> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    files.sort();
    Ok(files)
}

fn size_of(path: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return fs::metadata(path).map_or(0, |file| file.len()) };
    entries.flatten().map(|entry| size_of(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::recipe;

    fn entry(cache: &Cache, recipe: &Recipe, source: &str) -> Cached {
        let work = cache.folder("work/one").unwrap();
        fs::write(work.join(IMAGE), "image").unwrap();
        let meta = Meta {
            kernel: recipe.kernel.clone(),
            release: "6.1.0-lab".into(),
            source: source.into(),
            recipe: recipe.digest.clone(),
            seconds: 7,
        };
        adopt(cache, &work, &recipe::key(recipe, source), meta).unwrap()
    }

    #[test]
    fn what_was_adopted_is_found_current_and_opens() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let recipe = recipe::of(&KernelId::V6_1).unwrap();
        entry(&cache, &recipe, "6.1.1");
        entry(&cache, &recipe, "6.1.1");
        let found = cached(&cache).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].is_current() && found[0].size() > 5);
        let kernel = open(&KernelId::V6_1, &found[0]).unwrap();
        assert_eq!(fs::read_to_string(kernel.image).unwrap(), "image");
        assert_eq!(kernel.btf, None);
        remove(&found[0]).unwrap();
        assert!(cached(&cache).unwrap().is_empty());
    }

    #[test]
    fn a_kernel_made_by_another_recipe_is_not_current_and_an_unfinished_one_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let old = Recipe { kernel: "6.1".into(), config: String::new(), edits: &[], digest: "old".into() };
        entry(&cache, &old, "6.1.1");
        cache.folder("kernels/6.1-unfinished").unwrap();
        let found = cached(&cache).unwrap();
        assert_eq!(found.len(), 1);
        assert!(!found[0].is_current());
    }
}
