//! Files that cannot be used, and what is wrong with them.

use std::path::Path;

use faultline_core::parse::Finding;
use faultline_policies::cases::BrokenFile;
use serde::Serialize;

use crate::cli::{
    CliError, Outcome,
    output::{Format, print},
};

/// One file, and every problem in it.
#[derive(Debug, Serialize)]
pub(super) struct Wrong {
    pub(super) path: String,
    pub(super) findings: Vec<Finding>,
    #[serde(skip)]
    pub(super) rendered: String,
}

/// As it is printed where there is nothing else to say.
#[derive(Debug, Serialize)]
struct Only<'a> {
    broken: [&'a Wrong; 1],
}

impl Wrong {
    /// `findings` in `bytes`, which people know as `path`.
    pub(super) fn new(path: &Path, bytes: &[u8], findings: Vec<Finding>) -> Self {
        let path = path.display().to_string();
        let diagnostics: Vec<_> = findings.iter().map(|finding| finding.diagnostic.clone()).collect();
        Self { rendered: faultline_api::render(&diagnostics, &path, bytes, false), path, findings }
    }

    /// Says so, which is all that comes of the command.
    pub(super) fn tell(&self, format: Format) -> Result<Outcome, CliError> {
        print(&Only { broken: [self] }, format, |_| self.rendered.clone())?;
        Ok(Outcome::Found)
    }
}

impl From<BrokenFile> for Wrong {
    fn from(broken: BrokenFile) -> Self {
        let BrokenFile { path, problems, rendered } = broken;
        Self { path: path.display().to_string(), findings: problems, rendered }
    }
}
