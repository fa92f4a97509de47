//! Shorthands for answers.

use crate::{Failtype, Fault, Finding, Limit, Response, Tightening};

/// How many names a message lists: the host refuses one that is too long, and nobody reads more.
const LISTED: usize = 5;

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

/// `names` for a message: the first few, and how many more there are.
#[must_use]
pub fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let shown = names[..names.len().min(LISTED)].join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

impl Response {
    /// Allows the experiment as it is.
    #[must_use]
    pub const fn allow() -> Self {
        Self { denials: Vec::new(), tightenings: Vec::new(), warnings: Vec::new() }
    }

    /// Denies for what was found, and allows where that is nothing.
    #[must_use]
    pub const fn deny(denials: Vec<Finding>) -> Self {
        Self { denials, tightenings: Vec::new(), warnings: Vec::new() }
    }
}

/// What is injected, for a message.
#[must_use]
pub fn faults(fault: &Fault) -> String {
    match fault {
        Fault::Failtype(Failtype::Slab) => "slab faults".to_owned(),
        Fault::Failtype(Failtype::Page) => "page faults".to_owned(),
        Fault::Failtype(Failtype::Bio) => "bio faults".to_owned(),
        Fault::Function(function) => format!("faults of {}", function.name),
    }
}

/// Whether `fault` is among `failtypes`. The failure of a function is none of them.
#[must_use]
pub fn is_among(fault: &Fault, failtypes: &[Failtype]) -> bool {
    matches!(fault, Fault::Failtype(failtype) if failtypes.contains(failtype))
}
