//! Logging to stderr.

use std::io::{IsTerminal as _, stderr};

use clap::{Args, ValueEnum};
use tracing_subscriber::{EnvFilter, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// What a command that logs takes.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LogArgs {
    /// How the log is written, to stderr; FAULTLINE_LOG filters it, such as `debug`
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub log_format: LogFormat,
}

/// How lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    #[default]
    Text,
    /// One JSON object per line
    Json,
}

impl LogArgs {
    /// Logs from now on. `FAULTLINE_LOG` filters, as in `info,faultline_node_agent=debug`. Where the process logs
    /// already, as when the agent is embedded, nothing changes.
    pub fn start(self) {
        let Self { log_format } = self;
        let filter = EnvFilter::try_from_env("FAULTLINE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        let lines = tracing_subscriber::fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal());
        let registry = tracing_subscriber::registry().with(filter);
        let _logs_already = match log_format {
            LogFormat::Text => registry.with(lines).try_init(),
            LogFormat::Json => registry.with(lines.json()).try_init(),
        };
    }
}
