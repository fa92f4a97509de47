//! A directory as a source.

use std::{path::PathBuf, sync::Arc, time::Duration};

use faultline_core::tree::{Fetched, Role, SourceRef, Tree};
use jiff::Timestamp;

use super::{FetchError, Limits, revision::revision, snapshot::snapshot};

/// A directory with documents or modules, and the last good tree that it gave.
#[derive(Debug)]
pub struct Directory {
    name: String,
    role: Role,
    path: PathBuf,
    limits: Limits,
    max_stale: Duration,
    last_good: Option<Arc<Tree>>,
    failing_since: Option<Timestamp>,
}

impl Directory {
    /// A source of the directory at `path`. When it cannot be read its last good tree stays in force for
    /// `max_stale`.
    #[must_use]
    pub fn new(name: &str, role: Role, path: PathBuf, max_stale: Duration) -> Self {
        let (name, limits) = (name.to_owned(), Limits::default());
        Self { name, role, path, limits, max_stale, last_good: None, failing_since: None }
    }

    /// With other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Its unique name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of its root.
    #[must_use]
    pub const fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Since when it cannot be read; `None` while it can.
    #[must_use]
    pub const fn failing_since(&self) -> Option<Timestamp> {
        self.failing_since
    }

    /// Reads the tree as it is at `now`. What cannot be read as a whole is stale or missing, never empty.
    pub fn fetch(&mut self, now: Timestamp) -> Fetched {
        match self.read() {
            Ok(tree) => {
                self.failing_since = None;
                // An equal tree keeps its allocation, so that caches keyed by it stay warm.
                let tree = match self.last_good.take() {
                    Some(last) if *last == tree => last,
                    _ => Arc::new(tree),
                };
                self.last_good = Some(Arc::clone(&tree));
                Fetched::Fresh(tree)
            }
            Err(error) => self.failed(&error, now),
        }
    }

    fn read(&self) -> Result<Tree, FetchError> {
        let snapshot = snapshot(&self.path, &self.limits)?;
        let revision = revision(&snapshot.files);
        let source = SourceRef { name: self.name.clone(), role: self.role, revision };
        Ok(Tree { source, files: snapshot.files, refused: snapshot.refused })
    }

    fn failed(&mut self, error: &FetchError, now: Timestamp) -> Fetched {
        let since = *self.failing_since.get_or_insert(now);
        let error = error.to_string();
        match &self.last_good {
            None => Fetched::Missing { name: self.name.clone(), role: self.role, error },
            Some(tree) => {
                let stale = Duration::try_from(now.duration_since(since)).unwrap_or(Duration::ZERO);
                Fetched::Stale { tree: Arc::clone(tree), error, expired: stale >= self.max_stale }
            }
        }
    }
}
