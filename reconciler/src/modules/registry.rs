//! Asking a registry.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use faultline_api::OciReference;
use futures::StreamExt as _;
use oci_client::{
    Client, Reference,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE, OciDescriptor},
    secrets::RegistryAuth,
};

use super::{Credentials, FetchError, manifest::module_layer};

/// For a manifest and a module, with the answers in between.
const PATIENCE: Duration = Duration::from_secs(30);

/// For a connection: what has not come about by then is not there.
const CONNECT: Duration = Duration::from_secs(5);

/// What is to be known of registries.
#[derive(Clone, Debug, Default)]
pub struct Registries {
    /// Who fetches.
    pub credentials: Credentials,
    /// Those that are asked in plain HTTP, as references name them, or without the port for each port. One on
    /// loopback is anyway.
    pub insecure: BTreeSet<String>,
}

/// A manifest and its module, both with the digests by which they are named.
pub(super) struct Fetched {
    pub(super) manifest: Vec<u8>,
    pub(super) module: Vec<u8>,
}

impl Registries {
    /// Fetches what `reference` names, within a bounded time.
    ///
    /// # Errors
    /// It is not to be had, or not what was named.
    pub(super) async fn fetch(&self, reference: &OciReference) -> Result<Fetched, FetchError> {
        let fetched = tokio::time::timeout(PATIENCE, self.fetch_patiently(reference)).await;
        fetched.unwrap_or(Err(FetchError::TooLate(PATIENCE)))
    }

    async fn fetch_patiently(&self, reference: &OciReference) -> Result<Fetched, FetchError> {
        let OciReference { registry, repository, digest } = reference;
        let auth = self.credentials.of(registry)?;
        let named = auth != RegistryAuth::Anonymous;
        let failed = |error| FetchError::of(error, named);
        let client = self.client(registry)?;
        let image = Reference::with_digest(registry.clone(), repository.clone(), digest.clone());
        // An index is asked for, too, so that it can be told from nothing.
        let kinds = [OCI_IMAGE_MEDIA_TYPE, OCI_IMAGE_INDEX_MEDIA_TYPE];
        let (manifest, _) = client.pull_manifest_raw(&image, &auth, &kinds).await.map_err(failed)?;
        let layer = module_layer(&manifest)?;
        let module = download(&client, &image, &layer, failed).await?;
        Ok(Fetched { manifest: manifest.into(), module })
    }

    fn client(&self, registry: &str) -> Result<Client, FetchError> {
        // The process has one provider of cryptography; it may be there already.
        let _there_is_one = rustls::crypto::ring::default_provider().install_default();
        // Without any, making a client panics, also one that speaks plain HTTP.
        if rustls_native_certs::load_native_certs().certs.is_empty() {
            return Err(FetchError::NoAuthorities);
        }
        let protocol = if self.is_plain(registry) { ClientProtocol::Http } else { ClientProtocol::Https };
        let config = ClientConfig {
            protocol,
            read_timeout: Some(PATIENCE),
            connect_timeout: Some(CONNECT),
            user_agent: concat!("faultline/", env!("CARGO_PKG_VERSION")),
            ..ClientConfig::default()
        };
        Client::try_from(config).map_err(|error| FetchError::of(error, false))
    }

    fn is_plain(&self, registry: &str) -> bool {
        let host = host(registry);
        let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let is_loopback = host == "localhost" || address.is_some_and(|address| address.is_loopback());
        is_loopback || self.insecure.contains(registry) || self.insecure.contains(host)
    }
}

/// The bytes of a layer, as many as the manifest says; the stream's end is an error where their digest is another.
async fn download(
    client: &Client,
    image: &Reference,
    layer: &OciDescriptor,
    failed: impl Fn(OciDistributionError) -> FetchError,
) -> Result<Vec<u8>, FetchError> {
    let size = usize::try_from(layer.size).unwrap_or_default();
    let mut stream = client.pull_blob_stream(image, layer).await.map_err(failed)?.stream;
    let mut module = Vec::with_capacity(size);
    while let Some(chunk) = stream.next().await {
        module.extend_from_slice(&chunk.map_err(|error| FetchError::of_stream(&error))?);
        if module.len() > size {
            return Err(FetchError::TooLong);
        }
    }
    Ok(module)
}

/// Without the port; the brackets of an IPv6 address stay.
fn host(registry: &str) -> &str {
    match registry.rsplit_once(':') {
        Some((host, _)) if !registry.ends_with(']') => host,
        _ => registry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_and_what_is_named_is_asked_in_plain_http() {
        let registries = Registries {
            insecure: ["lab.example".into(), "10.0.0.1:80".into()].into(),
            ..Registries::default()
        };
        for plain in ["localhost", "localhost:5000", "127.0.0.1:1", "127.3.2.1", "[::1]:5000", "[::1]"] {
            assert!(registries.is_plain(plain) && Registries::default().is_plain(plain), "{plain}");
        }
        for named in ["lab.example", "lab.example:5000", "10.0.0.1:80"] {
            assert!(registries.is_plain(named) && !Registries::default().is_plain(named), "{named}");
        }
        for other in
            ["ghcr.io", "lab.example.org", "10.0.0.1", "10.0.0.1:81", "localhost.example", "[::2]:80"]
        {
            assert!(!registries.is_plain(other), "{other}");
        }
    }
}
