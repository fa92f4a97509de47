//! `--source` and `--platform`.

use std::{collections::BTreeSet, convert::Infallible, path::PathBuf, str::FromStr};

use clap::Args;
use faultline_api::GoDuration;
use faultline_core::tree::Role;

use super::CliError;
use crate::source::Directory;

/// Which directories are read.
#[derive(Debug, Args)]
pub(super) struct SourceArgs {
    /// Directory with experiments; repeat for more
    #[arg(long = "source", value_name = "[NAME=]DIR", required_unless_present = "platforms")]
    sources: Vec<SourceSpec>,
    /// Directory with guardrails, which experiments cannot loosen; repeat for more
    #[arg(long = "platform", value_name = "[NAME=]DIR")]
    platforms: Vec<SourceSpec>,
    /// How long the last good tree of a directory that cannot be read stays in force
    #[arg(long, value_name = "DURATION", default_value = "10m")]
    max_stale: GoDuration,
}

impl SourceArgs {
    /// The sources, each with a name of its own.
    pub(super) fn directories(&self) -> Result<Vec<Directory>, CliError> {
        let Self { sources, platforms, max_stale } = self;
        let mut names = BTreeSet::new();
        let roles = platforms
            .iter()
            .map(|spec| (spec, Role::Platform))
            .chain(sources.iter().map(|spec| (spec, Role::Experiments)));
        roles
            .map(|(SourceSpec { name, path }, role)| {
                if !names.insert(name) {
                    return Err(CliError::SameName(name.clone()));
                }
                Ok(Directory::new(name, role, path.clone(), max_stale.as_std()))
            })
            .collect()
    }
}

/// `NAME=DIR`, or `DIR`, which is called by its last component.
#[derive(Clone, Debug, PartialEq, Eq)]
struct SourceSpec {
    name: String,
    path: PathBuf,
}

impl FromStr for SourceSpec {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains('/') => {
                Self { name: name.to_owned(), path: path.into() }
            }
            _ => {
                let path = PathBuf::from(text);
                let last = path.file_name().map(|name| name.to_string_lossy().into_owned());
                Self { name: last.unwrap_or_else(|| "source".to_owned()), path }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_named_or_called_by_its_last_component() {
        let of = |text: &str| {
            let Ok(SourceSpec { name, path }) = text.parse::<SourceSpec>();
            (name, path.display().to_string())
        };
        assert_eq!(of("team=a/b"), ("team".into(), "a/b".into()));
        assert_eq!(of("a/b/"), ("b".into(), "a/b/".into()));
        assert_eq!(of("./x=y/z"), ("z".into(), "./x=y/z".into()));
        assert_eq!(of(".."), ("source".into(), "..".into()));
    }
}
