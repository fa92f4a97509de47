//! A consistent reading of a directory: all files as they were at one moment.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{
    beneath::{Refusal, Root},
    limits::Limits,
    walk::{Listing, walk},
};

/// Why a directory could not be read as a whole. Single files that cannot be read do not fail a fetch.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum FetchError {
    /// The root is not there or is no directory.
    #[error("the directory cannot be opened: {0}")]
    NoRoot(String),
    /// The root cannot be listed.
    #[error("the directory cannot be listed: {0}")]
    Unreadable(String),
    /// More files than a tree may have.
    #[error("there are more than {limit} files with documents or modules")]
    TooManyFiles {
        /// The bound.
        limit: usize,
    },
    /// More entries than are looked at.
    #[error("there are more than {limit} directory entries; give a smaller directory as the source")]
    TooManyEntries {
        /// The bound.
        limit: usize,
    },
    /// More bytes than a tree may have.
    #[error("the files are larger than {limit} bytes together")]
    TooManyBytes {
        /// The bound.
        limit: u64,
    },
    /// It was written to during every attempt.
    #[error("it was being written to during each of {attempts} attempts to read it")]
    Unsettled {
        /// How many.
        attempts: usize,
    },
}

impl FetchError {
    /// As after the last attempt.
    pub(super) const fn unsettled(limits: &Limits) -> Self {
        Self::Unsettled { attempts: limits.attempts }
    }
}

/// The files of a directory at one moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    pub(super) files: BTreeMap<String, Arc<[u8]>>,
    pub(super) refused: BTreeMap<String, String>,
}

/// Reads everything, and again where something changed underneath.
pub(super) fn snapshot(path: &Path, limits: &Limits) -> Result<Snapshot, FetchError> {
    let unsettled = FetchError::unsettled(limits);
    for _ in 0..limits.attempts {
        match attempt(path, limits) {
            Err(error) if error == unsettled => {}
            settled => return settled,
        }
    }
    Err(unsettled)
}

fn attempt(path: &Path, limits: &Limits) -> Result<Snapshot, FetchError> {
    let root = Root::open(path).map_err(|error| FetchError::NoRoot(error.to_string()))?;
    let before = walk(&root, limits)?;
    let snapshot = read_all(&root, &before, limits)?;
    // The root is opened anew: where it was replaced meanwhile, the old one would look unchanged forever.
    let root = Root::open(path).map_err(|error| FetchError::NoRoot(error.to_string()))?;
    if walk(&root, limits)? == before { Ok(snapshot) } else { Err(FetchError::unsettled(limits)) }
}

/// Reads what a walk listed, unless a file is not the one that was listed.
fn read_all(root: &Root, listing: &Listing, limits: &Limits) -> Result<Snapshot, FetchError> {
    let mut snapshot = Snapshot { files: BTreeMap::new(), refused: listing.refused.clone() };
    let mut left = limits.total_bytes;
    for (path, listed) in &listing.files {
        match root.read(path, listed.kind.max_bytes(limits)) {
            Ok((content, fingerprint)) if fingerprint == listed.fingerprint => {
                left = left
                    .checked_sub(content.len() as u64)
                    .ok_or(FetchError::TooManyBytes { limit: limits.total_bytes })?;
                snapshot.files.insert(path.clone(), content.into());
            }
            Ok(_) | Err(Refusal::Dangling | Refusal::Unsettled) => {
                return Err(FetchError::unsettled(limits));
            }
            Err(refusal) => {
                snapshot.refused.insert(path.clone(), refusal.to_string());
            }
        }
    }
    Ok(snapshot)
}
