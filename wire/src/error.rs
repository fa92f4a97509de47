//! What can be wrong with a message of the peer.

use faultline_core::ledger::Generation;
use thiserror::Error;

/// Why a message is refused. The field is named as the `.proto` has it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum WireError {
    /// It is required and absent.
    #[error("{field} is missing")]
    Missing {
        /// The field.
        field: &'static str,
    },
    /// Its value is not one that it may have.
    #[error("{field} is {value}: expected {expected}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// As it came.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A list or text is too long.
    #[error("{field} has length {length}: at most {max} is allowed")]
    TooLong {
        /// The field.
        field: &'static str,
        /// As it came.
        length: usize,
        /// The bound.
        max: usize,
    },
    /// A list is not in strictly ascending order.
    #[error("{field} is not in strictly ascending order at {at:?}")]
    NotAscending {
        /// The field.
        field: &'static str,
        /// The first entry that is not above the one before it.
        at: String,
    },
}

/// A desired set that cannot be read, and its generation if that much could be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("desired set refused: {error}")]
pub struct MalformedDesired {
    /// Its generation.
    pub generation: Option<Generation>,
    /// What is wrong.
    pub error: WireError,
}
