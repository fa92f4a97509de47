//! What was expected beside what came.

use std::fmt;

/// How an answer differs from the expected one: lines with `-` for what is missing, `+` for what was not expected.
/// The order of findings means nothing, so it is no difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Expected, and did not come.
    pub missing: Vec<String>,
    /// Came, and was not expected.
    pub unexpected: Vec<String>,
}

impl Difference {
    /// `None`: both hold the same lines, each as often.
    pub(super) fn between(expected: Vec<String>, actual: Vec<String>) -> Option<Self> {
        let mut unexpected = actual;
        let mut missing = expected;
        missing.retain(|line| match unexpected.iter().position(|other| other == line) {
            Some(position) => {
                unexpected.remove(position);
                false
            }
            None => true,
        });
        (!missing.is_empty() || !unexpected.is_empty()).then_some(Self { missing, unexpected })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.missing.iter().try_for_each(|line| writeln!(f, "- {line}"))?;
        self.unexpected.iter().try_for_each(|line| writeln!(f, "+ {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(expected: &str, actual: &str) -> String {
        let lines = |text: &str| text.split_whitespace().map(str::to_owned).collect();
        Difference::between(lines(expected), lines(actual))
            .map_or_else(String::new, |found| found.to_string())
    }

    #[test]
    fn order_is_no_difference_and_number_is_one() {
        assert_eq!(between("a b c", "c a b"), "");
        assert_eq!(between("a a", "a"), "- a\n");
        assert_eq!(between("a", "a a"), "+ a\n");
        assert_eq!(between("a b", "b c"), "- a\n+ c\n");
        assert_eq!(between("", "a"), "+ a\n");
    }
}
