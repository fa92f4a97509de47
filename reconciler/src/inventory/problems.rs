//! What is wrong with an inventory, where, and what to do about it.

use std::fmt;

use faultline_api::{
    LineColumn,
    yaml::{Node, Value},
};

/// Most problems that are told of one file: more help nobody.
const MOST_TOLD: usize = 20;

/// A file that is no inventory.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Invalid {
    /// The file.
    pub path: String,
    /// What is wrong with it, in the order of the text; at least one.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the file, if that is known.
    pub place: Option<LineColumn>,
    /// Of what, such as `pods[1].containers[0]`; empty: of the whole.
    pub subject: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl Invalid {
    /// The first problem and how many there are beside it, in one line.
    #[must_use]
    pub fn brief(&self) -> String {
        let first = self.problems.first().map(|problem| self.line(problem)).unwrap_or_default();
        match self.problems.len() {
            0 | 1 => first,
            count => format!("{first} (and {} more)", count - 1),
        }
    }

    /// `file:line:column: subject: message`.
    fn line(&self, problem: &Problem) -> String {
        let Problem { place, subject, message } = problem;
        let place = place.map(|at| format!("{}:{}:", at.line, at.column)).unwrap_or_default();
        let colon = if subject.is_empty() { "" } else { ": " };
        format!("{}:{place} {subject}{colon}{message}", self.path)
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the inventory {} is not valid", self.path)?;
        for problem in self.problems.iter().take(MOST_TOLD) {
            write!(f, "\n  {}", self.line(problem))?;
        }
        match self.problems.len().checked_sub(MOST_TOLD) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "\n  and {more} more"),
        }
    }
}

/// The way to a value within an inventory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
}

impl Trail {
    /// To a field, or a key, of the value.
    pub(super) fn field(&self, name: &str) -> Self {
        self.then(Step::Field(name.to_owned()))
    }

    /// To an item of the list.
    pub(super) fn item(&self, index: usize) -> Self {
        self.then(Step::Item(index))
    }

    fn then(&self, step: Step) -> Self {
        Self(self.0.iter().cloned().chain([step]).collect())
    }

    /// Offset of the value in the text that `root` was read from, or of what is nearest to it.
    pub(super) fn offset(&self, root: &Node) -> usize {
        let mut at = root;
        for step in &self.0 {
            let next = match (step, &at.value) {
                (Step::Field(name), _) => at.get(name),
                (Step::Item(index), Value::Sequence(items)) => items.get(*index),
                (Step::Item(_), _) => None,
            };
            match next {
                Some(next) => at = next,
                None => break,
            }
        }
        at.span.start
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if index == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(number) => write!(f, "[{number}]")?,
            }
        }
        Ok(())
    }
}
