//! The sockets of one interface on port 6878, which work whether it has an address or not.
//!
//! IPv6: the link-local group, always reachable. IPv4: broadcast, received because the socket is bound to the device.

use crate::network::Link;
use muster_protocol::wire::{GROUP, MAX_DATAGRAM, PORT, Peer};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use tokio::net::UdpSocket;

/// Sockets bound to one interface. Either may be missing where its protocol is switched off.
#[derive(Debug)]
pub struct Sockets {
    interface: u32,
    v4: Option<UdpSocket>,
    v6: Option<UdpSocket>,
}

/// A received datagram.
#[derive(Debug)]
pub struct Received {
    /// From where.
    pub peer: Peer,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

impl Sockets {
    /// Opens what can be opened; fails only if nothing can.
    pub fn open(link: &Link) -> io::Result<Sockets> {
        let v4 = open_v4(link);
        let v6 = open_v6(link);
        for (name, result) in [("IPv4", &v4), ("IPv6", &v6)] {
            if let Err(error) = result {
                tracing::warn!(%error, interface = link.name, "no {name} socket");
            }
        }
        match (v4, v6) {
            (Err(error), Err(_)) => Err(error),
            (v4, v6) => Ok(Sockets { interface: link.index, v4: v4.ok(), v6: v6.ok() }),
        }
    }

    /// Opens what could not be opened before: a protocol may have been switched on since.
    pub fn complete(&mut self, link: &Link) {
        if self.v4.is_none() {
            self.v4 = open_v4(link).ok();
        }
        if self.v6.is_none() {
            self.v6 = open_v6(link).ok();
        }
    }

    /// The next datagram; longer ones than a Muster datagram are dropped. Cancel-safe.
    pub async fn receive(&self) -> Received {
        // One byte more than allowed, to tell a datagram that was cut.
        let (mut four, mut six) = ([0; MAX_DATAGRAM + 1], [0; MAX_DATAGRAM + 1]);
        loop {
            let (received, buffer) = tokio::select! {
                received = receive(self.v4.as_ref(), &mut four) => (received, &four),
                received = receive(self.v6.as_ref(), &mut six) => (received, &six),
            };
            match received {
                Ok((length, address)) if length <= MAX_DATAGRAM => {
                    let peer = Peer { interface: self.interface, address };
                    return Received { peer, bytes: buffer[..length].to_vec() };
                }
                Ok(_) => {}
                Err(error) => {
                    // Also the kernel's word of an earlier answer that could not be delivered.
                    tracing::debug!(%error, "receiving");
                    tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                }
            }
        }
    }

    /// Answers a peer. `networks`: the interface's IPv4 addresses with prefixes. A peer outside them is answered by
    /// broadcast as well, for a unicast answer may not find its way.
    pub async fn answer(&self, peer: &Peer, bytes: &[u8], networks: &[(Ipv4Addr, u8)]) {
        match peer.address {
            SocketAddr::V6(address) => {
                send(self.v6.as_ref(), bytes, SocketAddr::V6(with_scope(address, self.interface))).await
            }
            SocketAddr::V4(address) => {
                let on_link = networks.iter().any(|network| contains(*network, *address.ip()));
                if !address.ip().is_unspecified() {
                    send(self.v4.as_ref(), bytes, peer.address).await;
                }
                if !on_link {
                    let everybody = SocketAddrV4::new(Ipv4Addr::BROADCAST, address.port());
                    send(self.v4.as_ref(), bytes, everybody.into()).await;
                }
            }
        }
    }
}

fn open_v4(link: &Link) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(link.name.as_bytes()))?;
    socket.set_broadcast(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    finish(socket)
}

fn open_v6(link: &Link) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    socket.set_reuse_address(true)?;
    socket.bind_device(Some(link.name.as_bytes()))?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
    socket.join_multicast_v6(&GROUP, link.index)?;
    finish(socket)
}

fn finish(socket: Socket) -> io::Result<UdpSocket> {
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => std::future::pending().await,
    }
}

async fn send(socket: Option<&UdpSocket>, bytes: &[u8], to: SocketAddr) {
    let Some(socket) = socket else { return };
    if let Err(error) = socket.send_to(bytes, to).await {
        tracing::debug!(%error, %to, "answering");
    }
}

fn with_scope(mut address: SocketAddrV6, interface: u32) -> SocketAddrV6 {
    if address.ip().is_unicast_link_local() && address.scope_id() == 0 {
        address.set_scope_id(interface);
    }
    address
}

fn contains((address, prefix): (Ipv4Addr, u8), peer: Ipv4Addr) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
    u32::from(address) & mask == u32::from(peer) & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_on_link_if_its_prefix_fits() {
        let network = (Ipv4Addr::new(192, 0, 2, 10), 24);
        assert!(contains(network, Ipv4Addr::new(192, 0, 2, 200)));
        assert!(!contains(network, Ipv4Addr::new(192, 0, 3, 200)));
        assert!(contains((network.0, 0), Ipv4Addr::new(8, 8, 8, 8)));
        assert!(!contains((network.0, 32), Ipv4Addr::new(192, 0, 2, 11)));
    }
}
