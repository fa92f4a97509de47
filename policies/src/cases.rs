//! Cases: what a guardrail is asked and what it is to answer, as files that people write.
//!
//! A file holds one case or more, each a YAML document:
//! ```yaml
//! case: more times than the cap are tightened to it
//! settings: { times: { max: 100 } }
//! experiment: mount.yaml      # beside this file; or the whole document in its place
//! expect:
//!   verdict: tighten
//!   tightenings:
//!     - { times: 100, rule: times, path: spec.failKernRequest.times, message: 101 is over the cap of 100 }
//! ```
//! [`load`] reads a folder of them, [`Case::run`] puts one to a module, and [`unnoticed`] tells which cases pass whatever
//! the module does. [`settings`] and [`admission`] read those parts from files of their own. `policies/README.md` lists the fields.

mod compare;
mod expected;
mod mutation;
mod parts;
mod question;
mod read;

use std::{
    io,
    path::{Path, PathBuf},
};

use faultline_core::{
    parse::Finding,
    review::{Evaluator, Moment, Review},
};
use serde_json::Value as Json;

pub use compare::Difference;
pub use expected::{Expected, Verdict};
pub use mutation::{Mutation, mutations, unnoticed};
pub use parts::{admission, settings};

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Cases {
    /// In the order of the files' names, and within each in that of the text.
    pub cases: Vec<Case>,
    /// Files with problems. Their other cases are among [`Self::cases`].
    pub broken: Vec<BrokenFile>,
}

/// A file with problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenFile {
    /// Which.
    pub path: PathBuf,
    /// Every error in it, with its line.
    pub problems: Vec<Finding>,
    /// The same for people, with the underlined text. No colours.
    pub rendered: String,
}

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// What it shows, in words.
    pub name: String,
    /// The file that it is in.
    pub path: PathBuf,
    /// The line that it begins on, from 1.
    pub line: u32,
    /// The settings of the guardrail.
    pub settings: Json,
    /// The question; `None` where the settings are not valid and nothing is asked.
    pub review: Option<Review>,
    /// The answer.
    pub expected: Expected,
}

/// What running a case came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// `None`: the module does what the case says.
    pub difference: Option<Difference>,
    /// Fuel used; 0 where the module was not asked about an experiment.
    pub fuel: u64,
}

/// A folder that cannot be tested.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It, or a file in it, cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Nothing was tested, which must not look like success.
    #[error("{} holds no case: no .yaml, .yml or .json file in it has one", .0.display())]
    Empty(PathBuf),
}

/// Reads the files that lie in `folder` itself: beneath it may be the experiments that cases share.
///
/// # Errors
/// It cannot be read, or there is no case in it, not even a broken one.
pub fn load(folder: &Path) -> Result<Cases, LoadError> {
    let mut cases = Cases::default();
    for path in read::files(folder)? {
        read::file(&path, &mut cases)?;
    }
    if cases.cases.is_empty() && cases.broken.is_empty() {
        return Err(LoadError::Empty(folder.to_owned()));
    }
    Ok(cases)
}

impl Case {
    /// Puts the case to `module`.
    #[must_use]
    pub fn run(&self, evaluator: &dyn Evaluator, module: &[u8]) -> Ran {
        let (lines, fuel) = self.ask(evaluator, module);
        Ran { difference: Difference::between(self.expected.lines(), lines), fuel }
    }

    /// What the module says, in lines, and the fuel that took.
    fn ask(&self, evaluator: &dyn Evaluator, module: &[u8]) -> (Vec<String>, u64) {
        let Some(review) = &self.review else {
            let lines = match evaluator.check(module, &self.settings) {
                Ok(_) => vec!["the settings are valid".to_owned()],
                Err(why) => Expected::of(Err(why)).lines(),
            };
            return (lines, 0);
        };
        let evaluation = evaluator.evaluate(module, &self.settings, review);
        let moment = if review.admission.is_some() { Moment::Admit } else { Moment::Judge };
        // A module that is never asked such a question is not tested by what it would have answered.
        let never =
            evaluator.describe(module).is_ok_and(|description| !description.moments.contains(&moment));
        let lines = if never && evaluation.outcome.is_ok() {
            let (with, moment) = match moment {
                Moment::Judge => ("without", "judge"),
                Moment::Admit => ("with", "admit"),
            };
            vec![format!(
                "the module is never asked {with} `admission`: it does not describe the moment {moment}"
            )]
        } else {
            Expected::of(evaluation.outcome).lines()
        };
        (lines, evaluation.fuel)
    }
}
