//! A TLS server that notes what it is told and answers every request alike.

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What it shows.
pub(crate) struct Shown {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
    pub(crate) old_tls: bool,
}

/// What it saw.
#[derive(Clone, Default)]
pub(crate) struct Seen {
    /// Connections.
    pub(crate) attempts: usize,
    /// Handshakes that the client finished.
    pub(crate) finished: usize,
    /// What clients said after that, all together.
    pub(crate) said: Vec<u8>,
}

/// The server; it ends with the value.
pub(crate) struct Rogue {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Rogue {
    /// Listens at the NOC's port; `body` is its answer to everything.
    pub(crate) fn listen(port: u16, shown: Shown, body: &str) -> Rogue {
        let versions: &[&rustls::SupportedProtocolVersion] =
            if shown.old_tls { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("a version")
            .with_no_client_auth()
            .with_single_cert(shown.chain, shown.key)
            .expect("key and leaf belong together");
        let (config, listener) = (Arc::new(config), TcpListener::bind(("127.0.0.1", port)).expect("the port is free"));
        let (seen, stop) = (Arc::new(Mutex::new(Seen::default())), Arc::new(AtomicBool::new(false)));
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
        let (to, ended) = (seen.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            for connection in listener.incoming() {
                if ended.load(Ordering::SeqCst) {
                    return;
                }
                let (Ok(connection), config, seen, answer) = (connection, config.clone(), to.clone(), answer.clone())
                else {
                    continue;
                };
                seen.lock().expect("no panic").attempts += 1;
                std::thread::spawn(move || talk(connection, config, &seen, answer.as_bytes()));
            }
        });
        Rogue { port, seen, stop, thread: Some(thread) }
    }

    pub(crate) fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic").clone()
    }
}

impl Drop for Rogue {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn talk(mut tcp: TcpStream, config: Arc<ServerConfig>, seen: &Mutex<Seen>, answer: &[u8]) {
    let _ = tcp.set_read_timeout(Some(Duration::from_secs(5)));
    let Ok(mut tls) = ServerConnection::new(config) else { return };
    while tls.is_handshaking() {
        if tls.complete_io(&mut tcp).is_err() {
            return;
        }
    }
    seen.lock().expect("no panic").finished += 1;
    let mut stream = StreamOwned::new(tls, tcp);
    let mut buffer = [0; 16 * 1024];
    if let Ok(length) = stream.read(&mut buffer) {
        seen.lock().expect("no panic").said.extend_from_slice(&buffer[..length]);
    }
    let _ = stream.write_all(answer).and_then(|()| stream.flush());
    stream.conn.send_close_notify();
    let _ = stream.flush();
}
