//! The `lab` command.

mod cargo;
mod kernels;
mod machine;
mod performance;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::artifacts::ArtifactError;
use crate::bcc::BccError;
use crate::cache::Cache;
use crate::disk::DiskError;
use crate::kernel::KernelError;
use crate::packages::PackageError;
use crate::progress::Progress;
use crate::vm::{BootError, VmError};

/// The lab's own failures, apart from the exit code of what ran in it. docker, env and timeout do the same.
const LAB_FAILED: u8 = 125;

/// Boot real Linux kernels in QEMU, run commands and tests in them
#[derive(Debug, Parser)]
#[command(name = "lab", bin_name = "cargo lab", version, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  cargo lab run -- uname -a
  cargo lab run --kernel 6.12 --cpus 4 --append preempt=full -- sh -c 'cat /proc/cmdline'
  cargo lab run --file target/x86_64-unknown-linux-gnu/debug/agent:/bin/agent -- agent --version
  cargo lab shell --kernel stock --disk sample
  cargo lab test -- --test-threads 1 mount

Exit codes:
  the command's own; 128 + N when signal N ended it; 125 when the lab failed

Environment:
  FAULTLINE_CACHE              cache folder, else XDG_CACHE_HOME, else ~/.cache
  FAULTLINE_LAB_SOURCE_6_1     a source tarball to build 6.1 from (FAULTLINE_LAB_SOURCE_6_12 likewise)
  FAULTLINE_LAB_DEBIAN_MIRROR  a Debian mirror, other than apt's or Debian's own
  FAULTLINE_LAB_NO_INSTALL     set: install no packages, say which are missing";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a command in a freshly booted machine
    Run(run::Run),
    /// Open a shell in a freshly booted machine
    Shell(run::Shell),
    /// Run test binaries of this workspace in a machine, many tests in one boot
    Test(cargo::Test),
    /// Run benchmarks of this workspace in a machine that counts instructions
    Bench(cargo::Bench),
    /// Measure what the engine costs, and write docs/performance.md
    Performance(performance::Performance),
    /// Build or download kernels ahead of time
    Build(kernels::Build),
    /// List the kernels in the cache
    List,
    /// Remove kernels from the cache
    Clean(kernels::Clean),
    /// Print completions for a shell
    Completions {
        /// Which shell
        shell: clap_complete::Shell,
    },
}

/// Everything that can go wrong, each with what it says itself.
#[derive(Debug, thiserror::Error)]
enum CliError {
    #[error(transparent)]
    Kernel(#[from] KernelError),
    #[error(transparent)]
    Boot(#[from] BootError),
    #[error(transparent)]
    Vm(#[from] VmError),
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error(
        "{0} needs libraries that the guest does not have: build it with `-C target-feature=+crt-static`"
    )]
    Dynamic(String),
    #[error(transparent)]
    Bcc(#[from] BccError),
    #[error("the measurement on Linux {0} ended with {1}")]
    NotMeasured(String, std::process::ExitStatus),
    #[error("no {0} was built")]
    NothingBuilt(&'static str),
}

/// What the commands share.
struct Context {
    cache: Cache,
    progress: Progress,
}

/// Parses the arguments and does what they say.
pub fn main() -> ExitCode {
    let cache = Cache::from_env();
    let context = Context { progress: Progress::stderr(&cache), cache };
    match Cli::parse().command.execute(&context) {
        Ok(code) => code.into(),
        Err(error) => {
            report(&error);
            LAB_FAILED.into()
        }
    }
}

impl Command {
    fn execute(self, context: &Context) -> Result<u8, CliError> {
        match self {
            Self::Run(run) => run.execute(context),
            Self::Shell(shell) => shell.execute(context),
            Self::Test(test) => test.execute(context),
            Self::Bench(bench) => bench.execute(context),
            Self::Performance(performance) => performance.execute(context),
            Self::Build(build) => build.execute(context),
            Self::List => kernels::list(context),
            Self::Clean(clean) => clean.execute(context),
            Self::Completions { shell } => {
                let mut script = Vec::new();
                clap_complete::generate(shell, &mut Cli::command(), "lab", &mut script);
                io::stdout().write_all(&script)?;
                Ok(0)
            }
        }
    }
}

fn report(error: &CliError) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    anstream::eprintln!("{red}error{red:#}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        anstream::eprintln!("  because: {cause}");
        source = cause.source();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
