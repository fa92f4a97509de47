//! Where the two sides meet, as it is written on command lines.

use std::{fmt, net::IpAddr, path::PathBuf, str::FromStr};

use thiserror::Error;

/// `unix:/path`, `http://host:port` in plain text and only on loopback, or `https://host:port` with mutual TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A Unix socket; the peer's credentials are checked.
    Unix(PathBuf),
    /// TCP in plain text; the host is on loopback.
    Plain {
        /// `127.0.0.1`, `::1`, another address of loopback, or `localhost`.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// TCP with TLS, both sides showing a certificate.
    MutualTls {
        /// Name or address.
        host: String,
        /// TCP port.
        port: u16,
    },
}

/// Why a text is not an address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// Neither of the three forms.
    #[error("{0:?} is not an address: expected unix:/path, http://127.0.0.1:port or https://host:port")]
    Form(String),
    /// The path of a socket is not absolute.
    #[error("the path of a Unix socket must be absolute: {0:?}")]
    RelativePath(String),
    /// The port is missing or not one.
    #[error("{0:?} has no port from 0 to 65535")]
    Port(String),
    /// Plain text off loopback.
    #[error("plain text to {0} is refused: off loopback only https:// with mutual TLS is spoken")]
    PlainOffLoopback(String),
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            let absolute = path.starts_with('/');
            return absolute
                .then(|| Self::Unix(path.into()))
                .ok_or_else(|| AddressError::RelativePath(path.into()));
        }
        if let Some(rest) = text.strip_prefix("http://") {
            let (host, port) = host_and_port(rest)?;
            if !is_loopback(&host) {
                return Err(AddressError::PlainOffLoopback(host));
            }
            return Ok(Self::Plain { host, port });
        }
        let rest = text.strip_prefix("https://").ok_or_else(|| AddressError::Form(text.into()))?;
        let (host, port) = host_and_port(rest)?;
        Ok(Self::MutualTls { host, port })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, host, port) = match self {
            Self::Unix(path) => return write!(f, "unix:{}", path.display()),
            Self::Plain { host, port } => ("http", host, port),
            Self::MutualTls { host, port } => ("https", host, port),
        };
        if host.contains(':') {
            write!(f, "{scheme}://[{host}]:{port}")
        } else {
            write!(f, "{scheme}://{host}:{port}")
        }
    }
}

/// The host without the brackets of an IPv6 address.
fn host_and_port(text: &str) -> Result<(String, u16), AddressError> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = text.rsplit_once(':').ok_or_else(|| AddressError::Port(text.into()))?;
    let port = port.parse().map_err(|_| AddressError::Port(text.into()))?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let valid = match bare {
        Some(inner) => inner.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6()),
        None => !host.is_empty() && !host.contains(['/', ':', '@', '?', '#', ' ']),
    };
    valid.then(|| (bare.unwrap_or(host).to_owned(), port)).ok_or_else(|| AddressError::Form(text.into()))
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read_and_written_back() {
        for text in [
            "unix:/run/faultline/agents.sock",
            "http://127.0.0.1:7443",
            "http://localhost:1",
            "http://[::1]:7443",
            "https://faultline.example:7443",
            "https://10.0.0.7:7443",
            "https://[fd00::7]:7443",
        ] {
            assert_eq!(text.parse::<Address>().map(|address| address.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn plain_text_is_spoken_on_loopback_only() {
        for host in ["10.0.0.7", "0.0.0.0", "faultline.example", "localhost.example"] {
            let error = format!("http://{host}:80").parse::<Address>();
            assert_eq!(error, Err(AddressError::PlainOffLoopback(host.into())));
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_reason() {
        let parse = |text: &str| text.parse::<Address>();
        assert!(matches!(parse("localhost:80"), Err(AddressError::Form(_))));
        assert!(matches!(parse("https://a@b:1"), Err(AddressError::Form(_))));
        assert!(matches!(parse("https://fd00::7:1"), Err(AddressError::Form(_))));
        assert!(matches!(parse("unix:run/a.sock"), Err(AddressError::RelativePath(_))));
        assert!(matches!(parse("https://host"), Err(AddressError::Port(_))));
        assert!(matches!(parse("https://host:70000"), Err(AddressError::Port(_))));
    }
}
