//! TLS for one pinned NOC: keys, certificates, and clients that trust nobody else.

use super::NocError;
use super::http::Client;
use muster_protocol::id::Uid;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WantsClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, CipherSuite, ClientConfig, ConfigBuilder, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use sha2::{Digest, Sha256};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

/// A TLS key and the request for its certificate, PEM.
pub(super) struct Request {
    pub(super) key: String,
    pub(super) csr: String,
}

impl Request {
    /// For the certificate of an appliance (ECDSA P-256).
    pub(super) fn new(uid: &Uid) -> Result<Request, NocError> {
        let failed = |error: rcgen::Error| NocError::Tls { what: error.to_string() };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, uid.to_string());
        let uri = format!("muster:appliance:{uid}").try_into().map_err(failed)?;
        params.subject_alt_names = vec![SanType::URI(uri)];
        let csr = params.serialize_request(&key).and_then(|csr| csr.pem()).map_err(failed)?;
        Ok(Request { key: key.serialize_pem(), csr })
    }
}

/// A client that trusts the pinned CA alone.
pub(super) fn anonymous(trust: &Arc<Pinned>) -> Result<Client, NocError> {
    Ok(client(config(trust).with_no_client_auth()))
}

/// The same, with a client certificate.
pub(super) fn with_certificate(trust: &Arc<Pinned>, certificate: &str, key: &str) -> Result<Client, NocError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().map_err(bad)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(bad)?;
    Ok(client(config(trust).with_client_auth_cert(chain, key).map_err(bad)?))
}

/// Not after of the first certificate of a PEM text, Unix seconds.
pub(super) fn ends(pem: &str) -> Option<u64> {
    validity_of(&CertificateDer::from_pem_slice(pem.as_bytes()).ok()?).map(|(_, ends)| ends)
}

/// What TLS said against a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Complaint {
    /// The server is not of the pinned CA.
    NotPinned,
    /// It is, but its certificate is not good for this address or time.
    NotValid,
    /// The server wants another certificate of ours.
    OurCertificate,
}

/// Finds it among the causes of an error.
pub(super) fn complaint(error: &dyn std::error::Error) -> Option<Complaint> {
    let mut next = error.source();
    while let Some(error) = next {
        match error.downcast_ref::<rustls::Error>() {
            Some(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer | CertificateError::BadSignature,
            )) => return Some(Complaint::NotPinned),
            Some(rustls::Error::InvalidCertificate(_)) => return Some(Complaint::NotValid),
            Some(rustls::Error::AlertReceived(alert)) => {
                return about_certificate(*alert).then_some(Complaint::OurCertificate);
            }
            _ => {}
        }
        // An I/O error passes over the error that it wraps when it is asked for its source.
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

fn about_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::DecryptError
    )
}

/// The suite that every TLS 1.3 implementation has comes first. It is as strong as the keys that it is agreed with, and its
/// hash, SHA-256, is the one that processors have instructions for.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
});

fn config(trust: &Arc<Pinned>) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(trust.clone())
}

fn client(mut config: ClientConfig) -> Client {
    // One NOC: the default cache for 256 servers would be most of a small agent's memory.
    config.resumption = Resumption::in_memory_sessions(2);
    Client::new(config)
}

fn bad(error: impl std::fmt::Display) -> NocError {
    NocError::Tls { what: error.to_string() }
}

fn validity_of(der: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).ok();
    Some((seconds(certificate.validity().not_before)?, seconds(certificate.validity().not_after)?))
}

/// Ordinary verification under one CA, which the server sends along and which must have the pinned hash.
///
/// The appliance's clock may never have been set. The CA was made at a time that is known because the CA is pinned; a clock
/// that shows less is wrong, and the server's certificate then counts as just issued.
#[derive(Debug)]
pub(super) struct Pinned {
    pin: [u8; 32],
    verifier: OnceLock<(Arc<WebPkiServerVerifier>, u64)>,
}

impl Pinned {
    /// Trust in the CA with this hash.
    pub(super) fn new(pin: [u8; 32]) -> Arc<Pinned> {
        Arc::new(Pinned { pin, verifier: OnceLock::new() })
    }

    /// Whether it is trust in the CA with this hash.
    pub(super) fn is_of(&self, pin: &[u8; 32]) -> bool {
        self.pin == *pin
    }

    /// The verifier of the pinned CA, and when that was made.
    fn verifier(&self, sent: &[CertificateDer<'_>]) -> Result<&(Arc<WebPkiServerVerifier>, u64), rustls::Error> {
        if let Some(known) = self.verifier.get() {
            return Ok(known);
        }
        let stranger = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let ca = sent.iter().find(|ca| Sha256::digest(ca)[..] == self.pin[..]).ok_or_else(stranger)?;
        let (made, _) = validity_of(ca).ok_or_else(stranger)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.clone().into_owned())?;
        let built = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), PROVIDER.clone()).build();
        let built = built.map_err(|error| rustls::Error::General(error.to_string()))?;
        Ok(self.verifier.get_or_init(|| (built, made)))
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let (verifier, made) = self.verifier(intermediates)?;
        let now = if now.as_secs() >= *made {
            now
        } else {
            let issued = validity_of(end_entity).map_or(0, |(from, _)| from);
            UnixTime::since_unix_epoch(Duration::from_secs(issued.max(*made)))
        };
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &PROVIDER.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        PROVIDER.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertifiedIssuer, IsCa};

    struct Server {
        ca: CertificateDer<'static>,
        leaf: CertificateDer<'static>,
    }

    fn server(name: &str) -> Server {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA");
        let mut params = CertificateParams::new([name.to_owned()]).expect("a name");
        params.not_before = rcgen::date_time_ymd(2026, 2, 1);
        params.not_after = rcgen::date_time_ymd(2027, 2, 1);
        let leaf = params.signed_by(&KeyPair::generate().expect("a key"), &ca).expect("a certificate");
        Server { ca: ca.der().clone(), leaf: leaf.der().clone() }
    }

    const JULY_2026: u64 = 1_783_000_000;

    fn verify(pin: &CertificateDer<'_>, shown: [&CertificateDer<'_>; 2], now: u64) -> Result<(), rustls::Error> {
        let pinned = Pinned::new(Sha256::digest(pin).into());
        let name = ServerName::try_from("noc.example").expect("a name");
        let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
        pinned.verify_server_cert(shown[0], &[shown[1].clone()], &name, &[], now).map(|_| ())
    }

    #[test]
    fn only_the_pinned_ca_counts_and_a_clock_that_was_never_set_does_not_matter() {
        let (ours, theirs) = (server("noc.example"), server("noc.example"));
        assert_eq!(verify(&ours.ca, [&ours.leaf, &ours.ca], JULY_2026), Ok(()));
        assert_eq!(verify(&ours.ca, [&ours.leaf, &ours.ca], 0), Ok(()), "1970");
        let stranger = Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer));
        assert_eq!(verify(&ours.ca, [&theirs.leaf, &theirs.ca], JULY_2026), stranger);
        // Their certificate beside our CA, which is public.
        assert!(verify(&ours.ca, [&theirs.leaf, &ours.ca], JULY_2026).is_err());
        let expired = verify(&ours.ca, [&ours.leaf, &ours.ca], JULY_2026 + 3 * 365 * 86_400);
        assert!(matches!(expired, Err(rustls::Error::InvalidCertificate(_))), "{expired:?}");
        let other = server("other.example");
        assert!(verify(&other.ca, [&other.leaf, &other.ca], JULY_2026).is_err());
    }

    #[test]
    fn the_request_names_the_appliance() {
        let uid = Uid([3; 20]);
        let request = Request::new(&uid).expect("made");
        let der = rustls::pki_types::CertificateSigningRequestDer::from_pem_slice(request.csr.as_bytes()).expect("PEM");
        let text = String::from_utf8_lossy(&der).into_owned();
        assert!(text.contains(&format!("muster:appliance:{uid}")));
    }
}
