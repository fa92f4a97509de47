//! What `run` and `up` share: arguments, the runtime, logging, and being told to stop.

use std::{future::Future, io, net::SocketAddr, path::PathBuf};

use clap::Args;
use faultline_api::{GoDuration, duration::DurationError};
use faultline_telemetry::log::LogArgs;
use faultline_wire::{
    Address,
    limits::{MAX_LEASE_TTL, MIN_LEASE_TTL},
    server::{Listen, ServeError},
    tls::TlsFiles,
};
use tokio::{
    runtime::{Builder, Runtime},
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use super::{CliError, defaults::DefaultsArgs, registries::RegistryArgs, sources::SourceArgs};
use crate::{
    admin::{AdminAddress, DEFAULT_ADDRESS},
    inventory::Provider,
    serve::Settings,
};

/// What both take.
#[derive(Debug, Args)]
pub(super) struct ServingArgs {
    #[command(flatten)]
    sources: SourceArgs,
    #[command(flatten)]
    registries: RegistryArgs,
    /// Directory of the ledger, of the last plans and of modules that were fetched
    #[arg(long, value_name = "DIR", default_value = "/var/lib/faultline", value_parser = absolute)]
    pub(super) state_dir: PathBuf,
    /// Where `faultline get` and its like ask, on this machine: 127.0.0.1:PORT or unix:PATH
    #[arg(long, value_name = "ADDRESS", default_value = DEFAULT_ADDRESS)]
    admin_listen: AdminAddress,
    /// Where else metrics and health are served, in plain HTTP; the admin address serves them too
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics_listen: Option<SocketAddr>,
    /// How long an agent goes on injecting without a word from here; renewed three times within it
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = lease)]
    pub(super) lease_ttl: GoDuration,
    #[command(flatten)]
    defaults: DefaultsArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// Where a path leads from here: what is kept there is handed to others that take no relative one.
fn absolute(path: &str) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

/// A lease that can be granted, so that no other is found out only once everything is open.
fn lease(text: &str) -> Result<GoDuration, String> {
    let ttl: GoDuration = text.parse().map_err(|error: DurationError| error.to_string())?;
    if (MIN_LEASE_TTL..=MAX_LEASE_TTL).contains(&ttl.as_std()) {
        Ok(ttl)
    } else {
        Err(ServeError::LeaseTtl.to_string())
    }
}

/// Certificates for mutual TLS.
#[derive(Debug, Args)]
pub(super) struct TlsArgs {
    /// Certificate of the authority that agents' certificates come from
    #[arg(long, value_name = "FILE", requires_all = ["tls_cert", "tls_key"])]
    tls_ca: Option<PathBuf>,
    /// The reconciler's certificate
    #[arg(long, value_name = "FILE", requires = "tls_ca")]
    tls_cert: Option<PathBuf>,
    /// Its key
    #[arg(long, value_name = "FILE", requires = "tls_ca")]
    tls_key: Option<PathBuf>,
}

impl TlsArgs {
    pub(super) fn files(self) -> Option<TlsFiles> {
        Some(TlsFiles { ca: self.tls_ca?, cert: self.tls_cert?, key: self.tls_key? })
    }
}

impl ServingArgs {
    /// Starts the log, and says what is to be served.
    pub(super) fn settings(
        self,
        inventory: Provider,
        address: Address,
        tls: Option<TlsFiles>,
    ) -> Result<Settings, CliError> {
        let Self { sources, registries, state_dir, admin_listen, metrics_listen, lease_ttl, defaults, log } =
            self;
        log.start();
        Ok(Settings {
            sources: sources.directories()?,
            defaults: defaults.defaults(),
            modules: registries.store(Some(state_dir.join("modules"))),
            inventory,
            state_dir,
            listen: Listen { address, tls },
            admin: admin_listen,
            metrics: metrics_listen,
            lease_ttl: lease_ttl.as_std(),
        })
    }
}

/// A runtime with at least two workers: a pass on the calling thread never keeps leases from being renewed.
pub(super) fn runtime() -> Result<Runtime, CliError> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(CliError::Runtime)
}

/// Runs a short question to its end.
pub(super) fn blocking<T>(future: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    Ok(runtime.block_on(future))
}

/// Cancelled by SIGINT and SIGTERM. Whoever sends another means now: the process ends as if the signal had ended it.
/// Must be called within a runtime.
pub(super) fn stopped_by_signals() -> Result<CancellationToken, CliError> {
    let stop = CancellationToken::new();
    let mut interrupt = signal(SignalKind::interrupt()).map_err(CliError::Runtime)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(CliError::Runtime)?;
    let token = stop.clone();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            }
        };
        next().await;
        tracing::info!("stopping; another signal ends it at once");
        token.cancel();
        let signal = next().await;
        tracing::warn!("ending at once");
        std::process::exit(128 + signal.as_raw_value());
    });
    Ok(stop)
}
