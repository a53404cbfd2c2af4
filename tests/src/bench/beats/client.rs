//! Appliances that do nothing but beat: HTTP/1.1 written and read by hand, so that the client costs as little as it can.

use anyhow::{Context, bail, ensure};
use muster_protocol::api::{Beat, BeatValues, Disk, HostValues, InterfaceErrors, WorkReport};
use muster_protocol::id::{BootId, Seq};
use rcgen::KeyPair;
use rustls::client::Resumption;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Connections that are made at the same time.
const CONNECTING: usize = 32;

/// Whom to send to.
#[derive(Clone)]
pub(in crate::bench) struct Target {
    address: String,
    roots: Arc<RootCertStore>,
}

impl Target {
    pub(in crate::bench) fn new(address: &str, ca_pem: &str) -> anyhow::Result<Target> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes())?)?;
        Ok(Target { address: address.to_owned(), roots: Arc::new(roots) })
    }
}

/// One appliance.
#[derive(Clone)]
pub(in crate::bench) struct Identity {
    certificate: CertificateDer<'static>,
    key: Arc<PrivateKeyDer<'static>>,
    seq: Seq,
}

impl Identity {
    pub(in crate::bench) fn new(certificate: &str, key: &KeyPair, seq: Seq) -> anyhow::Result<Identity> {
        let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes())?;
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
        Ok(Identity { certificate, key: Arc::new(key), seq })
    }

    pub(in crate::bench) fn seq(&self) -> Seq {
        self.seq
    }

    pub(in crate::bench) fn config(&self, target: &Target, resumes: bool) -> anyhow::Result<Arc<ClientConfig>> {
        let mut config = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13])
            .with_root_certificates(target.roots.clone())
            .with_client_auth_cert(vec![self.certificate.clone()], self.key.clone_key())?;
        config.resumption = if resumes { Resumption::in_memory_sessions(2) } else { Resumption::disabled() };
        Ok(Arc::new(config))
    }
}

/// An appliance that is connected.
pub(in crate::bench) struct Connection {
    stream: TlsStream<TcpStream>,
    host: String,
    boot: BootId,
    seq: Seq,
    counter: u64,
    buffer: Vec<u8>,
}

/// What came of a measurement.
pub(in crate::bench) struct Outcome {
    pub(in crate::bench) count: u64,
    /// Handshakes that resumed a session.
    pub(in crate::bench) resumed: u64,
    took: Duration,
    /// Microseconds of each, ascending.
    times: Vec<u32>,
}

impl Outcome {
    fn new(took: Duration, mut times: Vec<u32>, resumed: u64) -> Outcome {
        times.sort_unstable();
        Outcome { count: times.len() as u64, resumed, took, times }
    }

    pub(in crate::bench) fn per_s(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64()
    }

    /// Milliseconds that a share of them did not exceed.
    pub(in crate::bench) fn at(&self, share: f64) -> f64 {
        let last = self.times.len().saturating_sub(1);
        self.times.get((last as f64 * share) as usize).map_or(0.0, |micros| f64::from(*micros) / 1e3)
    }
}

/// Connects everybody.
pub(in crate::bench) async fn connect(target: &Target, identities: &[Identity]) -> anyhow::Result<Vec<Connection>> {
    let mut all = Vec::with_capacity(identities.len());
    for part in identities.chunks(CONNECTING) {
        let mut tasks = JoinSet::new();
        for identity in part {
            let (target, seq) = (target.clone(), identity.seq);
            let config = identity.config(&target, false)?;
            tasks.spawn(async move { Connection::open(&target, config, seq).await });
        }
        while let Some(connection) = tasks.join_next().await {
            all.push(connection??);
        }
    }
    Ok(all)
}

/// One beat of each, one after another; how many.
pub(in crate::bench) async fn beat_once(connections: &mut [Connection]) -> anyhow::Result<u64> {
    for connection in &mut *connections {
        connection.beat().await?;
    }
    Ok(connections.len() as u64)
}

/// One beat of each, a little after one another; when each was answered.
pub(in crate::bench) async fn beat_apart(
    connections: &mut [Connection],
    apart: Duration,
) -> anyhow::Result<Vec<Instant>> {
    let mut answered = Vec::with_capacity(connections.len());
    for connection in &mut *connections {
        connection.beat().await?;
        answered.push(Instant::now());
        tokio::time::sleep(apart).await;
    }
    Ok(answered)
}

/// Everybody beats in turn, `in_flight` at the same time, for so long.
pub(in crate::bench) async fn beat(
    connections: &mut Vec<Connection>,
    in_flight: usize,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let workers = in_flight.min(connections.len());
    let mut parts: Vec<Vec<Connection>> = (0..workers).map(|_| Vec::new()).collect();
    for (n, connection) in connections.drain(..).enumerate() {
        parts[n % workers].push(connection);
    }
    let (started, mut tasks) = (Instant::now(), JoinSet::new());
    for mut part in parts {
        tasks.spawn(async move {
            let mut times = Vec::new();
            'time: loop {
                for connection in &mut part {
                    let sent = Instant::now();
                    if sent - started >= time {
                        break 'time;
                    }
                    connection.beat().await?;
                    times.push(micros(sent.elapsed()));
                }
            }
            anyhow::Ok((part, times))
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (part, times) = done??;
        connections.extend(part);
        all.extend(times);
    }
    Ok(Outcome::new(started.elapsed(), all, 0))
}

/// Everybody connects, beats once and leaves, [`CONNECTING`] at the same time, again and again for so long.
pub(in crate::bench) async fn reconnect(
    target: &Target,
    identities: &[Identity],
    resumes: bool,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let boot = random_boot()?;
    let share = identities.len().div_ceil(CONNECTING);
    let mut tasks = JoinSet::new();
    let started = Instant::now();
    for part in identities.chunks(share) {
        // Who resumes comes back at once; the first handshake of each is a full one.
        let few = if resumes { 1 } else { 8 };
        let part: Vec<Identity> = part.iter().take(few).cloned().collect();
        let target = target.clone();
        tasks.spawn(async move {
            let mut known = Vec::new();
            for identity in &part {
                known.push((identity.config(&target, resumes)?, identity.seq, 0_u64));
            }
            let (mut times, mut resumed) = (Vec::new(), 0);
            'time: loop {
                for (config, seq, counter) in &mut known {
                    let begun = Instant::now();
                    if begun - started >= time {
                        break 'time;
                    }
                    let mut connection = Connection::open(&target, config.clone(), *seq).await?;
                    connection.go_on(boot, *counter);
                    let kind = connection.stream.get_ref().1.handshake_kind();
                    resumed += u64::from(kind == Some(HandshakeKind::Resumed));
                    connection.beat().await?;
                    *counter = connection.counter;
                    times.push(micros(begun.elapsed()));
                }
            }
            anyhow::Ok((times, resumed))
        });
    }
    let (mut all, mut count) = (Vec::new(), 0);
    while let Some(done) = tasks.join_next().await {
        let (times, resumed) = done??;
        all.extend(times);
        count += resumed;
    }
    Ok(Outcome::new(started.elapsed(), all, count))
}

impl Connection {
    pub(in crate::bench) async fn open(
        target: &Target,
        config: Arc<ClientConfig>,
        seq: Seq,
    ) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(&target.address).await?;
        stream.set_nodelay(true)?;
        let (host, _) = target.address.rsplit_once(':').context("an address")?;
        let name = ServerName::try_from(host.to_owned())?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        let boot = random_boot()?;
        Ok(Connection { stream, host: target.address.clone(), boot, seq, counter: 0, buffer: Vec::new() })
    }

    /// The next beat is the one after `counter` of a boot.
    pub(in crate::bench) fn go_on(&mut self, boot: BootId, counter: u64) {
        (self.boot, self.counter) = (boot, counter);
    }

    pub(in crate::bench) async fn beat(&mut self) -> anyhow::Result<()> {
        self.counter += 1;
        let body = serde_json::to_vec(&report(self.boot, self.counter, self.seq))?;
        self.buffer.clear();
        write!(
            self.buffer,
            "POST /v1/appliances/beats HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             accept: application/json\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        )?;
        self.buffer.extend_from_slice(&body);
        self.stream.write_all(&self.buffer).await?;
        self.stream.flush().await?;
        self.answer().await
    }

    async fn answer(&mut self) -> anyhow::Result<()> {
        let (mut bytes, mut held) = ([0_u8; 4096], 0);
        loop {
            let read = self.stream.read(&mut bytes[held..]).await?;
            ensure!(read > 0, "the connection ended");
            held += read;
            let Some(head) = bytes[..held].windows(4).position(|end| end == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&bytes[..head])?;
            let length = text.lines().filter_map(|line| line.split_once(": ")).find_map(|(name, value)| {
                name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().ok()).flatten()
            });
            if held < head + 4 + length.unwrap_or(0) {
                continue;
            }
            if !text.starts_with("HTTP/1.1 20") {
                bail!("{}", String::from_utf8_lossy(&bytes[..held]));
            }
            return Ok(());
        }
    }
}

pub(in crate::bench) fn random_boot() -> anyhow::Result<BootId> {
    let mut boot = [0; 16];
    getrandom::fill(&mut boot).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok(BootId(boot))
}

/// What a small server reports, with values that move as real ones do.
fn report(boot: BootId, counter: u64, seq: Seq) -> Beat {
    let mut state = counter.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ u64::from(boot.0[0]);
    let mut random = |most: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % most
    };
    let free = 8_000_000_000 - counter * 4_096 * random(9);
    let values = BeatValues {
        uptime_s: 60 * counter,
        load: random(300) as f64 / 100.0,
        memory_percent: 31.0 + random(40) as f64 / 10.0,
        disk_percent: 12.3,
        disk_free: free,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        counters: [("mails_passed".to_owned(), (counter * 7) as f64), ("queue".to_owned(), random(20) as f64)].into(),
        host: Some(HostValues {
            memory: Some(4_015_251_456),
            disks: vec![Disk { mount: "/".to_owned(), percent: 12.3, free }],
            temperature_c: Some(41.0 + random(30) as f64 / 10.0),
            interface: Some(InterfaceErrors::default()),
            clock_offset_s: Some(0),
            processors: Some(4),
            agent_memory: Some(8_388_608),
        }),
        ..BeatValues::default()
    };
    Beat { boot: BootId(boot.0), counter, seq, values, work: WorkReport::default(), earlier: Vec::new() }
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
