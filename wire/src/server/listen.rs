//! Binding.

use std::{
    fs, io,
    net::SocketAddr,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio::net::{TcpListener, UnixListener, UnixStream};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

use crate::{
    Address,
    tls::{TlsError, TlsFiles, server_config},
};

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// The address. A host that is a name is resolved once.
    pub address: Address,
    /// Required for [`Address::MutualTls`], refused for the others.
    pub tls: Option<TlsFiles>,
}

/// Why a listener cannot be bound.
#[derive(Debug, Error)]
pub enum ListenError {
    /// `https://` without certificates.
    #[error("{0} needs the certificate of an authority, a certificate and a key")]
    NoTls(Address),
    /// Certificates that would not be used.
    #[error("certificates are given and {0} does not speak TLS: use https://")]
    UnusedTls(Address),
    /// The name resolves to nothing, or `localhost` to something else than loopback.
    #[error("{0} resolves to no address that may be used")]
    Unresolved(Address),
    /// TLS cannot be set up.
    #[error("cannot set up TLS")]
    Tls(#[from] TlsError),
    /// Another process answers on the socket.
    #[error("another process listens on {}", .0.display())]
    InUse(PathBuf),
    /// Something else is in the socket's place, and is left alone.
    #[error("{} is there and is not a socket", .0.display())]
    NotASocket(PathBuf),
    /// Binding failed.
    #[error("cannot listen on {address}")]
    Bind {
        /// Where.
        address: Address,
        /// Why.
        source: io::Error,
    },
}

/// A bound listener.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) listener: Listener,
    address: Address,
    _socket: Option<SocketFile>,
}

pub(super) enum Listener {
    Unix(UnixListener),
    Plain(TcpListener),
    Tls(TcpListener, TlsAcceptor),
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unix(_) => "Unix",
            Self::Plain(_) => "Plain",
            Self::Tls(..) => "Tls",
        })
    }
}

/// Removes the socket when the listener is dropped.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Whether it worked does not matter: a socket that nobody listens on is replaced by the next listener.
        let _ = fs::remove_file(&self.0);
    }
}

impl Bound {
    pub(super) async fn new(Listen { address, tls }: Listen) -> Result<Self, ListenError> {
        match (&address, tls) {
            (Address::Unix(_) | Address::Plain { .. }, Some(_)) => Err(ListenError::UnusedTls(address)),
            (Address::MutualTls { .. }, None) => Err(ListenError::NoTls(address)),
            (Address::Unix(path), None) => {
                let listener = bind_unix(path, &address).await?;
                let socket = Some(SocketFile(path.clone()));
                Ok(Self { listener: Listener::Unix(listener), address, _socket: socket })
            }
            (Address::Plain { host, port }, None) => {
                let (listener, port) = bind_tcp(host, *port, true, &address).await?;
                let address = Address::Plain { host: host.clone(), port };
                Ok(Self { listener: Listener::Plain(listener), address, _socket: None })
            }
            (Address::MutualTls { host, port }, Some(files)) => {
                let config: Arc<ServerConfig> = server_config(&files)?;
                let (listener, port) = bind_tcp(host, *port, false, &address).await?;
                let address = Address::MutualTls { host: host.clone(), port };
                Ok(Self { listener: Listener::Tls(listener, config.into()), address, _socket: None })
            }
        }
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }
}

/// A plain listener takes loopback addresses only, whatever the name resolves to.
async fn bind_tcp(
    host: &str,
    port: u16,
    loopback_only: bool,
    address: &Address,
) -> Result<(TcpListener, u16), ListenError> {
    let failed = |source| ListenError::Bind { address: address.clone(), source };
    let resolved = tokio::net::lookup_host((host, port)).await.map_err(failed)?;
    let allowed: Vec<SocketAddr> =
        resolved.filter(|address| !loopback_only || address.ip().is_loopback()).collect();
    if allowed.is_empty() {
        return Err(ListenError::Unresolved(address.clone()));
    }
    let listener = TcpListener::bind(&*allowed).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    Ok((listener, port))
}

/// Binds under another name in the same folder and moves the socket to its place once its mode is 0600, so that
/// there is no moment at which others could connect.
async fn bind_unix(path: &Path, address: &Address) -> Result<UnixListener, ListenError> {
    let failed = |source| ListenError::Bind { address: address.clone(), source };
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.file_type().is_socket() => {
            return Err(ListenError::NotASocket(path.into()));
        }
        Ok(_) if UnixStream::connect(path).await.is_ok() => return Err(ListenError::InUse(path.into())),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let fresh = path.with_added_extension(format!("{}", std::process::id()));
    let bind = || {
        let listener = UnixListener::bind(&fresh)?;
        fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
        fs::rename(&fresh, path)?;
        Ok(listener)
    };
    bind().map_err(failed)
}
