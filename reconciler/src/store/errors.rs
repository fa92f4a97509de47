//! Why a ledger cannot be opened or kept, with the way out.

use std::{fmt::Display, path::Path};

/// Why a ledger cannot be opened or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error(
        "the state directory {path} is in use by {holder}, and one reconciler at a time may use it: stop that one, or \
         give this one another with --state-dir"
    )]
    InUse {
        /// The state directory.
        path: String,
        /// Who has it, as far as is known.
        holder: String,
    },
    /// What is in the file is not what was written.
    #[error(
        "the ledger {path} is damaged: {detail}; move it away and start again: runs are rebuilt from what the \
         agents remember, and a bounded experiment that no agent confirms is held until its annotation \
         `faultline.dev/rerun` has a new value"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        detail: String,
    },
    /// It was written by another version.
    #[error(
        "the ledger {path} has format {found} and this version reads format {known}; use the version that wrote \
         it, or move it away to have it rebuilt from what the agents remember"
    )]
    Format {
        /// The file.
        path: String,
        /// The format in the file.
        found: u64,
        /// The format that this version reads.
        known: u64,
    },
    /// Agents would refuse whatever they were told in the epoch after its own.
    #[error(
        "the ledger {path} has epoch {epoch}, after which no agent understands another; move it away and start \
         again: runs are rebuilt from what the agents remember"
    )]
    LastEpoch {
        /// The file.
        path: String,
        /// The epoch in the file.
        epoch: u64,
    },
    /// There is no ledger to read.
    #[error("there is no ledger at {path}")]
    NotThere {
        /// The file.
        path: String,
    },
    /// The machine could not do it; trying again may help.
    #[error("the ledger {path} cannot be used: {detail}")]
    Io {
        /// The file.
        path: String,
        /// Why.
        detail: String,
    },
}

/// Names the ledger's file in errors.
pub(super) struct LedgerFile(String);

impl LedgerFile {
    pub(super) fn new(path: &Path) -> Self {
        Self(path.display().to_string())
    }

    pub(super) fn io(&self, error: &dyn Display) -> StoreError {
        StoreError::Io { path: self.0.clone(), detail: error.to_string() }
    }

    pub(super) fn damaged(&self, error: &dyn Display) -> StoreError {
        StoreError::Damaged { path: self.0.clone(), detail: error.to_string() }
    }

    pub(super) fn format(&self, found: u64, known: u64) -> StoreError {
        StoreError::Format { path: self.0.clone(), found, known }
    }

    pub(super) fn last_epoch(&self, epoch: u64) -> StoreError {
        StoreError::LastEpoch { path: self.0.clone(), epoch }
    }

    /// What an error of the database means for its owner.
    pub(super) fn error(&self, error: redb::Error) -> StoreError {
        use redb::Error as E;
        match error {
            E::DatabaseAlreadyOpen | E::LockProtocolMismatch => {
                StoreError::InUse { path: self.0.clone(), holder: "another process".to_owned() }
            }
            E::Corrupted(_)
            | E::TableTypeMismatch { .. }
            | E::TableIsMultimap(_)
            | E::TypeDefinitionChanged { .. }
            | E::TableDoesNotExist(_)
            | E::UpgradeRequired(_) => self.damaged(&error),
            // redb says so of a file that does not begin as its files do.
            E::Io(ref cause) if cause.kind() == std::io::ErrorKind::InvalidData => self.damaged(&error),
            error => self.io(&error),
        }
    }
}
