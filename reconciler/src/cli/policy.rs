//! `faultline policy`: for the authors of guardrails.

mod bench;
mod inspect;
mod new;
mod question;
mod run;
mod samples;
mod test;
mod wrong;

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};

use super::{CliError, Outcome};
use crate::{bounded::read_at_most, source::Limits};

/// For authors of guardrails: begin one, look at a module, ask it, test it, measure it
#[derive(Debug, Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    New(new::New),
    Inspect(inspect::Inspect),
    Run(run::Run),
    Test(test::Test),
    Bench(bench::Bench),
}

impl Policy {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        match self.command {
            Command::New(command) => command.execute(),
            Command::Inspect(command) => command.execute(),
            Command::Run(command) => command.execute(),
            Command::Test(command) => command.execute(),
            Command::Bench(command) => command.execute(),
        }
    }
}

/// The bytes of a module, no more than a source may hold.
fn read_module(path: &Path) -> Result<Vec<u8>, CliError> {
    read(path, Limits::default().module_bytes)
}

/// A file, or standard input for `-`, with the name that people know it by.
fn read_text(path: &Path) -> Result<(PathBuf, Vec<u8>), CliError> {
    let limit = Limits::default().document_bytes;
    if path == Path::new("-") {
        let shown = PathBuf::from("<stdin>");
        let bytes = within(&shown, limit, read_at_most(std::io::stdin(), limit))?;
        return Ok((shown, bytes));
    }
    Ok((path.to_owned(), read(path, limit)?))
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, CliError> {
    within(path, limit, File::open(path).and_then(|file| read_at_most(file, limit)))
}

fn within(path: &Path, limit: u64, content: std::io::Result<Option<Vec<u8>>>) -> Result<Vec<u8>, CliError> {
    match content {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(CliError::TooLarge { path: path.to_owned(), limit }),
        Err(source) => Err(CliError::Read { path: path.to_owned(), source }),
    }
}
