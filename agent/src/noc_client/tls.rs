//! TLS for one pinned NOC: keys, certificates, and clients that trust nobody else.

use super::{CONNECT_TIMEOUT, NocError, REQUEST_TIMEOUT};
use muster_protocol::id::Uid;
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
use reqwest::Client;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::sync::{Arc, LazyLock};
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

/// A client that trusts this CA alone.
pub(super) fn with_ca(ca: &str) -> Result<Client, NocError> {
    client(config(verifier(ca)?).with_no_client_auth())
}

/// The same, with a client certificate.
pub(super) fn with_certificate(ca: &str, certificate: &str, key: &str) -> Result<Client, NocError> {
    let chain: Vec<_> =
        CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>().map_err(bad)?;
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(bad)?;
    client(config(verifier(ca)?).with_client_auth_cert(chain, key).map_err(bad)?)
}

/// A client that trusts anybody: to fetch what is then compared with a pin.
pub(super) fn without_trust() -> Result<Client, NocError> {
    client(config(Arc::new(Anybody)).with_no_client_auth())
}

/// DER of the first certificate of a PEM text.
pub(super) fn first_certificate(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes()).ok()
}

/// Not before and not after, Unix seconds.
pub(super) fn validity(pem: &str) -> Option<(u64, u64)> {
    validity_of(&first_certificate(pem)?)
}

/// Whether the other end sent an alert about our certificate.
pub(super) fn certificate_alert(error: &reqwest::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.and_then(|inner| inner.downcast_ref()).or_else(|| error.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            return matches!(
                alert,
                AlertDescription::BadCertificate
                    | AlertDescription::CertificateExpired
                    | AlertDescription::CertificateRevoked
                    | AlertDescription::CertificateUnknown
                    | AlertDescription::CertificateRequired
                    | AlertDescription::UnknownCA
                    | AlertDescription::DecryptError
            );
        }
        source = error.source();
    }
    false
}

static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::aws_lc_rs::default_provider()));

fn config(
    verifier: Arc<dyn ServerCertVerifier>,
) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    ClientConfig::builder_with_provider(PROVIDER.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("the provider has TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
}

fn client(mut config: ClientConfig) -> Result<Client, NocError> {
    // One NOC: the default cache for 256 servers would be most of a small agent's memory.
    config.resumption = Resumption::in_memory_sessions(2);
    let client = Client::builder()
        .tls_backend_preconfigured(config)
        .http1_only()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(REQUEST_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(Duration::from_secs(90))
        .build();
    client.map_err(bad)
}

fn verifier(ca: &str) -> Result<Arc<dyn ServerCertVerifier>, NocError> {
    let der = first_certificate(ca).ok_or_else(|| NocError::Tls { what: "no CA certificate".into() })?;
    let (known_time, _) =
        validity_of(&der).ok_or_else(|| NocError::Tls { what: "an unreadable CA certificate".into() })?;
    let mut roots = RootCertStore::empty();
    roots.add(der).map_err(bad)?;
    let inner = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), PROVIDER.clone()).build().map_err(bad)?;
    Ok(Arc::new(WithoutClock { inner, known_time }))
}

fn bad(error: impl std::fmt::Display) -> NocError {
    NocError::Tls { what: error.to_string() }
}

fn validity_of(der: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    let seconds = |time: x509_parser::time::ASN1Time| u64::try_from(time.timestamp()).ok();
    Some((seconds(certificate.validity().not_before)?, seconds(certificate.validity().not_after)?))
}

/// Ordinary verification, for a host whose clock may never have been set. The CA was made at a time that is known because
/// the CA is pinned; a clock that shows less is wrong, and the server's certificate then counts as just issued.
#[derive(Debug)]
struct WithoutClock {
    inner: Arc<WebPkiServerVerifier>,
    known_time: u64,
}

impl ServerCertVerifier for WithoutClock {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let now = if now.as_secs() >= self.known_time {
            now
        } else {
            let issued = validity_of(end_entity).map_or(0, |(from, _)| from);
            UnixTime::since_unix_epoch(Duration::from_secs(issued.max(self.known_time)))
        };
        self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

/// Whoever answers. What they say is only used after comparison with a pin.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
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
