//! Several globs as one.

use crate::glob::glob;

/// Patterns in which `*` stands for any run of characters and `?` for one; the same as in a guardrail's `match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Globs(pub(crate) Vec<String>);

impl Globs {
    /// The first that all of `text` matches.
    #[must_use]
    pub fn matching(&self, text: &str) -> Option<&str> {
        self.0.iter().map(String::as_str).find(|pattern| glob(pattern, text))
    }

    /// Whether there is one.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.matching(text).is_some()
    }

    /// The patterns, for people.
    #[must_use]
    pub fn listed(&self) -> String {
        crate::listed(self.0.iter().map(String::as_str))
    }
}
