//! Dialling.

use std::{io, path::Path, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, pki_types::ServerName},
};
use tonic::transport::{Channel, Endpoint};

use super::ConnectError;
use crate::{
    Address,
    io::Io,
    tls::{TlsFiles, client_config},
};

/// How long dialling may take, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the reconciler is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    address: Address,
    tls: Option<TlsFiles>,
}

impl ConnectTo {
    /// `tls` is required for [`Address::MutualTls`] and refused for the others.
    ///
    /// # Errors
    /// Certificates are missing, or would not be used.
    pub fn new(address: Address, tls: Option<TlsFiles>) -> Result<Self, ConnectError> {
        match (&address, &tls) {
            (Address::MutualTls { .. }, None) => Err(ConnectError::NoTls(address)),
            (Address::Unix(_) | Address::Plain { .. }, Some(_)) => Err(ConnectError::UnusedTls(address)),
            _ => Ok(Self { address, tls }),
        }
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// A connection on which HTTP/2 can be spoken.
    pub(super) async fn channel(&self) -> Result<Channel, ConnectError> {
        let io = timeout(CONNECT_TIMEOUT, self.dial()).await.map_err(|_| self.timed_out())??;
        // The connection is made already: the endpoint's own address is never dialled, and a second dial is refused.
        let mut io = Some(TokioIo::new(io));
        let once = tower::service_fn(move |_| {
            let io = io.take().ok_or_else(|| io::Error::from(io::ErrorKind::ConnectionAborted));
            std::future::ready(io)
        });
        Endpoint::from_static("http://reconciler")
            .http2_keep_alive_interval(Duration::from_secs(10))
            .keep_alive_timeout(Duration::from_secs(10))
            .connect_with_connector(once)
            .await
            .map_err(|source| ConnectError::Transport { address: self.address.clone(), source })
    }

    async fn dial(&self) -> Result<Box<dyn Io>, ConnectError> {
        match &self.address {
            Address::Unix(path) => Ok(Box::new(self.dial_unix(path).await?)),
            Address::Plain { host, port } => Ok(Box::new(self.dial_tcp(host, *port, true).await?)),
            Address::MutualTls { host, port } => {
                let files = self.tls.as_ref().ok_or_else(|| ConnectError::NoTls(self.address.clone()))?;
                let config = client_config(files)?;
                let stream = self.dial_tcp(host, *port, false).await?;
                self.secure(host, config, stream).await
            }
        }
    }

    async fn dial_unix(&self, path: &Path) -> Result<UnixStream, ConnectError> {
        let stream = UnixStream::connect(path).await.map_err(|source| self.unreachable(source))?;
        let owner = stream.peer_cred().map_err(|source| self.unreachable(source))?.uid();
        // Whoever answers says what this kernel is to break: it must be root or ourselves.
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(ConnectError::OtherUser { address: self.address.clone(), uid: owner });
        }
        Ok(stream)
    }

    async fn dial_tcp(&self, host: &str, port: u16, loopback_only: bool) -> Result<TcpStream, ConnectError> {
        let resolved =
            tokio::net::lookup_host((host, port)).await.map_err(|source| self.unreachable(source))?;
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name resolves to no usable address");
        for address in resolved.filter(|address| !loopback_only || address.ip().is_loopback()) {
            match TcpStream::connect(address).await {
                Ok(stream) => {
                    // Latency is the only reason to set it, so a failure is none to give up.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Err(error) => failure = error,
            }
        }
        Err(self.unreachable(failure))
    }

    async fn secure(
        &self,
        host: &str,
        config: Arc<ClientConfig>,
        stream: TcpStream,
    ) -> Result<Box<dyn Io>, ConnectError> {
        let failed = |source| ConnectError::Handshake { address: self.address.clone(), source };
        let name = ServerName::try_from(host.to_owned())
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(failed)?;
        Ok(Box::new(stream))
    }

    fn unreachable(&self, source: io::Error) -> ConnectError {
        ConnectError::Unreachable { address: self.address.clone(), source }
    }

    fn timed_out(&self) -> ConnectError {
        self.unreachable(io::ErrorKind::TimedOut.into())
    }
}
