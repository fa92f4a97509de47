//! The command line of `faultline-agent`.

mod containment;

use std::{future::Future, io::Write, net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use faultline_core::inventory::Injectability;
use faultline_telemetry::log::LogArgs;
use faultline_wire::{Address, node_name, tls::TlsFiles};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    attachments::{causes, kernel_report},
    config::{AgentConfig, DEFAULT_BPFFS, DEFAULT_METRICS_LISTEN, DEFAULT_STATE_DIR},
    kernel::preflight,
    shell::{engine_config, run},
};
use containment::ContainmentArgs;

/// The input was read and found wrong: here, a kernel that cannot inject.
const NEGATIVE: u8 = 1;
/// Usage, IO, or cannot decide.
const FAILED: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  On the reconciler's machine, over its Unix socket:
    faultline-agent --connect unix:/run/faultline/agents.sock

  On another machine, with certificates from `faultline certs init`:
    faultline-agent --connect https://faultline.example:7443 --node worker-1 \\
      --tls-ca ca.crt --tls-cert worker-1.crt --tls-key worker-1.key

  What can this kernel do?
    faultline-agent preflight";

/// Attaches what the reconciler desires on this node, for as long as its lease is renewed.
///
/// Needs root, or CAP_BPF, CAP_PERFMON, CAP_SYSLOG and CAP_DAC_READ_SEARCH; a bpf file system; cgroup v2. Everything
/// is detached when it stops, however it stops.
#[derive(Debug, Parser)]
#[command(name = "faultline-agent", version, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Prints what this kernel can do; exits with 1 where it can inject nothing, with 2 where rights are missing to
    /// tell.
    Preflight {
        /// How it is printed.
        #[arg(short, long, value_enum, default_value_t)]
        output: Output,
        /// A bpf file system.
        #[arg(long, value_name = "DIR", default_value = DEFAULT_BPFFS)]
        bpffs: PathBuf,
    },
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// As it is reported.
    Json,
}

#[derive(Debug, Args)]
struct RunArgs {
    /// Where the reconciler is: unix:/path, http://127.0.0.1:port (loopback only) or https://host:port.
    #[arg(long, value_name = "ADDRESS", env = "FAULTLINE_CONNECT", required = true)]
    connect: Option<Address>,
    /// Name of this node, as the inventory has it [default: the host's name, in lower case].
    #[arg(long, value_name = "NAME", env = "FAULTLINE_NODE", value_parser = node_name)]
    node: Option<String>,
    /// Where the agent remembers what it was told and what is spent.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_STATE_DIR)]
    state_dir: PathBuf,
    /// The cgroup v2 hierarchy [default: as it is mounted].
    #[arg(long, value_name = "DIR")]
    cgroup_root: Option<PathBuf>,
    /// A bpf file system, where spent budgets are counted past a restart of the agent.
    #[arg(long, value_name = "DIR", default_value = DEFAULT_BPFFS)]
    bpffs: PathBuf,
    /// Certificate of the authority, for https://.
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_key"])]
    tls_ca: Option<PathBuf>,
    /// This node's certificate, for https://.
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_key"])]
    tls_cert: Option<PathBuf>,
    /// Its private key, for https://.
    #[arg(long, value_name = "FILE", requires_all = ["tls_ca", "tls_cert"])]
    tls_key: Option<PathBuf>,
    /// Where /metrics, /healthz and /readyz are served.
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_METRICS_LISTEN)]
    metrics_listen: SocketAddr,
    #[command(flatten)]
    containment: ContainmentArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Parses the command line and does what it says.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command, run } = Cli::parse();
    match command {
        Some(Command::Preflight { output, bpffs }) => show_preflight(output, bpffs),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "faultline-agent", &mut script);
            print(&script)
        }
        None => run_agent(run),
    }
}

fn run_agent(args: RunArgs) -> ExitCode {
    args.log.start();
    let result = configure(args).and_then(|config| {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| format!("cannot start: {error}"))?;
        runtime.block_on(async {
            let stop = stop_signal().map_err(|error| format!("cannot handle signals: {error}"))?;
            run(config, stop).await.map_err(|error| causes(&error))
        })
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

fn configure(args: RunArgs) -> Result<AgentConfig, String> {
    let RunArgs {
        connect,
        node,
        state_dir,
        cgroup_root,
        bpffs,
        tls_ca,
        tls_cert,
        tls_key,
        metrics_listen,
        containment,
        log: _,
    } = args;
    let connect = connect.ok_or("--connect is required")?;
    let node = match node {
        Some(node) => node,
        None => host_name().ok_or("this host has no name that can be used: give one with --node")?,
    };
    let tls = tls_ca.zip(tls_cert).zip(tls_key).map(|((ca, cert), key)| TlsFiles { ca, cert, key });
    let metrics_listen = Some(metrics_listen);
    let containment = containment.containment();
    Ok(AgentConfig { connect, tls, node, state_dir, cgroup_root, bpffs, metrics_listen, containment })
}

fn host_name() -> Option<String> {
    // Unset, it is `(none)`, which is no name either.
    node_name(&rustix::system::uname().nodename().to_str().ok()?.to_ascii_lowercase()).ok()
}

/// Completes on SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn show_preflight(output: Output, bpffs: PathBuf) -> ExitCode {
    let unused = Address::Unix(PathBuf::new());
    let config = AgentConfig { bpffs, ..AgentConfig::new(unused, "") };
    let preflight = preflight(&engine_config(&config));
    let report = kernel_report(&preflight);
    let text = match output {
        Output::Text => preflight.to_text(),
        Output::Json => match serde_json::to_string_pretty(&report) {
            Ok(json) => json + "\n",
            Err(error) => return fail(&error.to_string()),
        },
    };
    let can = report.faults.values().any(|verdict| matches!(verdict, Injectability::Yes { .. }));
    let printed = print(text.as_bytes());
    match can {
        _ if printed != ExitCode::SUCCESS => printed,
        true => printed,
        false if preflight.could_tell() => ExitCode::from(NEGATIVE),
        false => ExitCode::from(FAILED),
    }
}

fn print(bytes: &[u8]) -> ExitCode {
    // A reader that went away is no reason to fail loudly.
    match std::io::stdout().write_all(bytes) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::from(FAILED),
    }
}

fn fail(error: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "error: {error}");
    ExitCode::from(FAILED)
}

#[cfg(test)]
mod tests;
