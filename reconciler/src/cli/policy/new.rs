//! `faultline policy new`.

use std::{
    fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use clap::{Args, ValueEnum};
use faultline_policies::template::{self, project};

use crate::cli::{CliError, Outcome, output::print_text};

/// Begin a guardrail: a project that builds, with its cases and the document that puts it in force
///
/// In Rust it has a copy of the SDK and needs the target wasm32-unknown-unknown; in C it is a Kubewarden policy and needs
/// clang and lld. Nothing is fetched here. Its README says what to do next.
///
/// Exit codes: 0 it is written; 2 usage, the directory is there already, or it cannot be written.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline policy new no-page-faults
  faultline policy new no-page-faults --dir guardrails/no-page-faults
  faultline policy new no-page-faults --language c")]
pub(super) struct New {
    /// What it is called: lower-case letters, digits and hyphens
    #[arg(value_name = "NAME")]
    name: Name,
    /// The directory to make; otherwise one of that name
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// In what it is written
    #[arg(long, value_enum, default_value_t)]
    language: Language,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Language {
    /// A component, on the SDK.
    #[default]
    Rust,
    /// A Kubewarden policy, without any SDK.
    C,
}

/// The other crates of a project.
const TAKEN: [&str; 2] = ["component", "faultline-guest"];

/// A name that Cargo and Kubernetes both accept.
#[derive(Clone, Debug)]
struct Name(String);

/// What a name may be.
#[derive(Debug, thiserror::Error)]
#[error(
    "a name is 1 to 63 lower-case letters, digits and hyphens, begins with a letter and does not end with a hyphen; `component` and `faultline-guest` are taken"
)]
struct NotAName;

impl FromStr for Name {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let may = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let fits = text.len() <= 63 && text.bytes().all(may) && !text.ends_with('-');
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        if fits && begins && !TAKEN.contains(&text) { Ok(Self(text.to_owned())) } else { Err(NotAName) }
    }
}

impl New {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { name: Name(name), dir, language } = self;
        let directory = dir.unwrap_or_else(|| PathBuf::from(&name));
        let language = match language {
            Language::Rust => template::Language::Rust,
            Language::C => template::Language::C,
        };
        let files = project(&name, language);
        let failed = |source| CliError::Project { path: directory.clone(), source };
        write(&directory, &files).map_err(failed)?;
        let shown = files.iter().filter(|(path, _)| !path.starts_with("faultline/"));
        let listed: String = shown.map(|(path, _)| format!("  {path}\n")).collect();
        print_text(&format!("{}\n{listed}README.md says what to do next\n", directory.display()))?;
        Ok(Outcome::Fine)
    }
}

/// Makes `directory`, which must not be there, with everything in it.
fn write(directory: &Path, files: &[(String, String)]) -> io::Result<()> {
    if let Some(parent) = directory.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::create_dir(directory)?;
    for (path, text) in files {
        let path = directory.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::write(path, text)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_a_crate_and_a_guardrail_can_have() {
        for name in ["a", "no-page-faults", "caps2", &"a".repeat(63)] {
            assert!(name.parse::<Name>().is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "2caps", "Caps", "a_b", "a/b", "..", "component", "é", &"a".repeat(64)]
        {
            assert!(name.parse::<Name>().is_err(), "{name}");
        }
    }
}
