//! The command line: a file per command, and what they share.
//!
//! Exit codes: 0 fine; 1 the input was read and found wrong, or denied; 2 usage, IO, or cannot decide.

mod certs;
mod compile;
mod completions;
mod defaults;
mod error;
mod explain;
mod get;
mod kernel;
mod nodes;
mod output;
mod plan;
mod policy;
#[cfg(all(target_os = "linux", feature = "embedded-node"))]
mod preflight;
mod registries;
mod run;
mod serving;
mod sources;
mod table;
#[cfg(all(target_os = "linux", feature = "embedded-node"))]
mod up;
mod validate;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::CliError;

/// GitOps for kernel faults.
#[derive(Debug, Parser)]
#[command(name = "faultline", version, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Validate(validate::Validate),
    Compile(compile::Compile),
    Plan(plan::PlanCommand),
    Policy(policy::Policy),
    Run(run::Run),
    #[cfg(all(target_os = "linux", feature = "embedded-node"))]
    Up(up::Up),
    Get(get::Get),
    Explain(explain::Explain),
    #[cfg(all(target_os = "linux", feature = "embedded-node"))]
    Preflight(preflight::Preflight),
    Certs(certs::Certs),
    Completions(completions::Completions),
}

/// What a command came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// 0.
    Fine,
    /// 1: the input was read and found wrong, or denied, or differs where that was asked about.
    Found,
    /// 2: it could not be decided.
    Undecided,
}

/// Does what the arguments say.
#[must_use]
pub fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Validate(command) => command.execute(),
        Command::Compile(command) => command.execute(),
        Command::Plan(command) => command.execute(),
        Command::Policy(command) => command.execute(),
        Command::Run(command) => command.execute(),
        #[cfg(all(target_os = "linux", feature = "embedded-node"))]
        Command::Up(command) => command.execute(),
        Command::Get(command) => command.execute(),
        Command::Explain(command) => command.execute(),
        #[cfg(all(target_os = "linux", feature = "embedded-node"))]
        Command::Preflight(command) => command.execute(),
        Command::Certs(command) => command.execute(),
        Command::Completions(command) => command.execute(),
    };
    match result {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(1),
        Ok(Outcome::Undecided) => ExitCode::from(2),
        Err(error) => {
            anstream::eprintln!("error: {}", error::chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_arguments_contradict_each_other_nowhere() {
        super::Cli::command().debug_assert();
    }
}
