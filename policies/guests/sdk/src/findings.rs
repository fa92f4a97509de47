//! Shorthands for answers.

use crate::{Finding, Limit, Tightening};

/// What rule `rule` found at field `path` of the document.
#[must_use]
pub fn finding(rule: &str, path: &str, message: String) -> Finding {
    Finding { rule: rule.to_owned(), path: path.to_owned(), message }
}

/// A limit and why.
#[must_use]
pub const fn tighten(limit: Limit, finding: Finding) -> Tightening {
    Tightening { limit, finding }
}
