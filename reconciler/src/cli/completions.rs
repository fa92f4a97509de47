//! `faultline completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, CliError, Outcome, output::print_text};

/// Print a shell's completions
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline completions bash > /etc/bash_completion.d/faultline
  faultline completions fish > ~/.config/fish/completions/faultline.fish")]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "faultline", &mut script);
        print_text(&String::from_utf8_lossy(&script))?;
        Ok(Outcome::Fine)
    }
}
