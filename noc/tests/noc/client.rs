//! Clients of a NOC with real keys and certificates: anybody, consoles and appliances.
//!
//! Attacks on the NOC's program (`tests/attacks/noc`) include this file, too.

use data_encoding::BASE64;
use muster_protocol::api::*;
use muster_protocol::crypto::claim::ClaimSecret;
use muster_protocol::crypto::keys::{OpenKey, SecretKey};
use muster_protocol::crypto::sign::{Purpose, sign};
use muster_protocol::grant::{ConsoleProof, EnrolmentProof};
use muster_protocol::id::{BootId, Mac, PingId, RequestId, Seq, SiteId, Uid};
use muster_protocol::wire::config::PacketHash;
use muster_protocol::wire::here::{Here, Proof, State};
use muster_protocol::wire::result::{ConfigResult, Reason, Status};
use muster_protocol::wire::to_cbor;
use rcgen::{CertificateParams, KeyPair};
use reqwest::{Certificate, Client, Identity, StatusCode};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Once};
use std::time::Duration;

/// What a console prepares before it is known.
pub(crate) struct NewConsole {
    pub(crate) key: SecretKey,
    pub(crate) tls: KeyPair,
    pub(crate) csr: String,
}

impl NewConsole {
    pub(crate) fn new() -> NewConsole {
        let (tls, csr) = tls_key();
        NewConsole { key: secret_key(), tls, csr }
    }

    pub(crate) fn body(&self, token: &str) -> EnrolConsole {
        EnrolConsole {
            token: token.to_owned(),
            name: "desk".into(),
            public_key: self.key.public().to_base64(),
            csr: self.csr.clone(),
            proof: self.proof(&self.key, token),
        }
    }
}

impl NewConsole {
    /// A proof for this console's request, signed by some key.
    pub(crate) fn proof(&self, signer: &SecretKey, token: &str) -> String {
        let proof = ConsoleProof::new(self.key.public(), token, &self.csr);
        BASE64.encode(&sign(signer, Purpose::ConsoleEnrolment, to_cbor(&proof)))
    }
}

pub(crate) struct Console {
    pub(crate) http: Http,
    pub(crate) key: SecretKey,
    pub(crate) enrolled: ConsoleEnrolled,
}

impl Console {
    pub(crate) async fn enrol(anybody: &Http, token: &str) -> Console {
        let request = NewConsole::new();
        let enrolled: ConsoleEnrolled = anybody.post("consoles/enrol", &request.body(token)).await.expect("enrolled");
        let http = anybody.with(&enrolled.certificate, &request.tls);
        Console { http, key: request.key, enrolled }
    }

    pub(crate) async fn plan(&self, site: SiteId, devices: &[Device]) -> Plan {
        let request = PlanRequest { site, appliances: devices.iter().map(Device::plan_for).collect() };
        self.http.post("console/plans", &request).await.expect("plan")
    }

    pub(crate) async fn grants(&self, plan: &Plan) -> Grants {
        self.http.post("console/grants", &grant_request(plan)).await.expect("grants")
    }

    pub(crate) async fn report(&self, uid: Uid, seq: Seq, configured: bool) {
        let items = vec![ResultItem { uid, seq, configured, reason: String::new() }];
        self.http.post_nothing("console/results", &ResultReport { items }).await.expect("results");
    }

    /// Plans, grants and reports success; the sequence numbers.
    pub(crate) async fn configure(&self, site: SiteId, devices: &[Device]) -> Vec<Seq> {
        let grants = self.grants(&self.plan(site, devices).await).await;
        let seqs: Vec<_> = grants.items.iter().map(|g| g.grant.as_ref().expect("granted").seq).collect();
        for (device, seq) in devices.iter().zip(&seqs) {
            self.report(device.uid, *seq, true).await;
        }
        seqs
    }

    pub(crate) async fn appliance(&self, uid: Uid) -> ApplianceRecord {
        let all: Vec<ApplianceRecord> = self.http.get("console/appliances").await.expect("appliances");
        all.into_iter().find(|a| a.uid == uid).expect("listed")
    }
}

pub(crate) fn grant_request(plan: &Plan) -> GrantRequest {
    let items = plan.rows.iter().map(|row| GrantItem {
        uid: row.uid,
        settings: row.settings.clone().unwrap_or_else(|| panic!("planned: {:?}", row.problem)),
        refusal: None,
    });
    GrantRequest { site: plan.site, items: items.collect() }
}

pub(crate) struct Device {
    pub(crate) n: u32,
    pub(crate) key: SecretKey,
    pub(crate) uid: Uid,
    pub(crate) mac: Mac,
    pub(crate) claim: ClaimSecret,
}

impl Device {
    pub(crate) fn new(n: u32) -> Device {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let key = SecretKey::from_seed(&seed);
        let b = n.to_be_bytes();
        let claim = ClaimSecret::generate(&mut OsRng);
        Device { n, uid: Uid::of(&key.public()), key, mac: Mac([2, 0, b[0], b[1], b[2], b[3]]), claim }
    }

    pub(crate) fn several(numbers: std::ops::Range<u32>) -> Vec<Device> {
        numbers.map(Device::new).collect()
    }

    pub(crate) fn plan_for(&self) -> PlanFor {
        PlanFor {
            device_key: self.key.public().to_base64(),
            mac: self.mac,
            claim: None,
            wants_voucher: false,
            here: None,
        }
    }

    /// The same, with what it answered to a ping.
    pub(crate) fn showing(&self, proof: Proof) -> PlanFor {
        PlanFor { here: Some(BASE64.encode(&self.here(&self.key, proof, State::Unconfigured))), ..self.plan_for() }
    }

    /// Its answer to a ping, signed by `signer`.
    pub(crate) fn here(&self, signer: &SecretKey, proof: Proof, state: State) -> Vec<u8> {
        let here = Here {
            ping: PingId([1; 16]),
            device_key: self.key.public(),
            mac: self.mac,
            state,
            one_time_key: OpenKey::generate(&mut OsRng).public(),
            boot: BootId([1; 16]),
            proof,
            settings: None,
        };
        sign(signer, Purpose::Here, to_cbor(&here))
    }

    pub(crate) fn enrolment(&self, signer: &SecretKey, seq: Seq) -> (KeyPair, EnrolAppliance) {
        let (tls, csr) = tls_key();
        let proof =
            EnrolmentProof { device_key: self.key.public(), seq, csr_hash: Sha256::digest(csr.as_bytes()).into() };
        let proof = sign(signer, Purpose::Enrolment, to_cbor(&proof));
        (tls, EnrolAppliance { proof: BASE64.encode(&proof), csr })
    }

    /// A FAILED result about this appliance, signed by `signer`, that names a stored number.
    pub(crate) fn refusal(&self, signer: &SecretKey, seq: u64) -> SignedResult {
        let status = Status::Failed { reason: Reason::OldSequence, detail: None, next_key: None };
        let (request, packet, boot) = (RequestId([1; 16]), PacketHash::of(b"packet"), BootId([1; 16]));
        let result = ConfigResult { uid: self.uid, request, packet, seq: Seq(seq), boot, status };
        let signed = sign(signer, Purpose::Result, to_cbor(&result));
        SignedResult { device_key: self.key.public().to_base64(), result: BASE64.encode(&signed) }
    }

    pub(crate) async fn enrol(&self, anybody: &Http, seq: Seq) -> Http {
        let (tls, request) = self.enrolment(&self.key, seq);
        let enrolled: ApplianceEnrolled = anybody.post("appliances/enrol", &request).await.expect("enrolled");
        anybody.with(&enrolled.certificate, &tls)
    }
}

pub(crate) fn beat(boot: u8, counter: u64, seq: Seq) -> Beat {
    let values = BeatValues { uptime_s: counter, agent: "test".into(), ..BeatValues::default() };
    Beat { boot: BootId([boot; 16]), counter, seq, values, work: WorkReport::default(), earlier: Vec::new() }
}

/// A client of the NOC, with or without a certificate.
#[derive(Clone)]
pub(crate) struct Http {
    base: String,
    pub(crate) ca: Certificate,
    pub(crate) client: Client,
    /// For clients that speak by hand: the CA, and certificate and key if there are any, PEM.
    pub(crate) ca_pem: String,
    pub(crate) own_pem: Option<String>,
}

impl Http {
    /// A client of the NOC at an address (`host:port`) that trusts only its CA, which it fetched without trust and compared
    /// with the pin.
    pub(crate) async fn anybody(address: &str, pin: [u8; 32]) -> Http {
        install_provider();
        let base = format!("https://{address}/v1/");
        let careless = Client::builder().tls_danger_accept_invalid_certs(true).build().expect("client");
        let pem = careless.get(base.clone() + "ca").send().await.expect("answer").text().await.expect("text");
        let ca = Certificate::from_pem(pem.as_bytes()).expect("certificate");
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).expect("pem");
        assert_eq!(<[u8; 32]>::from(Sha256::digest(&der)), pin, "the pin fits");
        let client = builder().tls_certs_only([ca.clone()]).build().expect("client");
        Http { base, ca, client, ca_pem: pem, own_pem: None }
    }

    pub(crate) fn with(&self, certificate: &str, key: &KeyPair) -> Http {
        self.try_with(certificate, key).expect("key and certificate belong together")
    }

    /// None when the certificate is for another key.
    pub(crate) fn try_with(&self, certificate: &str, key: &KeyPair) -> Option<Http> {
        let pem = format!("{certificate}\n{}", key.serialize_pem());
        let identity = Identity::from_pem(pem.as_bytes()).expect("identity");
        let client = builder().tls_certs_only([self.ca.clone()]).identity(identity).build().ok()?;
        let (base, ca, ca_pem) = (self.base.clone(), self.ca.clone(), self.ca_pem.clone());
        Some(Http { base, ca, client, ca_pem, own_pem: Some(pem) })
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Problem> {
        json(self.client.get(self.base.clone() + path).send().await.expect("answer")).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Problem> {
        json(self.client.post(self.base.clone() + path).json(body).send().await.expect("answer")).await
    }

    /// None while nobody answers, or not to the end.
    pub(crate) async fn try_post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Option<T> {
        let answer = self.client.post(self.base.clone() + path).json(body).send().await.ok()?;
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap_or_default());
        answer.json().await.ok()
    }

    pub(crate) async fn post_nothing(&self, path: &str, body: &impl Serialize) -> Result<(), Problem> {
        let answer = self.client.post(self.base.clone() + path).json(body).send().await.expect("answer");
        if answer.status() == StatusCode::NO_CONTENT {
            Ok(())
        } else {
            Err(json::<()>(answer).await.expect_err("problem"))
        }
    }

    /// Leaves connections to a server that is gone behind, as every client does with its second request.
    pub(crate) async fn reconnect(&self) {
        while self.client.get(self.url("ca")).send().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        self.base.clone() + path
    }
}

type ByHand = rustls::StreamOwned<rustls::ClientConnection, std::net::TcpStream>;

/// A connection of its own, with the client's certificate; and the configuration with which to come back.
pub(crate) fn tls_stream(
    http: &Http,
    config: Option<Arc<rustls::ClientConfig>>,
) -> (ByHand, Arc<rustls::ClientConfig>) {
    let config = config.unwrap_or_else(|| {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(http.ca_pem.as_bytes()).expect("PEM")).expect("a CA");
        let own = http.own_pem.as_deref().expect("a certificate").as_bytes();
        let key = PrivateKeyDer::from_pem_slice(own).expect("a key");
        let chain = vec![CertificateDer::from_pem_slice(own).expect("PEM")];
        let builder = rustls::ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
        Arc::new(builder.with_root_certificates(roots).with_client_auth_cert(chain, key).expect("fits"))
    });
    let address = http.base.strip_prefix("https://").and_then(|rest| rest.split('/').next()).expect("an address");
    let (host, _) = address.rsplit_once(':').expect("a port");
    let name = rustls::pki_types::ServerName::try_from(host.to_owned()).expect("a name");
    let connection = rustls::ClientConnection::new(config.clone(), name).expect("a client");
    let stream = std::net::TcpStream::connect(address).expect("connects");
    (rustls::StreamOwned::new(connection, stream), config)
}

/// One exchange by HTTP/1.1: head and body of the answer.
pub(crate) fn post_by_hand(stream: &mut ByHand, path: &str, body: &impl Serialize) -> String {
    use std::io::{Read, Write};
    let body = serde_json::to_string(body).expect("JSON");
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: noc\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(format!("{head}{body}").as_bytes()).expect("sent");
    let (mut said, mut part) = (String::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut part).expect("an answer");
        assert!(read > 0, "cut short: {said}");
        said += std::str::from_utf8(&part[..read]).expect("text");
        let Some((head, body)) = said.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if body.len() >= length.unwrap_or(0) {
            return said;
        }
    }
}

pub(crate) async fn json<T: DeserializeOwned>(answer: reqwest::Response) -> Result<T, Problem> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer.json().await.expect("the documented body"));
    }
    let kind = answer.headers().get("content-type").expect("a content type").to_str().expect("text").to_owned();
    assert_eq!(kind, "application/problem+json");
    let problem: Problem = answer.json().await.expect("a problem");
    assert_eq!(problem.status, status.as_u16());
    assert!(!problem.title.is_empty() && !problem.detail.is_empty(), "says what happened and what to do: {problem:?}");
    Err(problem)
}

/// The code of a refusal.
pub(crate) fn code<T: std::fmt::Debug>(refused: Result<T, Problem>) -> String {
    refused.expect_err("should be refused").code
}

fn builder() -> reqwest::ClientBuilder {
    Client::builder().timeout(Duration::from_secs(60)).tls_version_min(reqwest::tls::Version::TLS_1_3)
}

fn tls_key() -> (KeyPair, String) {
    let key = KeyPair::generate().expect("key");
    let csr = CertificateParams::default().serialize_request(&key).expect("csr").pem().expect("pem");
    (key, csr)
}

fn secret_key() -> SecretKey {
    SecretKey::generate(&mut OsRng)
}

pub(crate) fn install_provider() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustls::crypto::aws_lc_rs::default_provider().install_default().expect("the first");
    });
}

struct OsRng;

impl rand_core::TryRng for OsRng {
    type Error = std::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(getrandom::u32().expect("entropy"))
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(getrandom::u64().expect("entropy"))
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        getrandom::fill(bytes).expect("entropy");
        Ok(())
    }
}

impl rand_core::TryCryptoRng for OsRng {}
