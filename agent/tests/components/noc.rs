//! The part of a NOC that components need, over real TLS: enrolment, beats, plan and files, with ranges. It can break off.

use crate::repository::{NOW, Repository};
use muster_protocol::api::{ApplianceEnrolled, Beat, BeatAnswer, ComponentPlan, ComponentReport, EnrolAppliance, Work};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) struct Noc {
    pub(crate) address: String,
    pub(crate) pin: [u8; 32],
    pub(crate) told: Arc<Mutex<Told>>,
}

/// What it knows, and what it was told.
pub(crate) struct Told {
    pub(crate) plan: ComponentPlan,
    pub(crate) repository: Repository,
    pub(crate) reports: Vec<Vec<ComponentReport>>,
    /// Path and first byte of every file that was asked for.
    pub(crate) asked: Vec<(String, u64)>,
    /// A target breaks off after so many bytes, once.
    pub(crate) breaks_at: Option<usize>,
    /// Enrolled by this certificate authority; beats and files without a certificate are refused.
    ca: Issuer<'static, KeyPair>,
}

impl Noc {
    pub(crate) async fn serve(plan: ComponentPlan, repository: Repository) -> Noc {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        let authority = params.self_signed(&key).expect("a CA");
        let ca = Issuer::new(params, key);
        let server_key = KeyPair::generate().expect("a key");
        let mut server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let server = server.signed_by(&server_key, &ca).expect("a certificate");
        let pin = Sha256::digest(authority.der()).into();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(authority.der().clone()).expect("a root");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let clients = clients.allow_unauthenticated().build().expect("a verifier");
        let key = PrivatePkcs8KeyDer::from(server_key.serialize_der()).into();
        let tls = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![server.der().clone(), authority.der().clone()], key)
            .expect("a server");
        let told = Told { plan, repository, reports: Vec::new(), asked: Vec::new(), breaks_at: None, ca };
        let told = Arc::new(Mutex::new(told));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let (acceptor, shared) = (TlsAcceptor::from(Arc::new(tls)), told.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(acceptor.clone(), stream, shared.clone()));
            }
        });
        Noc { address, pin, told }
    }
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream, told: Arc<Mutex<Told>>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let knows = stream.get_ref().1.peer_certificates().is_some();
    let mut stream = BufReader::new(stream);
    while let Some((head, body)) = request(&mut stream).await {
        let answer = told.lock().expect("whole").answer(&head, &body, knows);
        let (answer, breaks) = answer;
        if stream.get_mut().write_all(&answer).await.is_err() || breaks {
            let _ = stream.get_mut().shutdown().await;
            return;
        }
    }
}

/// Request line and headers, and the body.
async fn request(stream: &mut BufReader<TlsStream<TcpStream>>) -> Option<(Vec<String>, Vec<u8>)> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let mut body = vec![0; header(&head, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter()
        .find_map(|line| line.split_once(": ").filter(|(of, _)| of.eq_ignore_ascii_case(name)))
        .map(|(_, value)| value)
}

fn respond(status: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    [format!("HTTP/1.1 {status}\r\n{more}content-length: {length}\r\n\r\n").into_bytes(), body.to_vec()].concat()
}

impl Told {
    fn answer(&mut self, head: &[String], body: &[u8], knows: bool) -> (Vec<u8>, bool) {
        let path = head[0].split(' ').nth(1).unwrap_or_default();
        let json = |value: &serde_json::Value| (respond("200 OK", "", value.to_string().as_bytes()), false);
        let value = |value| serde_json::to_value(value);
        if path == "/v1/appliances/enrol" {
            let enrol: EnrolAppliance = serde_json::from_slice(body).expect("an enrolment");
            let csr = CertificateSigningRequestParams::from_pem(&enrol.csr).expect("a request");
            let mut params = CertificateParams::default();
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let certificate = params.signed_by(&csr.public_key, &self.ca).expect("a certificate").pem();
            return json(&value(ApplianceEnrolled { certificate, time: NOW }).expect("JSON"));
        }
        if !knows {
            return (respond("401 Unauthorized", "", b""), false);
        }
        match path.strip_prefix("/v1/appliances/").unwrap_or_default() {
            "beats" => {
                let beat: Beat = serde_json::from_slice(body).expect("a beat");
                self.reports.push(beat.values.components);
                let work = Work { components: Some(self.plan.revision.clone()), ..Work::default() };
                let answer = BeatAnswer { interval_s: 1, time: NOW, earlier: None, work };
                json(&serde_json::to_value(answer).expect("JSON"))
            }
            "components" => json(&serde_json::to_value(&self.plan).expect("JSON")),
            path => self.file(path.strip_prefix("components/").unwrap_or_default(), head),
        }
    }

    fn file(&mut self, path: &str, head: &[String]) -> (Vec<u8>, bool) {
        let range =
            header(head, "range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        let from: usize = range.unwrap_or(0);
        self.asked.push((path.to_owned(), from as u64));
        let Some(contents) = self.repository.files.get(path) else {
            return (respond("404 Not Found", "", b"{}"), false);
        };
        let (rest, length) = (&contents[from..], contents.len());
        let mut answer = match from {
            0 => respond("200 OK", "", rest),
            _ => respond(
                "206 Partial Content",
                &format!("content-range: bytes {from}-{}/{length}\r\n", length - 1),
                rest,
            ),
        };
        let breaks = self.breaks_at.take_if(|_| path.starts_with("targets/"));
        if let Some(at) = breaks {
            answer.truncate(answer.len() - rest.len() + at);
        }
        (answer, breaks.is_some())
    }
}
