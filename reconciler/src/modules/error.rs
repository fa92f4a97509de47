//! Why a module was not fetched. None of it says anything of credentials but where they come from.

use std::{error::Error, time::Duration};

use oci_client::errors::{DigestError, OciDistributionError};

use super::{CredentialsError, ManifestError};

/// How much of what a registry says is shown.
const MAX_SAID: usize = 200;

/// Why a module was not fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Who may fetch it is not known.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// TLS cannot be spoken.
    #[error("no registry can be trusted: this machine has no certificates of authorities")]
    NoAuthorities,
    /// It wants other credentials, or some.
    #[error("the registry says 401: {}", if *.0 { "it refuses the credentials" } else { "it wants credentials, and there are none for it" })]
    Unauthorized(bool),
    /// It said no.
    #[error("the registry says: {0}")]
    Said(String),
    /// No connection, or one that broke.
    #[error("the registry cannot be asked: {0}")]
    Unreachable(String),
    /// It does not answer.
    #[error("the registry did not serve it within {} s", .0.as_secs())]
    TooLate(Duration),
    /// What was served is not what was named.
    #[error("what the registry serves has another digest: {0}")]
    OtherDigest(String),
    /// The manifest gives no module.
    #[error("the manifest is not that of a module: {0}")]
    Manifest(#[from] ManifestError),
    /// More bytes than the manifest says.
    #[error("the registry serves more bytes than the manifest says")]
    TooLong,
}

impl FetchError {
    /// What the client says, by what a reader can do about it. `named`: credentials were sent.
    pub(super) fn of(error: OciDistributionError, named: bool) -> Self {
        use OciDistributionError as E;
        match error {
            E::UnauthorizedError { .. } | E::AuthenticationFailure(_) => Self::Unauthorized(named),
            E::DigestError(error) => Self::OtherDigest(digests(&error)),
            E::RegistryError { envelope, .. } => {
                let said = envelope.errors.iter().map(|error| format!("{:?}: {}", error.code, error.message));
                Self::Said(shortened(&said.collect::<Vec<_>>().join("; ")))
            }
            E::ServerError { code, .. } => Self::Said(code.to_string()),
            E::RequestError(error) => Self::Unreachable(chain(&error.without_url())),
            E::IoError(error) => Self::of_stream(&error),
            other => Self::Said(shortened(&other.to_string())),
        }
    }

    /// What ends a blob before its end.
    pub(super) fn of_stream(error: &std::io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<DigestError>()) {
            Some(digest) => Self::OtherDigest(digests(digest)),
            None => Self::Unreachable(chain(error)),
        }
    }
}

fn digests(error: &DigestError) -> String {
    match error {
        DigestError::VerificationError { actual, .. } => actual.clone(),
        other => shortened(&other.to_string()),
    }
}

/// The innermost cause says what happened; those around it say that something did.
fn chain(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    shortened(&innermost.to_string())
}

/// A registry may say anything, at any length.
fn shortened(text: &str) -> String {
    text.chars().take(MAX_SAID).map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
