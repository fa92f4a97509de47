//! `faultline run`.

use std::path::PathBuf;

use clap::Args;
use faultline_wire::Address;

use super::{
    CliError, Outcome,
    serving::{ServingArgs, TlsArgs, runtime, stopped_by_signals},
};
use crate::{inventory::Provider, serve::Server};

/// Watch directories and keep the agents at exactly what they declare
///
/// When it stops it says nothing to the agents: they recover by themselves once their leases have run out, and a
/// reconciler that is back before then finds them as they were.
///
/// Exit codes: 0 a signal stopped it; 2 usage, or it cannot start or go on; 128 and the signal's number where a second
/// signal ended it at once.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  faultline run --source experiments --platform guardrails --inventory inventory.yaml \\
    --listen unix:/run/faultline/agents.sock
  faultline run --source team-a=/srv/a --source team-b=/srv/b --platform /srv/guardrails \\
    --inventory inventory.yaml --listen https://0.0.0.0:7443 \\
    --tls-ca certs/ca.crt --tls-cert certs/reconciler.crt --tls-key certs/reconciler.key")]
pub(super) struct Run {
    #[command(flatten)]
    serving: ServingArgs,
    /// Nodes and pods to select from, YAML or JSON; replace the file to change them
    #[arg(long, value_name = "FILE")]
    inventory: PathBuf,
    /// Where agents dial: unix:PATH, http://127.0.0.1:PORT on this machine, or https://HOST:PORT with certificates
    #[arg(long, value_name = "ADDRESS", default_value = "unix:/run/faultline/agents.sock")]
    listen: Address,
    #[command(flatten)]
    tls: TlsArgs,
}

impl Run {
    pub(super) fn execute(self) -> Result<Outcome, CliError> {
        let Self { serving, inventory, listen, tls } = self;
        let settings = serving.settings(Provider::File(inventory), listen, tls.files())?;
        runtime()?.block_on(async {
            let stop = stopped_by_signals()?;
            Server::start(settings, stop.clone()).await?.run(stop).await?;
            Ok(Outcome::Fine)
        })
    }
}
