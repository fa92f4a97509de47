//! `faultline certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use faultline_api::GoDuration;
use faultline_wire::certs::{Request, init};

use super::{CliError, Outcome, output::print_text};
use crate::clock::{Clock as _, SystemClock};

/// Certificates for mutual TLS between reconciler and agents
#[derive(Debug, Args)]
pub(super) struct Certs {
    #[command(subcommand)]
    command: CertsCommand,
}

#[derive(Debug, Subcommand)]
enum CertsCommand {
    Init(Init),
}

/// Make an authority and certificates, or issue more from the authority that is there
///
/// Writes ca.crt, ca.key, reconciler.crt, reconciler.key, and a pair for each node. A node's certificate speaks for
/// that node alone; keys are readable by their owner alone.
///
/// Exit codes: 0 they are written; 2 usage, or they cannot be: nothing is written over without --force.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline certs init --dir certs --server faultline.example --node node-1 --node node-2
  faultline certs init --dir certs --node node-3")]
struct Init {
    /// Directory of the files; made if it is not there
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// DNS name or IP address under which agents dial the reconciler; repeat for more
    #[arg(long = "server", value_name = "NAME")]
    servers: Vec<String>,
    /// Node to make a certificate for; repeat for more
    #[arg(long = "node", value_name = "NAME")]
    nodes: Vec<String>,
    /// How long the certificates last
    #[arg(long, value_name = "DURATION", default_value = "8760h")]
    validity: GoDuration,
    /// Issue anew what is already there; the authority is kept
    #[arg(long)]
    force: bool,
}

impl Certs {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let CertsCommand::Init(Init { dir, servers, nodes, validity, force }) = self.command;
        let now = SystemClock::new().now();
        let request = Request { dir, nodes, server_names: servers, validity: validity.as_std(), now, force };
        let written = init(&request)?;
        let line = |file: &faultline_wire::certs::Written| {
            format!("{}{}\n", file.path.display(), if file.secret { "  (secret)" } else { "" })
        };
        print_text(&written.iter().map(line).collect::<String>())?;
        Ok(Outcome::Fine)
    }
}
