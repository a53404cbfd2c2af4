//! The TLS CA, the certificates it issues, and who a client certificate says it is.
//!
//! Identity is the SAN URI that we chose ourselves at enrolment; of a CSR only the public key is used.

use crate::clock;
use muster_protocol::id::{ConsoleId, Uid};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SanType,
};
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use x509_parser::extensions::GeneralName;
use zeroize::Zeroizing;

/// Clients renew by enrolling again; consoles can be revoked at any time.
const CLIENT_DAYS: u64 = 730;
/// The server's certificate is made anew at every start and every month.
const SERVER_DAYS: u64 = 398;
const CA_DAYS: u64 = 30 * 365;

/// The NOC's own certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    pin: [u8; 32],
}

/// Whom a client certificate names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    Console(ConsoleId),
    Appliance(Uid),
}

/// Why no certificate is issued for a CSR. The client is to blame, but for the last.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CsrError {
    #[error("the certificate request is not a PEM text that reads and carries its own signature")]
    Malformed,
    #[error("the certificate request's key is neither ECDSA P-256 nor Ed25519")]
    Algorithm,
    #[error("the certificate could not be made")]
    Issue(#[source] rcgen::Error),
}

impl Authority {
    /// A new CA: certificate and key, PEM.
    pub(crate) fn generate() -> Result<(String, Zeroizing<String>), rcgen::Error> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(CA_DAYS);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let number = data_encoding::HEXUPPER.encode(&Sha256::digest(key.public_key_raw())[..4]);
        params.distinguished_name.push(DnType::CommonName, format!("Muster NOC CA {number}"));
        let certificate = params.self_signed(&key)?;
        Ok((certificate.pem(), Zeroizing::new(key.serialize_pem())))
    }

    /// Reads what [`Authority::generate`] made; an error says what is wrong, without the key.
    pub(crate) fn load(pem: &str, key: &str) -> Result<Authority, String> {
        let key = KeyPair::from_pem(key).map_err(|_| "ca.key beside it is no private key".to_owned())?;
        let certificate =
            CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| "not a certificate in PEM".to_owned())?;
        let (_, parsed) =
            x509_parser::parse_x509_certificate(&certificate).map_err(|_| "not an X.509 certificate".to_owned())?;
        if parsed.public_key().subject_public_key.data != key.public_key_raw() {
            return Err("it belongs to another key than ca.key beside it".to_owned());
        }
        let pin = Sha256::digest(&certificate).into();
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|e| e.to_string())?;
        Ok(Authority { issuer, certificate, pem: pem.to_owned(), pin })
    }

    /// The CA certificate, PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// The CA certificate.
    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The last second in which the CA certificate is good.
    pub(crate) fn not_after(&self) -> u64 {
        let parsed = x509_parser::parse_x509_certificate(&self.certificate).ok();
        let end = parsed.map_or(0, |(_, certificate)| certificate.validity().not_after.timestamp());
        u64::try_from(end).unwrap_or(0)
    }

    /// SHA-256 of the CA certificate's DER.
    pub(crate) fn pin(&self) -> [u8; 32] {
        self.pin
    }

    /// A client certificate for the public key of a CSR, PEM.
    pub(crate) fn issue(&self, csr: &Csr, identity: Identity) -> Result<String, CsrError> {
        let mut params = params(CLIENT_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let uri = identity.to_uri();
        params.distinguished_name.push(DnType::CommonName, uri.as_str());
        params.subject_alt_names = vec![SanType::URI(uri.try_into().map_err(CsrError::Issue)?)];
        let certificate = params.signed_by(&csr.0.public_key, &self.issuer).map_err(CsrError::Issue)?;
        Ok(certificate.pem())
    }

    /// TLS 1.3 with a fresh server certificate for `names`; client certificates are optional but must be ours.
    pub(crate) fn server_config(&self, names: &[String]) -> Result<Arc<ServerConfig>, ServerConfigError> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = params(SERVER_DAYS);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        params.distinguished_name.push(DnType::CommonName, "Muster NOC");
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(ip) => SanType::IpAddress(ip),
                Err(_) => SanType::DnsName(name.as_str().try_into()?),
            });
        }
        let leaf = params.signed_by(&key, &self.issuer)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));

        let provider = provider();
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        // A client keeps one connection open: one ticket is enough to come back with. It holds the client's certificate, so that
        // nothing is kept here for it; whether the client may still act is looked up with each request.
        config.send_tls13_tickets = 1;
        config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
        Ok(Arc::new(config))
    }
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServerConfigError {
    #[error("the server's certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    #[error("TLS could not be set up")]
    Tls(#[from] rustls::Error),
    #[error("client certificates could not be set up")]
    Verifier(#[from] rustls::server::VerifierBuilderError),
}

/// A certificate request that reads, carries its own signature and has a key of a kind that we certify.
pub(crate) struct Csr(CertificateSigningRequestParams);

impl Csr {
    /// Reads a PEM text and checks its signature.
    pub(crate) fn parse(text: &str) -> Result<Csr, CsrError> {
        let csr = CertificateSigningRequestParams::from_pem(text).map_err(|_| CsrError::Malformed)?;
        let algorithm = csr.public_key.algorithm();
        let known = algorithm == &PKCS_ECDSA_P256_SHA256 || algorithm == &PKCS_ED25519;
        if known { Ok(Csr(csr)) } else { Err(CsrError::Algorithm) }
    }
}

/// The TLS library's cryptography: the same everywhere in this project.
pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl Identity {
    /// `muster:console:7`, `muster:appliance:ABCD-…`.
    fn to_uri(self) -> String {
        match self {
            Identity::Console(id) => format!("muster:console:{id}"),
            Identity::Appliance(uid) => format!("muster:appliance:{uid}"),
        }
    }

    fn from_uri(uri: &str) -> Option<Identity> {
        let (kind, name) = uri.strip_prefix("muster:")?.split_once(':')?;
        match kind {
            "console" => name.parse().ok().map(|id| Identity::Console(ConsoleId(id))),
            "appliance" => name.parse().ok().map(Identity::Appliance),
            _ => None,
        }
    }

    /// Whom a certificate names that TLS has verified against our CA.
    pub(crate) fn of_verified(certificate: &[u8]) -> Option<Identity> {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        let names = certificate.subject_alternative_name().ok()??;
        match names.value.general_names.as_slice() {
            [GeneralName::URI(uri)] => Identity::from_uri(uri),
            _ => None,
        }
    }
}

/// Whom certificates name that were read before: reading one costs more than anything else that is done to a beat.
#[derive(Default)]
pub(crate) struct Identities(Mutex<HashMap<[u8; 32], Option<Identity>>>);

/// Certificates that are remembered; then all are forgotten.
const MOST_KNOWN: usize = 200_000;

impl Identities {
    /// [`Identity::of_verified`].
    pub(crate) fn of_verified(&self, certificate: &[u8]) -> Option<Identity> {
        let name: [u8; 32] = Sha256::digest(certificate).into();
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&name).copied();
        if let Some(known) = known {
            return known;
        }
        let read = Identity::of_verified(certificate);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST_KNOWN {
            known.clear();
        }
        known.insert(name, read);
        read
    }
}

fn params(days: u64) -> CertificateParams {
    let mut params = CertificateParams::default();
    // Valid from 1970: an appliance without a battery for its clock must be able to reach the NOC that tells it the time.
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    params.not_before = epoch;
    params.not_after = epoch + Duration::from_secs(clock::now() + days * 86_400);
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(key: &KeyPair) -> String {
        let mut params = CertificateParams::new(vec!["intruder.example".to_owned()]).expect("name");
        params.subject_alt_names.push(SanType::URI("muster:console:1".try_into().expect("ascii")));
        params.serialize_request(key).expect("csr").pem().expect("pem")
    }

    #[test]
    fn a_certificate_says_what_we_chose_and_nothing_of_what_the_csr_asked_for() {
        let (pem, key) = Authority::generate().expect("CA");
        let ca = Authority::load(&pem, &key).expect("loads");
        let uid = Uid([3; 20]);
        for identity in [Identity::Console(ConsoleId(9)), Identity::Appliance(uid)] {
            let csr = Csr::parse(&request(&KeyPair::generate().expect("key"))).expect("good");
            let issued = ca.issue(&csr, identity).expect("issued");
            let der = CertificateDer::from_pem_slice(issued.as_bytes()).expect("pem");
            assert_eq!(Identity::of_verified(&der), Some(identity));
            let known = Identities::default();
            assert_eq!([known.of_verified(&der), known.of_verified(&der)], [Some(identity); 2], "and again");
        }
        assert_eq!(Identity::of_verified(&ca.certificate), None);
        assert_eq!(Identity::of_verified(b"x"), None);
    }

    #[test]
    fn a_csr_that_does_not_read_is_refused() {
        let good = request(&KeyPair::generate().expect("key"));
        assert!(matches!(Csr::parse("nonsense"), Err(CsrError::Malformed)));
        assert!(matches!(Csr::parse(&good[..good.len() / 2]), Err(CsrError::Malformed)));
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).expect("key");
        assert!(matches!(Csr::parse(&request(&other)), Err(CsrError::Algorithm)));
        assert!(Csr::parse(&good).is_ok());
    }

    #[test]
    fn a_ca_certificate_of_another_key_is_noticed() {
        let (pem, _) = Authority::generate().expect("CA");
        let (_, key) = Authority::generate().expect("CA");
        assert!(Authority::load(&pem, &key).err().expect("mismatch").contains("another key"));
    }
}
