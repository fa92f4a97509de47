//! Why someone was refused: a closed set, for metrics.

use std::{fmt, io};

use tokio_rustls::rustls::{self, CertificateError, InvalidMessage};

/// Why a connection or a session was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefusalReason {
    /// Plain text where TLS is spoken.
    PlainText,
    /// No certificate.
    NoCertificate,
    /// A certificate of another authority.
    WrongAuthority,
    /// An expired certificate.
    Expired,
    /// A certificate that is not valid yet.
    NotYetValid,
    /// A certificate that is not usable for another reason, such as a server's.
    BadCertificate,
    /// The peer refused the reconciler's own certificate.
    RefusedByPeer,
    /// The TLS handshake failed otherwise, or took too long.
    Handshake,
    /// On a Unix socket, a process of another user than the reconciler's or root.
    OtherUser,
    /// The certificate is another node's than the one in the Hello.
    OtherNode,
    /// No Hello, or not in time, or not one that can be read.
    BadHello,
    /// Another major version of the protocol.
    OtherMajor,
    /// A later message could not be read; the session was closed.
    Malformed,
}

impl RefusalReason {
    /// Every reason.
    pub const ALL: [Self; 13] = [
        Self::PlainText,
        Self::NoCertificate,
        Self::WrongAuthority,
        Self::Expired,
        Self::NotYetValid,
        Self::BadCertificate,
        Self::RefusedByPeer,
        Self::Handshake,
        Self::OtherUser,
        Self::OtherNode,
        Self::BadHello,
        Self::OtherMajor,
        Self::Malformed,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PlainText => "plain_text",
            Self::NoCertificate => "no_certificate",
            Self::WrongAuthority => "wrong_authority",
            Self::Expired => "expired",
            Self::NotYetValid => "not_yet_valid",
            Self::BadCertificate => "bad_certificate",
            Self::RefusedByPeer => "refused_by_peer",
            Self::Handshake => "handshake",
            Self::OtherUser => "other_user",
            Self::OtherNode => "other_node",
            Self::BadHello => "bad_hello",
            Self::OtherMajor => "other_major",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for RefusalReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// Address, or user and process, of the peer.
    pub peer: String,
    /// In words.
    pub detail: String,
}

/// Sorts a failed handshake.
pub(super) fn of_handshake(error: &io::Error) -> RefusalReason {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return RefusalReason::Handshake;
    };
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => RefusalReason::PlainText,
        rustls::Error::NoCertificatesPresented => RefusalReason::NoCertificate,
        rustls::Error::AlertReceived(_) => RefusalReason::RefusedByPeer,
        rustls::Error::InvalidCertificate(error) => of_certificate(error),
        _ => RefusalReason::Handshake,
    }
}

fn of_certificate(error: &CertificateError) -> RefusalReason {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => RefusalReason::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            RefusalReason::NotYetValid
        }
        // An authority of the same name with another key shows as a bad signature.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => RefusalReason::WrongAuthority,
        _ => RefusalReason::BadCertificate,
    }
}
