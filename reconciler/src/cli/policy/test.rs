//! `faultline policy test`.

mod report;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use faultline_core::review::Evaluator as _;
use faultline_policies::cases::{self, Cases, mutations, unnoticed};

use super::read_module;
use crate::cli::{
    CliError, Outcome,
    output::{Format, print},
    plan::host,
};
use report::{Mutated, Tested, TestedCase};

/// Put the cases of a directory to a module
///
/// policies/README.md says what a case is. With --mutation, and once all cases pass, they are put to a module that
/// allows everything, to one that denies everything, and to the module without each of its rules in turn: what no case
/// notices is not tested.
///
/// Exit codes: 0 every case passes; 1 one does not, a file is not a case, or a mutation goes unnoticed; 2 usage, or
/// there is no case, or no module.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline policy test cases
  faultline policy test cases --module no_page_faults.wasm --mutation
  faultline policy test cases --module no_page_faults.wasm -o json")]
pub(super) struct Test {
    /// Directory with cases
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// The module; otherwise the only one in the directory or beside it
    #[arg(long, value_name = "MODULE")]
    module: Option<PathBuf>,
    /// Also say which cases would not notice if the module did something else
    #[arg(long)]
    mutation: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Format,
}

impl Test {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { directory, module, mutation, output } = self;
        let Cases { cases, broken } = cases::load(&directory)?;
        let path = match module {
            Some(path) => path,
            None => only_module(&directory)?,
        };
        let (host, bytes) = (host()?, read_module(&path)?);
        let ran = cases.iter().map(|case| TestedCase::of(case, case.run(&host, &bytes)));
        let mut tested = Tested::new(host.load(&bytes).digest(), ran.collect(), broken);
        if mutation && tested.outcome() == Outcome::Fine {
            let description = host.describe(&bytes).map_err(CliError::Undecided)?;
            let told = |mutation| Mutated::of(&mutation, &unnoticed(&cases, &mutation, &host, &bytes));
            tested.mutations = mutations(&description).into_iter().map(told).collect();
        }
        print(&tested, output, Tested::text)?;
        Ok(tested.outcome())
    }
}

/// The one module in `directory` or, where there is none, in the directory that it lies in.
fn only_module(directory: &Path) -> Result<PathBuf, CliError> {
    for place in [directory.to_owned(), directory.join("..")] {
        let mut modules = modules(&place).map_err(|source| CliError::Read { path: place.clone(), source })?;
        match (modules.pop(), modules.is_empty()) {
            (None, _) => {}
            (Some(module), true) => return Ok(module),
            (Some(_), false) => return Err(CliError::SeveralModules(place)),
        }
    }
    Err(CliError::NoModule(directory.to_owned()))
}

fn modules(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut modules = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            modules.push(path);
        }
    }
    Ok(modules)
}
