//! Where the admin interface is.

use std::{fmt, net::SocketAddr, path::PathBuf, str::FromStr};

/// A loopback address or a Unix socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminAddress {
    /// `127.0.0.1:9464` or `[::1]:9464`, with or without `http://`.
    Loopback(SocketAddr),
    /// `unix:/path`.
    Unix(PathBuf),
}

/// Why a text is not an address of an admin interface.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdminAddressError {
    /// Neither form.
    #[error("{0:?} is not an address: expected 127.0.0.1:port, [::1]:port or unix:/path")]
    Form(String),
    /// It would show everybody what is being injected.
    #[error("{0} is not on loopback, and the admin interface is not served elsewhere")]
    OffLoopback(SocketAddr),
}

impl FromStr for AdminAddress {
    type Err = AdminAddressError;

    fn from_str(text: &str) -> Result<Self, AdminAddressError> {
        let form = || AdminAddressError::Form(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
            return path.is_absolute().then_some(Self::Unix(path)).ok_or_else(form);
        }
        let address = text.strip_prefix("http://").unwrap_or(text);
        let address: SocketAddr =
            address.replace("localhost:", "127.0.0.1:").trim_end_matches('/').parse().map_err(|_| form())?;
        if address.ip().is_loopback() {
            Ok(Self::Loopback(address))
        } else {
            Err(AdminAddressError::OffLoopback(address))
        }
    }
}

impl fmt::Display for AdminAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => write!(f, "http://{address}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_an_admin_address() {
        for (text, shown) in [
            ("127.0.0.1:9464", "http://127.0.0.1:9464"),
            ("http://127.0.0.1:9464/", "http://127.0.0.1:9464"),
            ("localhost:1", "http://127.0.0.1:1"),
            ("[::1]:9464", "http://[::1]:9464"),
            ("unix:/run/faultline.sock", "unix:/run/faultline.sock"),
        ] {
            assert_eq!(text.parse::<AdminAddress>().map(|address| address.to_string()), Ok(shown.to_owned()));
        }
        for text in ["0.0.0.0:9464", "10.1.2.3:9464", "[::]:80"] {
            assert!(matches!(text.parse::<AdminAddress>(), Err(AdminAddressError::OffLoopback(_))), "{text}");
        }
        for text in ["9464", "unix:relative", "https://127.0.0.1:1", ""] {
            assert!(matches!(text.parse::<AdminAddress>(), Err(AdminAddressError::Form(_))), "{text}");
        }
    }
}
