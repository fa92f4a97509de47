//! What files say, by their bytes.

use std::{collections::BTreeMap, mem, sync::Arc};

use super::{
    reading::{Reading, read},
    types::Module,
};
use crate::digest::sha256;

/// What the files of every tree say, each for the bytes that it was read from. It never changes a result, it only
/// saves the time of reading again. Bounded by the trees: what one call of [`parse`](crate::parse()) did not use is
/// forgotten at its end.
#[derive(Debug, Default)]
pub struct FileCache {
    /// By the name of the source: what is found in a file names its place, so equal files do not share it.
    sources: BTreeMap<String, Files>,
    parses: u64,
}

/// Of one source.
#[derive(Debug, Default)]
struct Files {
    readings: ByPath<Arc<Reading>>,
    digests: ByPath<String>,
}

impl FileCache {
    /// How many files were parsed since the cache was made.
    #[must_use]
    pub const fn parses(&self) -> u64 {
        self.parses
    }

    /// How many contents it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sources.values().map(|files| files.readings.0.len() + files.digests.0.len()).sum()
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is known of one source.
    pub(super) fn of<'c>(&'c mut self, source: &'c str) -> SourceCache<'c> {
        let files = self.sources.entry(source.to_owned()).or_default();
        SourceCache { source, files, parses: &mut self.parses }
    }

    /// Ends a pass.
    pub(super) fn forget_unused(&mut self) {
        self.sources.retain(|_, files| {
            files.readings.forget_unused();
            files.digests.forget_unused();
            !files.readings.0.is_empty() || !files.digests.0.is_empty()
        });
    }
}

/// The part of one source.
pub(super) struct SourceCache<'c> {
    source: &'c str,
    files: &'c mut Files,
    parses: &'c mut u64,
}

impl SourceCache<'_> {
    /// What the file at `path` says.
    pub(super) fn reading(&mut self, path: &str, bytes: &Arc<[u8]>) -> Arc<Reading> {
        self.files.readings.get(path, bytes, || {
            *self.parses += 1;
            Arc::new(read(self.source, path, bytes))
        })
    }

    /// The module at `path`, with its digest.
    pub(super) fn module(&mut self, path: &str, bytes: &Arc<[u8]>) -> Module {
        let digest = self.files.digests.get(path, bytes, || sha256(bytes));
        Module { digest, bytes: Arc::clone(bytes) }
    }
}

/// Values by path, each for the bytes that it was made from. Comparing those is quicker than hashing them, and
/// exact; where the tree is the one of the pass before, they are the same allocation.
#[derive(Debug)]
struct ByPath<T>(BTreeMap<String, Known<T>>);

#[derive(Debug)]
struct Known<T> {
    bytes: Arc<[u8]>,
    value: T,
    used: bool,
}

impl<T> Default for ByPath<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Clone> ByPath<T> {
    fn get(&mut self, path: &str, bytes: &Arc<[u8]>, make: impl FnOnce() -> T) -> T {
        if let Some(known) = self.0.get_mut(path).filter(|known| known.bytes == *bytes) {
            // The tree that the older allocation came with may be gone.
            known.bytes = Arc::clone(bytes);
            known.used = true;
            return known.value.clone();
        }
        let value = make();
        let known = Known { bytes: Arc::clone(bytes), value: value.clone(), used: true };
        self.0.insert(path.to_owned(), known);
        value
    }

    fn forget_unused(&mut self) {
        self.0.retain(|_, known| mem::take(&mut known.used));
    }
}
