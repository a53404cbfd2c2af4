//! HTTP/1.1 by hand over TLS, to say what no client library would.

use crate::world::Noc;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// A connection without a client certificate, after its handshake.
pub(super) struct Raw(StreamOwned<ClientConnection, TcpStream>);

impl Raw {
    pub(super) fn connect(noc: &Noc) -> Raw {
        let pem = std::fs::read(noc.dir().join("ca.pem")).expect("readable");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&pem).expect("a certificate")).expect("a CA");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("a version")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let mut tcp = TcpStream::connect(noc.address()).expect("connected");
        tcp.set_read_timeout(Some(Duration::from_secs(15))).expect("set");
        let name = ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into());
        let mut tls = ClientConnection::new(Arc::new(config), name).expect("a client");
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).expect("the handshake");
        }
        Raw(StreamOwned::new(tls, tcp))
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// Status and body of the answer.
    pub(super) fn answer(&mut self) -> io::Result<(u16, Vec<u8>)> {
        let mut bytes = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(answer) = parse(&bytes) {
                return Ok(answer);
            }
            let length = self.0.read(&mut buffer)?;
            if length == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, String::from_utf8_lossy(&bytes).into_owned()));
            }
            bytes.extend_from_slice(&buffer[..length]);
        }
    }
}

/// The head of a request.
pub(super) fn head(method: &str, path: &str, headers: &[&str]) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{method} {path} HTTP/1.1\r\nhost: noc\r\n{headers}\r\n")
}

fn parse(bytes: &[u8]) -> Option<(u16, Vec<u8>)> {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
    let body = &bytes[end + 4..];
    (body.len() >= length).then(|| (status, body[..length].to_vec()))
}
