//! Which node a certificate speaks for.

use std::collections::BTreeSet;

use tokio_rustls::rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;

/// Scheme and authority of the URI that names a node in a certificate.
pub(crate) const NODE_URI: &str = "faultline://node/";

/// Names of nodes in a verified certificate: URIs `faultline://node/<name>`, and DNS names.
///
/// Empty where the certificate names none, and then no Hello is believed.
pub(crate) fn node_names(certificate: &CertificateDer<'_>) -> BTreeSet<String> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else {
        return BTreeSet::new();
    };
    let Ok(Some(extension)) = parsed.subject_alternative_name() else { return BTreeSet::new() };
    let names = extension.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::URI(uri) => uri.strip_prefix(NODE_URI).map(str::to_owned),
        _ => None,
    });
    names.collect()
}
