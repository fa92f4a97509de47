//! Issuing.

use std::time::Duration;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose, PublicKeyData, SanType, date_time_ymd,
};
use x509_parser::pem::parse_x509_pem;

use super::{BACKDATE, CertsError, files::Pair};
use crate::identity::NODE_URI;

/// An authority that can issue until it ends.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    ends: Timestamp,
}

impl Authority {
    /// A new one, and its files.
    pub(super) fn create(now: Timestamp, validity: Duration) -> Result<(Self, Pair), CertsError> {
        let key = KeyPair::generate()?;
        let ends = after(now, validity);
        let mut params = params(now, ends);
        // Two authorities never share a name, so that "wrong authority" is never mistaken for "bad signature".
        let digest = params.key_identifier(&key);
        let id: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        params.distinguished_name = named(&format!("faultline authority {id}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key)?;
        let pair = Pair { name: "ca".into(), certificate: certificate.pem(), key: key.serialize_pem() };
        Ok((Self { issuer: Issuer::new(params, key), ends }, pair))
    }

    /// One that was made before.
    pub(super) fn load(pair: Pair, now: Timestamp) -> Result<Self, CertsError> {
        let Pair { name, certificate, key } = pair;
        let bad = |reason: String| CertsError::BadAuthority { path: name.clone().into(), reason };
        let (_, document) = parse_x509_pem(certificate.as_bytes()).map_err(|error| bad(error.to_string()))?;
        let parsed = document.parse_x509().map_err(|error| bad(error.to_string()))?;
        if !parsed.is_ca() {
            return Err(bad("it is not allowed to issue certificates".into()));
        }
        let key = KeyPair::from_pem(&key).map_err(|error| bad(format!("its key: {error}")))?;
        if parsed.public_key().raw != key.subject_public_key_info() {
            return Err(bad("certificate and key do not belong together".into()));
        }
        let ends = parsed.validity().not_after.timestamp();
        let ends = Timestamp::from_second(ends).map_err(|error| bad(error.to_string()))?;
        if ends <= now {
            return Err(CertsError::ExpiredAuthority { path: name.into(), ended: ends });
        }
        let issuer = Issuer::from_ca_cert_pem(&certificate, key).map_err(|error| bad(error.to_string()))?;
        Ok(Self { issuer, ends })
    }

    /// For a server that is dialled under any of `names`.
    pub(super) fn issue_server(
        &self,
        name: &str,
        names: &[String],
        now: Timestamp,
        validity: Duration,
    ) -> Result<Pair, CertsError> {
        let sans = names.iter().map(|name| server_name(name)).collect::<Result<_, _>>()?;
        self.issue(name, sans, ExtendedKeyUsagePurpose::ServerAuth, now, validity)
    }

    /// For the agent of a node.
    pub(super) fn issue_node(
        &self,
        node: &str,
        now: Timestamp,
        validity: Duration,
    ) -> Result<Pair, CertsError> {
        let uri = SanType::URI(format!("{NODE_URI}{node}").try_into()?);
        self.issue(node, vec![uri], ExtendedKeyUsagePurpose::ClientAuth, now, validity)
    }

    fn issue(
        &self,
        name: &str,
        sans: Vec<SanType>,
        usage: ExtendedKeyUsagePurpose,
        now: Timestamp,
        validity: Duration,
    ) -> Result<Pair, CertsError> {
        let key = KeyPair::generate()?;
        let mut params = params(now, after(now, validity).min(self.ends));
        params.distinguished_name = named(name);
        params.subject_alt_names = sans;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![usage];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Pair { name: name.into(), certificate: certificate.pem(), key: key.serialize_pem() })
    }
}

fn params(now: Timestamp, ends: Timestamp) -> CertificateParams {
    let epoch = date_time_ymd(1970, 1, 1);
    let since_epoch = |at: Timestamp| Duration::from_secs(at.as_second().try_into().unwrap_or(0));
    let mut params = CertificateParams::default();
    params.not_before = epoch + since_epoch(now).saturating_sub(BACKDATE);
    params.not_after = epoch + since_epoch(ends);
    params
}

fn named(common_name: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}

fn server_name(name: &str) -> Result<SanType, CertsError> {
    if let Ok(address) = name.parse() {
        return Ok(SanType::IpAddress(address));
    }
    let refused = || CertsError::ServerName(name.into());
    rustls::pki_types::DnsName::try_from(name).map_err(|_| refused())?;
    Ok(SanType::DnsName(name.to_owned().try_into().map_err(|_| refused())?))
}

/// Saturates at the last instant there is.
fn after(now: Timestamp, duration: Duration) -> Timestamp {
    now.checked_add(duration).unwrap_or(Timestamp::MAX)
}
