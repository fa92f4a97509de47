//! Where the module of a guardrail is.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a guardrail's module is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModuleRef {
    /// A path beneath the root of the guardrail's source.
    Path(String),
    /// In an OCI registry.
    Oci(OciReference),
}

impl fmt::Display for ModuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Oci(reference) => reference.fmt(f),
        }
    }
}

/// A manifest in an OCI registry, named by its digest: `registry/repository@sha256:…`. A tag may stand before the
/// digest and means nothing, because it can be moved.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OciReference {
    /// Host, and port where one is written.
    pub registry: String,
    /// Name of the repository in the registry.
    pub repository: String,
    /// `sha256:<hex>` of the manifest.
    pub digest: String,
}

/// Most letters of a repository's name, as registries have it.
const MAX_REPOSITORY: usize = 255;

/// Most letters of a tag, as the OCI distribution specification has it.
const MAX_TAG: usize = 128;

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It begins like a URL.
    #[error("it begins with a scheme")]
    Scheme(String),
    /// Nothing says which registry.
    #[error("it names no registry")]
    NoRegistry(String),
    /// No host is called that.
    #[error("its registry is no host, or no host and port")]
    Registry,
    /// No registry takes such a name.
    #[error(
        "its repository is not lower-case letters and digits, with `.`, `_` or `-` between and `/` for parts"
    )]
    Repository,
    /// No registry takes such a tag.
    #[error("its tag is none")]
    Tag,
    /// A tag alone, or nothing.
    #[error("it has no digest")]
    NoDigest {
        /// Without a tag.
        name: String,
        /// As it was written.
        written: String,
    },
    /// Another algorithm, or not so many digits.
    #[error("its digest is not `sha256:` and 64 digits of lower-case hexadecimal")]
    Digest,
}

impl ReferenceError {
    /// What to do about it.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Scheme(rest) => Some(format!("leave the scheme out: {rest}")),
            Self::NoRegistry(written) => Some(format!("write its host first, such as ghcr.io/{written}")),
            Self::NoDigest { name, written } => Some(format!(
                "a tag can be moved, a digest cannot: write {name}@sha256:…, which `oras resolve {written}` or \
                 `crane digest {written}` prints"
            )),
            Self::Registry | Self::Repository | Self::Tag | Self::Digest => None,
        }
    }
}

impl FromStr for OciReference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        if let Some((_, rest)) = text.split_once("://") {
            return Err(ReferenceError::Scheme(rest.to_owned()));
        }
        let (name, digest) = text.split_once('@').map_or((text, None), |(name, digest)| (name, Some(digest)));
        let (registry, rest) = name.split_once('/').unwrap_or(("", name));
        let (repository, tag) =
            rest.split_once(':').map_or((rest, None), |(repository, tag)| (repository, Some(tag)));
        // As Docker tells a host from the first part of a repository.
        if registry != "localhost" && !registry.contains(['.', ':']) {
            return Err(ReferenceError::NoRegistry(text.to_owned()));
        }
        if !is_registry(registry) {
            return Err(ReferenceError::Registry);
        }
        if !is_repository(repository) {
            return Err(ReferenceError::Repository);
        }
        if !tag.is_none_or(is_tag) {
            return Err(ReferenceError::Tag);
        }
        let no_digest = || ReferenceError::NoDigest {
            name: format!("{registry}/{repository}"),
            written: text.to_owned(),
        };
        let digest = digest.ok_or_else(no_digest)?;
        if !is_digest(digest) {
            return Err(ReferenceError::Digest);
        }
        let [registry, repository, digest] = [registry, repository, digest].map(str::to_owned);
        Ok(Self { registry, repository, digest })
    }
}

impl fmt::Display for OciReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { registry, repository, digest } = self;
        write!(f, "{registry}/{repository}@{digest}")
    }
}

/// Whether it is `sha256:` and 64 digits of lower-case hexadecimal.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    let is_hex = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    text.strip_prefix("sha256:").is_some_and(|hex| hex.len() == 64 && hex.bytes().all(is_hex))
}

/// A name or an address; an IPv6 address in brackets.
fn is_registry(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) if address.parse::<std::net::Ipv6Addr>().is_ok() => {
            (None, rest.strip_prefix(':'))
        }
        Some(_) => return false,
        None => text.split_once(':').map_or((Some(text), None), |(host, port)| (Some(host), Some(port))),
    };
    let is_label = |label: &str| {
        let of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.len() < 64 && label.bytes().all(of_a_name) && !label.starts_with('-')
    };
    let is_host = |host: &str| host.len() < 254 && host.split('.').all(is_label);
    host.is_none_or(is_host) && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn is_repository(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let ends = part.bytes().next().zip(part.bytes().next_back());
        ends.is_some_and(|(first, last)| is_plain(first) && is_plain(last))
            && part.bytes().all(|byte| is_plain(byte) || b"._-".contains(&byte))
    };
    text.len() <= MAX_REPOSITORY && text.split('/').all(is_part)
}

fn is_tag(text: &str) -> bool {
    let of_a_tag = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !text.is_empty() && text.len() <= MAX_TAG && text.bytes().all(of_a_tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex() -> String {
        "0123456789abcdef".repeat(4)
    }

    #[test]
    fn a_reference_is_a_registry_a_repository_and_a_digest_whatever_the_tag() {
        for (registry, repository) in [
            ("ghcr.io", "team/policies/caps"),
            ("localhost", "caps"),
            ("localhost:5000", "a.b_c--d/e"),
            ("[::1]:5000", "caps"),
            ("10.0.0.1:80", "1"),
        ] {
            let written = format!("{registry}/{repository}@sha256:{}", hex());
            let read: OciReference = written.parse().unwrap();
            assert_eq!((&*read.registry, &*read.repository), (registry, repository));
            assert_eq!(read.to_string(), written);
            assert_eq!(written.replace('@', ":v1.2_x@").parse(), Ok(read));
        }
    }

    #[test]
    fn a_tag_alone_is_refused_with_the_way_to_its_digest() {
        let error = "localhost:5000/caps:v1".parse::<OciReference>().unwrap_err();
        let help = error.help().unwrap();
        assert!(
            help.contains("localhost:5000/caps@sha256:…") && help.contains("localhost:5000/caps:v1`"),
            "{help}"
        );
    }

    #[test]
    fn whatever_is_no_reference_is_refused_by_what_is_wrong_with_it() {
        use ReferenceError as E;
        let hex = hex();
        let long = "a".repeat(256);
        for (text, expected) in [
            (format!("registry://ghcr.io/a@sha256:{hex}"), E::Scheme(format!("ghcr.io/a@sha256:{hex}"))),
            (format!("caps@sha256:{hex}"), E::NoRegistry(format!("caps@sha256:{hex}"))),
            (format!("team/caps@sha256:{hex}"), E::NoRegistry(format!("team/caps@sha256:{hex}"))),
            (format!("/caps@sha256:{hex}"), E::NoRegistry(format!("/caps@sha256:{hex}"))),
            (format!("a..b/caps@sha256:{hex}"), E::Registry),
            (format!("me:secret.example/caps@sha256:{hex}"), E::Registry),
            (format!("localhost:0/caps@sha256:{hex}"), E::Registry),
            (format!("[::1/caps@sha256:{hex}"), E::Registry),
            (format!("ghcr.io/@sha256:{hex}"), E::Repository),
            (format!("ghcr.io/Caps@sha256:{hex}"), E::Repository),
            (format!("ghcr.io/a//b@sha256:{hex}"), E::Repository),
            (format!("ghcr.io/../b@sha256:{hex}"), E::Repository),
            (format!("ghcr.io/{long}@sha256:{hex}"), E::Repository),
            (format!("ghcr.io/a:@sha256:{hex}"), E::Tag),
            (format!("ghcr.io/a:{long}@sha256:{hex}"), E::Tag),
            (format!("ghcr.io/a@sha256:{}", &hex[1..]), E::Digest),
            (format!("ghcr.io/a@sha256:{}", hex.to_uppercase()), E::Digest),
            (format!("ghcr.io/a@sha512:{hex}"), E::Digest),
            (format!("ghcr.io/a@sha256:{hex}@sha256:{hex}"), E::Digest),
        ] {
            assert_eq!(text.parse::<OciReference>(), Err(expected), "{text}");
        }
    }
}
