//! What one would use instead to watch a host: started with the least that they need, on loopback, ended by their ids.

use super::footprint::Watched;
use crate::process::Running;
use crate::wait::until;
use anyhow::Context;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// A program that watches a host.
pub struct Monitor {
    /// Its name.
    pub name: &'static str,
    /// Where its plug-ins lie.
    pub plugins: PathBuf,
    /// What it uses.
    pub watched: Watched,
    _running: Running,
}

/// Programs that are not installed.
pub fn missing() -> Vec<&'static str> {
    [NODE_EXPORTER, ZABBIX, COLLECTD].into_iter().filter(|program| !Path::new(program).is_file()).collect()
}

const NODE_EXPORTER: &str = "/usr/bin/prometheus-node-exporter";
const ZABBIX: &str = "/usr/sbin/zabbix_agent2";
const COLLECTD: &str = "/usr/sbin/collectd";

/// Starts all of them. They work in `folder`, and have started when they do what they are for.
pub fn start(folder: &Path) -> anyhow::Result<Vec<Monitor>> {
    Ok(vec![node_exporter(folder)?, zabbix(folder)?, collectd(folder)?])
}

fn node_exporter(folder: &Path) -> anyhow::Result<Monitor> {
    let address = format!("127.0.0.1:{}", free_port()?);
    let mut command = Command::new(NODE_EXPORTER);
    command.arg(format!("--web.listen-address={address}"));
    let running = Running::start(&mut command, &folder.join("node-exporter.log"));
    // Asked once, as it will be every minute: it has then loaded what it measures with.
    let answer = until("node-exporter's first values", PATIENCE, || get(&address).map_err(|error| error.to_string()));
    anyhow::ensure!(answer.contains("node_load1"), "node-exporter: {}", running.said());
    monitor("prometheus-node-exporter", running, "")
}

fn zabbix(folder: &Path) -> anyhow::Result<Monitor> {
    // It takes no port above 32,767, where the kernel's own choice begins.
    let port = (20_000..32_767).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).context("a free port")?;
    let config = folder.join("zabbix.conf");
    let sockets = folder.display();
    let text = format!(
        "Hostname=bench\nServer=127.0.0.1\nListenIP=127.0.0.1\nListenPort={port}\nLogType=console\n\
         ControlSocket={sockets}/zabbix.sock\nPluginSocket={sockets}/plugin.sock\n"
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(ZABBIX);
    command.arg("-c").arg(&config).arg("-f");
    let running = Running::start(&mut command, &folder.join("zabbix.log"));
    until("zabbix-agent2 to listen", PATIENCE, || {
        TcpStream::connect(("127.0.0.1", port)).map(drop).map_err(|_| running.said())
    });
    monitor("zabbix-agent2", running, "")
}

/// It sends load, memory, disks, uptime and interfaces once a minute by HTTP, as an agent beats. Whom it sends them to takes
/// no TLS: that is to its advantage.
fn collectd(folder: &Path) -> anyhow::Result<Monitor> {
    let (port, heard) = receiver()?;
    let config = folder.join("collectd.conf");
    let base = folder.display();
    let mut text = format!("BaseDir \"{base}\"\nPIDFile \"{base}/collectd.pid\"\nInterval 60\n");
    for plugin in ["load", "memory", "df", "uptime", "interface", "write_http"] {
        text += &format!("LoadPlugin {plugin}\n");
    }
    text += &format!("<Plugin write_http>\n<Node \"noc\">\nURL \"http://127.0.0.1:{port}/\"\nFormat \"JSON\"\n");
    // What it gathers before it sends; the default waits for more than these values are in minutes.
    text += "BufferSize 1024\n</Node>\n</Plugin>\n";
    std::fs::write(&config, text)?;
    let mut command = Command::new(COLLECTD);
    command.arg("-f").arg("-C").arg(&config);
    let running = Running::start(&mut command, &folder.join("collectd.log"));
    until("collectd's first values", PATIENCE, || heard.try_recv().map_err(|_| running.said()));
    monitor("collectd", running, "/usr/lib/collectd")
}

const PATIENCE: Duration = Duration::from_secs(90);

fn monitor(name: &'static str, running: Running, plugins: &str) -> anyhow::Result<Monitor> {
    let plugins = if plugins.is_empty() { PathBuf::from("/nonexistent") } else { PathBuf::from(plugins) };
    let watched = Watched::start(running.id()).with_context(|| format!("{name}: {}", running.said()))?;
    Ok(Monitor { name, plugins, watched, _running: running })
}

/// A port that was free a moment ago is free enough for a benchmark on loopback.
fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn get(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Takes whatever is posted and answers that it is well.
fn receiver() -> anyhow::Result<(u16, std::sync::mpsc::Receiver<()>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    let (tell, heard) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The benchmark may have ended.
            if take(stream).is_ok() && tell.send(()).is_err() {
                break;
            }
        }
    });
    Ok((port, heard))
}

/// One request of a connection, with its body.
fn take(stream: TcpStream) -> std::io::Result<()> {
    use std::io::BufRead;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = std::io::BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line == "\r\n" {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        } else if name.eq_ignore_ascii_case("expect") {
            reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
    }
    std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink())?;
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
}
