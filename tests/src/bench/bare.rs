//! What the cryptography of one configuration costs by itself: the least that any program must spend on this protocol.
//!
//! Each operation is measured alone, on one thread, in processor time, with the very crates and parameters that console,
//! NOC and agent use, and multiplied by how often one appliance needs it in a job without loss that confirms by first beat
//! ([`COUNTS`]). Not counted: encoding, hashing of datagrams, HMAC tags, sockets, the database, HTTP.

use super::usage::this_thread_ms;
use anyhow::{Context, ensure};
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::crypto::keys::{OpenKey, SecretKey};
use muster_protocol::crypto::seal::{self, Seal};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, ExtendedKeyUsagePurpose,
    IsCa, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{CipherSuite, ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use serde::Serialize;
use std::hint::black_box;
use std::sync::Arc;

/// How often one appliance needs each operation, over all three parties.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Counts {
    /// Ed25519: answer and three results by the device, order and kick-start by the console, grant by the NOC root,
    /// enrolment proof by the device.
    pub sign: u32,
    /// Ed25519: answer and three results by the console; grant, order and kick-start by the appliance; enrolment by the NOC.
    pub verify: u32,
    /// X25519: the one-time key.
    pub one_time_key: u32,
    /// HPKE in PSK mode with the exported key: the console's config packet.
    pub seal: u32,
    /// The same, opened by the appliance.
    pub open: u32,
    /// ECDSA P-256: key and request by the appliance, its check and the certificate by the NOC.
    pub certificate: u32,
    /// TLS 1.3 handshake in which only the NOC shows a certificate: the enrolment. Both ends.
    pub tls: u32,
    /// TLS 1.3 handshake in which both show one: the first beat. Both ends.
    pub mutual_tls: u32,
}

/// What the protocol needs: discovery in one answer, one config packet, one kick-start, one enrolment, one beat.
pub const COUNTS: Counts =
    Counts { sign: 8, verify: 8, one_time_key: 1, seal: 1, open: 1, certificate: 1, tls: 1, mutual_tls: 1 };

/// Microseconds of processor time of each operation.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Bare {
    /// Ed25519 signature over 200 bytes.
    pub sign: f64,
    /// Strict verification of it.
    pub verify: f64,
    /// A new X25519 key pair.
    pub one_time_key: f64,
    /// Sealing 500 bytes.
    pub seal: f64,
    /// Opening them.
    pub open: f64,
    /// From key pair to certificate.
    pub certificate: f64,
    /// Handshake of the enrolment.
    pub tls: f64,
    /// Handshake of the beats.
    pub mutual_tls: f64,
}

impl Bare {
    /// Milliseconds for one appliance.
    pub fn ms_each(&self, counts: &Counts) -> f64 {
        let parts = [
            (self.sign, counts.sign),
            (self.verify, counts.verify),
            (self.one_time_key, counts.one_time_key),
            (self.seal, counts.seal),
            (self.open, counts.open),
            (self.certificate, counts.certificate),
            (self.tls, counts.tls),
            (self.mutual_tls, counts.mutual_tls),
        ];
        parts.iter().map(|(us, times)| us * f64::from(*times)).sum::<f64>() / 1e3
    }

    /// Measures every operation, `times` times each.
    pub fn measure(times: u32) -> anyhow::Result<Bare> {
        let key = SecretKey::generate(&mut entropy());
        let (public, message) = (key.public(), [7_u8; 200]);
        let signature = key.sign(&message);
        ensure!(public.verify(&message, &signature), "an Ed25519 signature does not verify");

        let claim = ClaimSecret::generate(&mut entropy()).key();
        let one_time = OpenKey::generate(&mut entropy());
        let (to, order) = (one_time.public(), [7_u8; 500]);
        let seal = || seal::seal(&mut entropy(), Seal::Config, &to, Some(&claim), &message, &order);
        let (sealed, _) = seal()?;
        let open = || seal::open(Seal::Config, &one_time, Some(&claim), &message, &sealed);
        ensure!(open()?.0 == order, "a sealed message does not open");

        let ends = Ends::new()?;
        ends.handshake(&ends.plain)?;
        ends.handshake(&ends.mutual)?;
        Ok(Bare {
            sign: each(times, || key.sign(black_box(&message))),
            verify: each(times, || public.verify(black_box(&message), &signature)),
            one_time_key: each(times, || OpenKey::generate(&mut entropy()).public()),
            seal: each(times, seal),
            open: each(times, open),
            certificate: each(times, || ends.certificate()),
            tls: each(times, || ends.handshake(&ends.plain)),
            mutual_tls: each(times, || ends.handshake(&ends.mutual)),
        })
    }
}

/// Microseconds of one call.
fn each<T>(times: u32, mut work: impl FnMut() -> T) -> f64 {
    for _ in 0..times / 10 {
        black_box(work());
    }
    let start = this_thread_ms();
    for _ in 0..times {
        black_box(work());
    }
    (this_thread_ms() - start) * 1e3 / f64::from(times)
}

fn entropy() -> rand_core::UnwrapErr<getrandom::SysRng> {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// A NOC's CA and server, and an appliance with and without its certificate, in memory.
struct Ends {
    ca: CertifiedIssuer<'static, KeyPair>,
    server: Arc<ServerConfig>,
    plain: Arc<ClientConfig>,
    mutual: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Ends {
    fn new() -> anyhow::Result<Ends> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let (leaf, key) = leaf(&ca, ExtendedKeyUsagePurpose::ServerAuth)?;
        let mut roots = RootCertStore::empty();
        roots.add(ca.der().clone())?;
        let roots = Arc::new(roots);
        let provider = provider();
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone());
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
            .with_single_cert(vec![leaf, ca.der().clone()], key)?;
        server.send_tls13_tickets = 1;
        let client = || -> anyhow::Result<_> {
            let builder = ClientConfig::builder_with_provider(provider.clone());
            Ok(builder.with_protocol_versions(&[&rustls::version::TLS13])?.with_root_certificates(roots.clone()))
        };
        let (certificate, key) = self::leaf(&ca, ExtendedKeyUsagePurpose::ClientAuth)?;
        Ok(Ends {
            server: Arc::new(server),
            plain: Arc::new(full_handshakes(client()?.with_no_client_auth())),
            mutual: Arc::new(full_handshakes(client()?.with_client_auth_cert(vec![certificate], key)?)),
            name: ServerName::try_from("127.0.0.1")?,
            ca,
        })
    }

    /// What an enrolment makes: key, request, the check of its signature, and the certificate.
    fn certificate(&self) -> anyhow::Result<CertificateDer<'static>> {
        let request = CertificateParams::default().serialize_request(&KeyPair::generate()?)?;
        let request = CertificateSigningRequestParams::from_der(request.der())?;
        Ok(request.params.signed_by(&request.public_key, &self.ca)?.der().clone())
    }

    /// Both ends of one handshake, to the moment when both may send.
    fn handshake(&self, client: &Arc<ClientConfig>) -> anyhow::Result<()> {
        let mut client = ClientConnection::new(client.clone(), self.name.clone())?;
        let mut server = ServerConnection::new(self.server.clone())?;
        let mut wire = Vec::with_capacity(4096);
        for _ in 0..8 {
            while client.wants_write() {
                client.write_tls(&mut wire)?;
            }
            server.read_tls(&mut wire.as_slice())?;
            server.process_new_packets()?;
            wire.clear();
            while server.wants_write() {
                server.write_tls(&mut wire)?;
            }
            client.read_tls(&mut wire.as_slice())?;
            client.process_new_packets()?;
            wire.clear();
            if !client.is_handshaking() && !server.is_handshaking() {
                return Ok(());
            }
        }
        anyhow::bail!("a TLS handshake does not end")
    }
}

/// A resumed session would be a cheaper handshake than an appliance has that comes for the first time.
fn full_handshakes(mut config: ClientConfig) -> ClientConfig {
    config.resumption = rustls::client::Resumption::disabled();
    config
}

fn leaf(
    ca: &CertifiedIssuer<'static, KeyPair>,
    usage: ExtendedKeyUsagePurpose,
) -> anyhow::Result<(CertificateDer<'static>, PrivateKeyDer<'static>)> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).context("a name")?;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![usage];
    let certificate = params.signed_by(&key, ca)?;
    Ok((certificate.der().clone(), PrivatePkcs8KeyDer::from(key.serialize_der()).into()))
}

/// With the agent's order of cipher suites.
fn provider() -> Arc<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_works_and_costs_something() {
        let bare = Bare::measure(10).expect("measured");
        let none =
            Counts { sign: 0, verify: 0, one_time_key: 0, seal: 0, open: 0, certificate: 0, tls: 0, mutual_tls: 0 };
        assert!(bare.ms_each(&none).abs() < f64::EPSILON);
        let two = Counts { seal: 1, open: 1, ..none };
        assert!((bare.ms_each(&two) * 1e3 - bare.seal - bare.open).abs() < 1e-6);
        // No figure is compared with a time: how fast a machine is decides no test.
        let each = [
            bare.sign,
            bare.verify,
            bare.one_time_key,
            bare.seal,
            bare.open,
            bare.certificate,
            bare.tls,
            bare.mutual_tls,
        ];
        assert!(each.iter().all(|microseconds| *microseconds > 0.0 && microseconds.is_finite()), "{bare:?}");
        let dearest = each.into_iter().fold(0.0, f64::max);
        assert!(bare.ms_each(&COUNTS) * 1e3 > dearest, "{bare:?}");
    }
}
