//! Which files a directory holds: real files and symlinks that stay inside, each content of documents once.

use std::collections::{BTreeMap, HashSet};

use rustix::fs::FileType;

use super::{
    beneath::{Entry, Fingerprint, Refusal, Root, regular},
    limits::{FileKind, Limits},
    snapshot::FetchError,
};

/// What a walk found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Files to read, by path.
    pub(super) files: BTreeMap<String, Listed>,
    /// Paths that are not read, with the reason.
    pub(super) refused: BTreeMap<String, String>,
}

/// A file to read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) kind: FileKind,
    pub(super) fingerprint: Fingerprint,
    via_symlink: bool,
}

/// Lists everything beneath `root`.
///
/// Names that begin with a dot are skipped: `.git`, editors' locks and swap files, and the `..data` and dated
/// directories of a mounted ConfigMap, whose files show themselves through symlinks beside them.
pub(super) fn walk(root: &Root, limits: &Limits) -> Result<Listing, FetchError> {
    let mut walk = Walk { root, limits, listing: Listing::default(), entries: 0 };
    walk.directory("", 0, false)?;
    let mut listing = walk.listing;
    drop_aliases(&mut listing);
    if listing.files.len() > limits.files {
        return Err(FetchError::TooManyFiles { limit: limits.files });
    }
    Ok(listing)
}

struct Walk<'a> {
    root: &'a Root,
    limits: &'a Limits,
    listing: Listing,
    entries: usize,
}

impl Walk<'_> {
    fn directory(&mut self, path: &str, depth: usize, via_symlink: bool) -> Result<(), FetchError> {
        if depth > self.limits.depth {
            return self.refuse(path, format!("it is more than {} directories deep", self.limits.depth));
        }
        let left = self.limits.entries - self.entries;
        let here = if path.is_empty() { "." } else { path };
        match self.root.list(here, left) {
            Ok(Some(entries)) => {
                self.entries += entries.len();
                entries.into_iter().try_for_each(|entry| self.entry(path, entry, depth, via_symlink))
            }
            Ok(None) => Err(FetchError::TooManyEntries { limit: self.limits.entries }),
            Err(refusal) if path.is_empty() => Err(FetchError::Unreadable(refusal.to_string())),
            Err(refusal) => self.refused(path, &refusal),
        }
    }

    fn entry(&mut self, parent: &str, entry: Entry, depth: usize, via: bool) -> Result<(), FetchError> {
        if entry.name.starts_with(b".") {
            return Ok(());
        }
        let join = |name: &str| if parent.is_empty() { name.to_owned() } else { format!("{parent}/{name}") };
        let Ok(name) = str::from_utf8(&entry.name) else {
            let path = join(&String::from_utf8_lossy(&entry.name));
            return self.refuse(&path, "its name is not UTF-8".to_owned());
        };
        let (path, kind, via_symlink) = (join(name), FileKind::of(name), via || entry.is_symlink);
        match (self.root.look(&path), kind) {
            (Ok(found), _) if found.kind == FileType::Directory => {
                self.directory(&path, depth + 1, via_symlink)
            }
            (Ok(found), Some(kind)) => match regular(found.kind) {
                Ok(()) => {
                    let fingerprint = found.fingerprint;
                    self.listing.files.insert(path, Listed { kind, fingerprint, via_symlink });
                    Ok(())
                }
                Err(refusal) => self.refused(&path, &refusal),
            },
            // Found, and of no interest.
            (Ok(_), None) => Ok(()),
            // Gone since the directory was listed.
            (Err(Refusal::Dangling), _) if !entry.is_symlink => Ok(()),
            // Whatever it is called, it might have been a directory of documents.
            (Err(refusal), _) => self.refused(&path, &refusal),
        }
    }

    fn refused(&mut self, path: &str, refusal: &Refusal) -> Result<(), FetchError> {
        match refusal {
            Refusal::Unsettled => Err(FetchError::unsettled(self.limits)),
            refusal => self.refuse(path, refusal.to_string()),
        }
    }

    fn refuse(&mut self, path: &str, reason: String) -> Result<(), FetchError> {
        self.listing.refused.insert(path.to_owned(), reason);
        Ok(())
    }
}

/// Drops documents that a symlink shows a second time: they would be declared twice. The real path stays, or the
/// first by name among symlinks. Modules stay under every name, because guardrails name them by path.
fn drop_aliases(listing: &mut Listing) {
    let mut seen = HashSet::new();
    for file in listing.files.values().filter(|file| !file.via_symlink) {
        seen.insert(file.fingerprint.identity);
    }
    listing.files.retain(|_, file| {
        !file.via_symlink || file.kind == FileKind::Module || seen.insert(file.fingerprint.identity)
    });
}
