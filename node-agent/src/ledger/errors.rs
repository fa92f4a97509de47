//! Why a ledger cannot be opened or kept, with the way out.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a ledger cannot be opened or kept.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// Another agent has it.
    #[error(
        "the ledger {path} is in use by another process, and one agent at a time may use a state directory: stop the \
         other one (`fuser -v {path}` names it), or give this one another with --state-dir",
        path = .0.display()
    )]
    InUse(PathBuf),
    /// What is in the file is not what was written.
    #[error(
        "the ledger {path} is damaged ({detail}) and the agent does not guess what was spent: stop the experiments \
         of this node, move the file away and start again; the node then accepts any generation, and bounded \
         experiments may inject what they had already spent here",
        path = .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// It was written by another version.
    #[error(
        "the ledger {path} has format {found} and this version reads format {known}: use the version that wrote it",
        path = .path.display()
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        found: u64,
        /// The format that this version reads.
        known: u64,
    },
    /// The state directory cannot be made or written.
    #[error("cannot use the state directory {}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The machine could not do it.
    #[error("the ledger {} cannot be used", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<redb::Error>,
    },
}

/// What an error of the database means for its owner.
pub(super) fn of_database(path: &std::path::Path, error: redb::Error) -> LedgerError {
    use redb::Error as E;
    let path = path.to_owned();
    match error {
        E::DatabaseAlreadyOpen | E::LockProtocolMismatch => LedgerError::InUse(path),
        E::Corrupted(_)
        | E::TableTypeMismatch { .. }
        | E::TableIsMultimap(_)
        | E::TypeDefinitionChanged { .. }
        | E::TableDoesNotExist(_)
        | E::UpgradeRequired(_)
        | E::RepairAborted => LedgerError::Damaged { path, detail: error.to_string() },
        // A file that does not begin, or does not go on, as it should.
        E::Io(ref cause)
            if matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            LedgerError::Damaged { path, detail: error.to_string() }
        }
        error => LedgerError::Unusable { path, source: Box::new(error) },
    }
}
