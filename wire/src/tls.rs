//! Mutual TLS: version 1.3, both sides showing a certificate of the same authority.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use thiserror::Error;
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{VerifierBuilderError, WebPkiClientVerifier},
    version::TLS13,
};

/// HTTP/2, which is what gRPC runs on.
const ALPN: &[u8] = b"h2";

/// The PEM files of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of the authorities that the peer's must come from.
    pub ca: PathBuf,
    /// This side's certificate, with intermediates if there are any.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why TLS cannot be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file cannot be read or holds nothing of use.
    #[error("cannot read {what} from {}", .path.display())]
    Read {
        /// Certificate or key.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: pem::Error,
    },
    /// A file of certificates holds none.
    #[error("{} holds no certificate", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The authority's certificate is of no use as one.
    #[error("{} does not hold the certificate of an authority", .path.display())]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        source: tokio_rustls::rustls::Error,
    },
    /// No verifier can be made of the authorities.
    #[error("cannot verify peers")]
    Verifier(#[from] VerifierBuilderError),
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("certificate and key are not usable")]
    Pair(#[from] tokio_rustls::rustls::Error),
}

/// The reconciler's side: clients without a certificate of the authority are refused in the handshake.
///
/// # Errors
/// A file is unreadable, or the certificates cannot serve.
pub fn server_config(files: &TlsFiles) -> Result<Arc<ServerConfig>, TlsError> {
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(authorities(&files.ca)?), provider()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&files.cert)?, private_key(&files.key)?)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A resumed session would not show the client's certificate again, which may have expired since.
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// An agent's side. Read anew for each connection, so that renewed certificates need no restart.
///
/// # Errors
/// A file is unreadable, or the certificates cannot serve.
pub fn client_config(files: &TlsFiles) -> Result<Arc<ClientConfig>, TlsError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(authorities(&files.ca)?)
        .with_client_auth_cert(certificates(&files.cert)?, private_key(&files.key)?)?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|source| TlsError::Authority { path: path.into(), source })?;
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = |source| TlsError::Read { what: "certificates", path: path.into(), source };
    let bytes = fs::read(path).map_err(|error| read(pem::Error::Io(error)))?;
    let certificates: Vec<_> =
        CertificateDer::pem_slice_iter(&bytes).collect::<Result<_, _>>().map_err(read)?;
    if certificates.is_empty() { Err(TlsError::Empty { path: path.into() }) } else { Ok(certificates) }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let read = |source| TlsError::Read { what: "a private key", path: path.into(), source };
    let bytes = fs::read(path).map_err(|error| read(pem::Error::Io(error)))?;
    PrivateKeyDer::from_pem_slice(&bytes).map_err(read)
}
