//! What one would use instead, on the same machine: each takes what an appliance reports, over connections that stay open. None of them is asked for TLS client certificates, and only Mosquitto for
//! TLS at all: that is to their advantage.

use crate::process::Running;
use crate::wait::until;
use anyhow::{Context, bail, ensure};
use rcgen::{CertificateParams, CertifiedIssuer, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::net::{TcpListener, TcpStream as Blocking};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

const MOSQUITTO: &str = "/usr/sbin/mosquitto";
const PUSHGATEWAY: &str = "/usr/bin/prometheus-pushgateway";
const VICTORIA: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../.tools/debian/victoria-metrics/usr/bin/victoria-metrics");

/// Programs that are not installed.
pub(super) fn missing() -> Vec<&'static str> {
    [MOSQUITTO, PUSHGATEWAY, VICTORIA].into_iter().filter(|program| !Path::new(program).is_file()).collect()
}

/// Reports a second of each.
pub(super) async fn measure(
    folder: &Path,
    in_flight: usize,
    time: Duration,
) -> anyhow::Result<Vec<(&'static str, f64)>> {
    let missing = missing();
    ensure!(missing.is_empty(), "not installed: {} (make bench-beats installs it)", missing.join(", "));
    Ok(vec![
        ("mosquitto_qos1_tls", mosquitto(folder, in_flight, time).await?),
        ("pushgateway", pushgateway(folder, in_flight, time).await?),
        ("victoria_metrics", victoria(folder, in_flight, time).await?),
    ])
}

/// QoS 1: each report is acknowledged. It keeps them for subscribers, of whom there are none, and syncs nothing.
async fn mosquitto(folder: &Path, in_flight: usize, time: Duration) -> anyhow::Result<f64> {
    let port = free_port()?;
    let ca = CertifiedIssuer::self_signed(CertificateParams::new(["localhost".to_owned()])?, KeyPair::generate()?)?;
    let (certificate, key) = (folder.join("mosquitto.pem"), folder.join("mosquitto.key"));
    std::fs::write(&certificate, ca.pem())?;
    std::fs::write(&key, ca.key().serialize_pem())?;
    let config = folder.join("mosquitto.conf");
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\ncertfile {}\nkeyfile {}\npersistence true\npersistence_location {}/\nuser root\n",
        certificate.display(),
        key.display(),
        folder.display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(MOSQUITTO);
    let server = Running::start(command.arg("-c").arg(&config), &folder.join("mosquitto.log"));
    listening(port, &server);
    let mut roots = RootCertStore::empty();
    roots.add(ca.der().clone())?;
    let tls = ClientConfig::builder_with_protocol_versions(&[&rustls::version::TLS13]);
    let tls = TlsConnector::from(Arc::new(tls.with_root_certificates(roots).with_no_client_auth()));
    let per_s = rate(in_flight, time, async move |n| {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let mut stream = tls.connect(ServerName::try_from("localhost")?, stream).await?;
        let id = format!("bench-{n}");
        let mut connect = vec![0x10, 12 + u8::try_from(id.len())?, 0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 60];
        connect.extend([0, u8::try_from(id.len())?]);
        connect.extend(id.as_bytes());
        stream.write_all(&connect).await?;
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).await?;
        ensure!(answer == [0x20, 2, 0, 0], "it was not let in: {answer:?}");
        let topic = format!("appliances/{n}/beat");
        let mut number = 0_u16;
        Ok(async move || {
            number = number.wrapping_add(1).max(1);
            let body = report(u64::from(number));
            let length = 2 + topic.len() + 2 + body.len();
            let mut packet = vec![0x32, u8::try_from(length % 128)? | 0x80, u8::try_from(length / 128)?];
            packet.extend(u16::try_from(topic.len())?.to_be_bytes());
            packet.extend(topic.as_bytes());
            packet.extend(number.to_be_bytes());
            packet.extend(body.as_bytes());
            stream.write_all(&packet).await?;
            stream.flush().await?;
            let mut answer = [0; 4];
            stream.read_exact(&mut answer).await?;
            ensure!(answer[..2] == [0x40, 2] && answer[2..] == number.to_be_bytes(), "not acknowledged: {answer:?}");
            Ok(())
        })
    });
    per_s.await
}

/// It writes what it holds to a file once a second.
async fn pushgateway(folder: &Path, in_flight: usize, time: Duration) -> anyhow::Result<f64> {
    let port = free_port()?;
    let mut command = Command::new(PUSHGATEWAY);
    command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
    command.arg(format!("--persistence.file={}", folder.join("pushgateway").display()));
    command.arg("--persistence.interval=1s");
    let server = Running::start(&mut command, &folder.join("pushgateway.log"));
    listening(port, &server);
    http(port, in_flight, time, |n| format!("/metrics/job/beats/instance/{n}")).await
}

/// It keeps history, in memory for some seconds.
async fn victoria(folder: &Path, in_flight: usize, time: Duration) -> anyhow::Result<f64> {
    let port = free_port()?;
    let mut command = Command::new(VICTORIA);
    command.arg(format!("-httpListenAddr=127.0.0.1:{port}"));
    command.arg(format!("-storageDataPath={}", folder.join("victoria").display()));
    let server = Running::start(&mut command, &folder.join("victoria.log"));
    listening(port, &server);
    http(port, in_flight, time, |n| format!("/api/v1/import/prometheus?extra_label=instance={n}")).await
}

async fn http(port: u16, in_flight: usize, time: Duration, path: impl Fn(usize) -> String) -> anyhow::Result<f64> {
    let path = &path;
    let connect = async move |n| {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        let (path, mut counter) = (path(n), 0);
        Ok(async move || {
            counter += 1;
            let body = metrics(counter);
            let length = body.len();
            let head = format!(
                "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n"
            );
            stream.write_all((head + body.as_str()).as_bytes()).await?;
            answered(&mut stream).await
        })
    };
    rate(in_flight, time, connect).await
}

async fn answered(stream: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> anyhow::Result<()> {
    let (mut said, mut part) = (Vec::new(), [0; 1024]);
    loop {
        let read = stream.read(&mut part).await?;
        ensure!(read > 0, "the connection ended");
        said.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&said);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        if !head.starts_with("HTTP/1.1 20") {
            bail!("{text}");
        }
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Ok(());
        }
    }
}

/// How often `in_flight` at a time are answered in a second.
async fn rate<C, R>(in_flight: usize, time: Duration, connect: C) -> anyhow::Result<f64>
where
    C: AsyncFn(usize) -> anyhow::Result<R>,
    R: AsyncFnMut() -> anyhow::Result<()> + 'static,
{
    // One thread: what a client of its own on each core would add, the server would lack.
    let local = tokio::task::LocalSet::new();
    let mut reports = Vec::new();
    for n in 0..in_flight {
        reports.push(connect(n).await?);
    }
    local
        .run_until(async move {
            let (started, mut tasks) = (Instant::now(), JoinSet::new());
            for mut report in reports {
                tasks.spawn_local(async move {
                    let mut count = 0_u64;
                    while started.elapsed() < time {
                        report().await?;
                        count += 1;
                    }
                    anyhow::Ok(count)
                });
            }
            let mut all = 0;
            while let Some(count) = tasks.join_next().await {
                all += count.context("a client")??;
            }
            Ok(all as f64 / started.elapsed().as_secs_f64())
        })
        .await
}

/// What a beat says, as JSON of about the same size.
fn report(counter: u64) -> String {
    let values =
        format!(r#""uptime_s":{},"load":0.{},"memory_percent":31.5,"disk_percent":12.3"#, 60 * counter, counter % 90);
    let rest =
        r#""disk_free":8123456789,"agent":"0.1.0","counters":{"mails_passed":1204,"queue":7},"temperature_c":41.5"#;
    format!(r#"{{"boot":"74686520666972737420626f6f742e2e","counter":{counter},"values":{{{values},{rest}}}}}"#)
}

/// The same as samples.
fn metrics(counter: u64) -> String {
    format!(
        "uptime_s {}\nload 0.{}\nmemory_percent 31.5\ndisk_percent 12.3\ndisk_free 8123456789\nmails_passed {}\nqueue 7\ntemperature_c 41.5\n",
        60 * counter,
        counter % 90,
        counter * 7
    )
}

fn listening(port: u16, server: &Running) {
    until("a peer to listen", Duration::from_secs(30), || {
        Blocking::connect(("127.0.0.1", port)).map(drop).map_err(|_| server.said())
    });
}

fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
