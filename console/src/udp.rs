//! The console's sockets: one for IPv4 and one for IPv6, on every interface at once, on one port of our own.
//!
//! Datagrams name their interface both ways (packet information, scope id), so one socket serves interfaces that come and
//! go. An appliance without an address answers by broadcast or multicast to our port: both sockets take those too.

mod os;

use muster_protocol::wire::{GROUP, MAX_DATAGRAM, PORT, Peer};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;
use tokio::net::UdpSocket;
use tokio::sync::mpsc;

/// What is asked of the kernel; `rmem_max` may clamp it (`design.md` §4).
const RECEIVE_BUFFER: usize = 4 << 20;

/// Datagrams that are taken in one go.
const MOST_AT_ONCE: usize = 64;

/// A datagram that came in.
pub(crate) type Received = (Peer, Vec<u8>);

/// The sockets.
pub(crate) struct Udp {
    v4: Option<Arc<UdpSocket>>,
    v6: Option<Arc<UdpSocket>>,
    /// Real interfaces are used, not only targets.
    lan: bool,
    interfaces: BTreeMap<u32, Interface>,
    targets: Vec<SocketAddr>,
    receive_buffer: usize,
    problems: Vec<String>,
}

/// Where a datagram for everybody went.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// It went out somewhere.
    pub(crate) anybody: bool,
    /// The interfaces it went out on.
    pub(crate) interfaces: BTreeSet<u32>,
    /// One line an interface: its name, and what failed if all did.
    pub(crate) report: Vec<String>,
}

/// A network interface that is up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interface {
    pub(crate) name: String,
    /// Directed broadcast addresses.
    broadcasts: Vec<Ipv4Addr>,
}

impl Udp {
    /// Opens the sockets. A family that the system refuses is left out and told by [`Self::everywhere`].
    pub(crate) fn open(lan: bool, targets: Vec<SocketAddr>) -> io::Result<Udp> {
        let mut problems = Vec::new();
        let v4 = os::open_v4(0, RECEIVE_BUFFER);
        let port = v4.as_ref().ok().and_then(|socket| socket.local_addr().ok()).map_or(0, |address| address.port());
        let v6 = os::open_v6(port, RECEIVE_BUFFER);
        let mut receive_buffer = usize::MAX;
        let mut usable = |family: &str, socket: io::Result<UdpSocket>| match socket {
            Ok(socket) => {
                receive_buffer = receive_buffer.min(os::receive_buffer(&socket));
                Ok(Some(Arc::new(socket)))
            }
            Err(error) => {
                problems.push(format!("{family}: {error}"));
                Err(error)
            }
        };
        let (v4, v6) = match (usable("IPv4", v4), usable("IPv6", v6)) {
            (Err(error), Err(_)) => return Err(error),
            (v4, v6) => (v4.ok().flatten(), v6.ok().flatten()),
        };
        let mut udp = Udp { v4, v6, lan, interfaces: BTreeMap::new(), targets, receive_buffer, problems };
        udp.refresh();
        Ok(udp)
    }

    /// The smaller receive buffer, as the kernel has it.
    pub(crate) fn receive_buffer(&self) -> usize {
        self.receive_buffer
    }

    /// Extra addresses that get what goes everywhere.
    pub(crate) fn set_targets(&mut self, targets: Vec<SocketAddr>) {
        self.targets = targets;
    }

    /// Looks which interfaces there are now, and listens to the group on each.
    pub(crate) fn refresh(&mut self) {
        if !self.lan {
            return;
        }
        match if_addrs::get_if_addrs() {
            Ok(addresses) => self.interfaces = usable_interfaces(&addresses),
            Err(error) => tracing::warn!(%error, "interfaces cannot be listed; the last list stays"),
        }
        if let Some(v6) = &self.v6 {
            for index in self.interfaces.keys() {
                // Fails where it was joined before, and where the interface has no IPv6: both are fine.
                let _ = v6.join_multicast_v6(&GROUP, *index);
            }
        }
    }

    /// `fe80::1%eth0`, `192.0.2.7%eth0`, `127.0.0.1:40000`.
    pub(crate) fn place(&self, peer: &Peer) -> String {
        match self.interfaces.get(&peer.interface) {
            Some(interface) => format!("{}%{}", peer.address.ip(), interface.name),
            None => peer.address.to_string(),
        }
    }

    /// Reads both sockets for as long as the receiver of `into` lives.
    pub(crate) fn spawn_readers(&self, into: &mpsc::Sender<Received>) {
        for socket in [&self.v4, &self.v6].into_iter().flatten() {
            tokio::spawn(read(Arc::clone(socket), into.clone()));
        }
    }

    /// Sends to the group, by broadcast, and to every target.
    pub(crate) async fn everywhere(&self, bytes: &[u8]) -> Reached {
        let mut reached = Reached { report: self.problems.clone(), ..Reached::default() };
        for (index, interface) in &self.interfaces {
            match self.on_interface(*index, interface, bytes).await {
                Ok(()) => {
                    reached.anybody = true;
                    reached.interfaces.insert(*index);
                    reached.report.push(interface.name.clone());
                }
                Err(error) => reached.report.push(format!("{}: {error}", interface.name)),
            }
        }
        for target in &self.targets {
            match self.send(&Peer { interface: 0, address: *target }, bytes).await {
                Ok(()) => {
                    reached.anybody = true;
                    reached.report.push(target.to_string());
                }
                Err(error) => reached.report.push(format!("{target}: {error}")),
            }
        }
        reached
    }

    /// Sends to one appliance where it was heard; to one without an address by broadcast on its interface.
    pub(crate) async fn to_peer(&self, peer: &Peer, bytes: &[u8]) -> io::Result<()> {
        match peer.address {
            SocketAddr::V4(address) if address.ip().is_unspecified() => {
                let everybody = SocketAddr::from((Ipv4Addr::BROADCAST, address.port()));
                self.send(&Peer { address: everybody, ..*peer }, bytes).await
            }
            _ => self.send(peer, bytes).await,
        }
    }

    /// Good when one way worked: an interface may lack either family.
    async fn on_interface(&self, index: u32, interface: &Interface, bytes: &[u8]) -> io::Result<()> {
        let group = SocketAddr::V6(SocketAddrV6::new(GROUP, PORT, 0, index));
        let broadcasts = std::iter::once(Ipv4Addr::BROADCAST).chain(interface.broadcasts.iter().copied());
        let broadcasts = broadcasts.map(|address| SocketAddr::V4(SocketAddrV4::new(address, PORT)));
        let mut outcome = Err(io::ErrorKind::NetworkUnreachable.into());
        for address in std::iter::once(group).chain(broadcasts) {
            match (self.send(&Peer { interface: index, address }, bytes).await, &outcome) {
                (Ok(()), _) => outcome = Ok(()),
                (Err(error), Err(_)) => outcome = Err(error),
                (Err(_), Ok(())) => {}
            }
        }
        outcome
    }

    async fn send(&self, peer: &Peer, bytes: &[u8]) -> io::Result<()> {
        match (peer.address, &self.v4, &self.v6) {
            (SocketAddr::V4(address), Some(socket), _) => os::send_v4(socket, address, peer.interface, bytes).await,
            (SocketAddr::V6(address), _, Some(socket)) => socket.send_to(bytes, address).await.map(drop),
            _ => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }
}

/// Takes datagrams out of the kernel as fast as they come: who handles them may be busy, and the kernel's buffer is small.
async fn read(socket: Arc<UdpSocket>, into: mpsc::Sender<Received>) {
    // One byte more than a datagram may have, so that a longer one is told from one that fits.
    let mut buffer = vec![0; MAX_DATAGRAM + 1];
    let mut batch = Vec::with_capacity(MOST_AT_ONCE);
    loop {
        let mut failed = tokio::select! {
            ready = socket.readable() => ready.err(),
            () = into.closed() => return,
        };
        while failed.is_none() && batch.len() < MOST_AT_ONCE {
            match os::receive_now(&socket, &mut buffer) {
                Ok((length, peer)) => batch.push((peer, buffer[..length].to_vec())),
                Err(error) => failed = Some(error),
            }
        }
        if !batch.is_empty() {
            let Ok(permits) = into.reserve_many(batch.len()).await else { return };
            permits.zip(batch.drain(..)).for_each(|(permit, received)| permit.send(received));
        }
        // An ICMP error to something sent earlier shows up here. It says nothing about what comes next.
        if let Some(error) = failed.filter(|error| error.kind() != io::ErrorKind::WouldBlock) {
            tracing::debug!(%error, "a receive failed");
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

fn usable_interfaces(addresses: &[if_addrs::Interface]) -> BTreeMap<u32, Interface> {
    let mut interfaces: BTreeMap<u32, Interface> = BTreeMap::new();
    for address in addresses {
        let Some(index) = address.index else { continue };
        // A tunnel is no local network, and a loopback reaches nobody.
        if address.is_loopback() || address.is_p2p || !may_be_up(&address.oper_status) {
            continue;
        }
        let interface = interfaces.entry(index).or_default();
        interface.name.clone_from(&address.name);
        if let (if_addrs::IfAddr::V4(v4), IpAddr::V4(_)) = (&address.addr, address.ip())
            && let Some(broadcast) = v4.broadcast
            && !interface.broadcasts.contains(&broadcast)
        {
            interface.broadcasts.push(broadcast);
        }
    }
    interfaces
}

/// Many drivers never say more than "unknown".
fn may_be_up(status: &if_addrs::IfOperStatus) -> bool {
    matches!(status, if_addrs::IfOperStatus::Up | if_addrs::IfOperStatus::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_target_on_loopback_gets_what_goes_everywhere_and_its_answer_comes_back() {
        let appliance = UdpSocket::bind("127.0.0.1:0").await.expect("loopback");
        let target = appliance.local_addr().expect("bound");
        let udp = Udp::open(false, vec![target]).expect("sockets");
        assert!(udp.receive_buffer() > 0);
        let (sender, mut received) = mpsc::channel(10);
        udp.spawn_readers(&sender);
        let reached = udp.everywhere(b"question").await;
        let expected = Reached { anybody: true, report: vec![target.to_string()], ..Reached::default() };
        assert_eq!(reached, expected);
        let mut buffer = [0; 100];
        let (length, from) = appliance.recv_from(&mut buffer).await.expect("the question");
        assert_eq!(&buffer[..length], b"question");
        appliance.send_to(b"answer", from).await.expect("sent");
        let (peer, bytes) = received.recv().await.expect("the answer");
        assert_eq!((peer.address, bytes.as_slice()), (target, &b"answer"[..]));
        assert!(peer.interface > 0, "packet information names the interface");
        udp.to_peer(&peer, b"again").await.expect("sent");
        let (length, _) = appliance.recv_from(&mut buffer).await.expect("to the peer");
        assert_eq!(&buffer[..length], b"again");
    }

    #[test]
    fn loopback_tunnels_and_interfaces_that_are_down_are_left_out() {
        use if_addrs::{IfAddr, IfOperStatus, Ifv4Addr};
        let interface = |name: &str, index, last, status, is_p2p| if_addrs::Interface {
            name: name.to_owned(),
            addr: IfAddr::V4(Ifv4Addr {
                ip: if name == "lo" { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(192, 0, 2, last) },
                netmask: Ipv4Addr::new(255, 255, 255, 0),
                prefixlen: 24,
                broadcast: Some(Ipv4Addr::new(192, 0, 2, 255)),
            }),
            index: Some(index),
            oper_status: status,
            is_p2p,
        };
        let all = [
            interface("lo", 1, 1, IfOperStatus::Unknown, false),
            interface("eth0", 2, 2, IfOperStatus::Up, false),
            interface("eth0", 2, 3, IfOperStatus::Up, false),
            interface("eth1", 3, 4, IfOperStatus::Down, false),
            interface("tun0", 4, 5, IfOperStatus::Unknown, true),
        ];
        let usable = usable_interfaces(&all);
        assert_eq!(usable.len(), 1);
        assert_eq!(usable[&2], Interface { name: "eth0".into(), broadcasts: vec![Ipv4Addr::new(192, 0, 2, 255)] });
    }
}
