//! How the NOC is reached: whether it serves, under which names, and for how many.

use super::Finding;
use super::folder::Keys;
use crate::config::{Config, join_address};
use crate::server::{LOCK, bind};
use crate::tls::provider;
use nix::sys::resource::{Resource, getrlimit};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::fs::{File, TryLockError};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Until somebody who does not answer counts as not there.
const PATIENCE: Duration = Duration::from_secs(5);
/// Open files besides one for each appliance.
const FILES: u64 = 256;
/// Fewer are too few for any NOC.
const FEWEST: u64 = 1_024;

pub(super) fn open_files(appliances: u64) -> Finding {
    let needed = (appliances + FILES).max(FEWEST);
    match getrlimit(Resource::RLIMIT_NOFILE) {
        Ok((_, hard)) if hard < needed => Finding::warning(
            "files",
            format!("{hard} files may be open; {appliances} appliances need {needed}"),
            "Raise the limit, in the unit as `LimitNOFILE=65536`.",
        ),
        Ok((_, hard)) => Finding::ok("files", format!("{hard} files may be open, {needed} are needed")),
        Err(error) => Finding::warning(
            "files",
            format!("the limit of open files is not known: {error}"),
            "Look with `ulimit -Hn`.",
        ),
    }
}

pub(super) fn examine(path: &Path, config: &Config, keys: Option<&Keys>, findings: &mut Vec<Finding>) {
    let is_served = is_served(path);
    findings.push(listening(config.listen, is_served));
    for (host, port) in config.names() {
        let port = if port == 0 { config.listen.port() } else { port };
        let address = join_address(&host, port);
        let Some(found) = resolve(&host, port, findings) else { continue };
        if let (true, Some(keys), true) = (is_served, keys, port != 0) {
            findings.push(reached(&address, &host, &found, keys));
        }
    }
}

/// Whether a process holds the lock of those that serve.
fn is_served(path: &Path) -> bool {
    let Ok(file) = File::options().write(true).open(path.join(LOCK)) else { return false };
    matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

fn listening(listen: SocketAddr, is_served: bool) -> Finding {
    if is_served {
        return Finding::ok("serving", "a process serves this folder");
    }
    match bind(listen) {
        Ok(_) => Finding::warning(
            "serving",
            format!("nobody serves this folder; {listen} is free"),
            "Start the service: `systemctl start muster-noc`, or `muster-noc serve`.",
        ),
        Err(error) => Finding::error(
            "serving",
            format!("nobody serves this folder, and {listen} cannot be listened on: {error}"),
            "Stop the program that has the port, or choose another with `listen` in noc.toml.",
        ),
    }
}

/// Where a public name leads. A name for another machine may be right: one that passes connections on.
fn resolve(host: &str, port: u16, findings: &mut Vec<Finding>) -> Option<Vec<SocketAddr>> {
    let found: Vec<_> = match (host, port).to_socket_addrs() {
        Ok(found) => found.collect(),
        Err(error) => {
            let what = format!("the public name {host} leads nowhere: {error}");
            findings.push(Finding::error("address", what, "Add it to the DNS, or correct `addresses` in noc.toml."));
            return None;
        }
    };
    let here = found.iter().any(|address| is_here(address.ip()));
    findings.push(if here {
        Finding::ok("address", format!("the public name {host} leads to this machine"))
    } else {
        let what = format!("the public name {host} leads to another machine");
        Finding::warning("address", what, "Right if that one passes connections on to this one; else correct the DNS.")
    });
    Some(found)
}

/// Only an address of one's own can be bound.
fn is_here(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Connects as an appliance would, which trusts the CA and nothing else.
fn reached(address: &str, host: &str, found: &[SocketAddr], keys: &Keys) -> Finding {
    let remedy = "Restart the service if `addresses` was changed since; else look what answers there.";
    match handshake(host, found, keys) {
        Ok(()) => Finding::ok("certificate", format!("{address} answers with a certificate of this NOC for that name")),
        Err(error) if error.kind() == ErrorKind::InvalidData => Finding::error(
            "certificate",
            format!("{address} does not answer with a certificate of this NOC for that name: {error}"),
            remedy,
        ),
        Err(error) => Finding::error(
            "certificate",
            format!("{address} does not answer: {error}"),
            "Let the port through the firewall, or correct `addresses` and `listen` in noc.toml.",
        ),
    }
}

fn handshake(host: &str, found: &[SocketAddr], keys: &Keys) -> io::Result<()> {
    let other = io::Error::other::<rustls::Error>;
    let mut roots = RootCertStore::empty();
    roots.add(keys.authority.certificate().clone()).map_err(other)?;
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut last = ErrorKind::AddrNotAvailable.into();
    for address in found {
        let mut stream = match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(stream) => stream,
            Err(error) => {
                last = error;
                continue;
            }
        };
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut tls = ClientConnection::new(Arc::new(config), name).map_err(other)?;
        while tls.is_handshaking() {
            tls.complete_io(&mut stream)?;
        }
        tls.send_close_notify();
        tls.write_tls(&mut stream)?;
        return Ok(());
    }
    Err(last)
}
