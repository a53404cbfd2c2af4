//! What differs between systems: socket options, and which interface an IPv4 datagram came in by or goes out of.

use muster_protocol::wire::Peer;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrStorage, recvmsg, sendmsg, setsockopt, sockopt,
};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// An IPv4 socket that may broadcast and tells the interface of what it receives.
pub(super) fn open_v4(port: u16, receive_buffer: usize) -> io::Result<UdpSocket> {
    let socket = open(Domain::IPV4, receive_buffer)?;
    socket.set_broadcast(true)?;
    setsockopt(&socket, sockopt::Ipv4PacketInfo, &true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
    UdpSocket::from_std(socket.into())
}

/// An IPv6 socket; on `port` if it is free, else on any.
pub(super) fn open_v6(port: u16, receive_buffer: usize) -> io::Result<UdpSocket> {
    let socket = open(Domain::IPV6, receive_buffer)?;
    socket.set_only_v6(true)?;
    let bind = |port| socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)).into());
    bind(port).or_else(|_| bind(0))?;
    UdpSocket::from_std(socket.into())
}

/// The size of the receive buffer as the kernel has it. Linux reports twice what it keeps for data.
pub(super) fn receive_buffer(socket: &UdpSocket) -> usize {
    SockRef::from(socket).recv_buffer_size().unwrap_or(0) / 2
}

/// The next datagram that is there: its length, and where it came from.
pub(super) fn receive_now(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Peer)> {
    socket.try_io(Interest::READABLE, || receive(socket, buffer))
}

/// Sends out of an interface, whatever the routing table says; 0 leaves the choice to it.
pub(super) async fn send_v4(socket: &UdpSocket, to: SocketAddrV4, interface: u32, bytes: &[u8]) -> io::Result<()> {
    if interface == 0 || to.ip().is_loopback() {
        return socket.send_to(bytes, SocketAddr::V4(to)).await.map(drop);
    }
    let information = libc::in_pktinfo {
        ipi_ifindex: i32::try_from(interface).unwrap_or(0),
        ipi_spec_dst: libc::in_addr { s_addr: 0 },
        ipi_addr: libc::in_addr { s_addr: 0 },
    };
    let send = || {
        let control = [ControlMessage::Ipv4PacketInfo(&information)];
        let address = SockaddrIn::from(to);
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::MSG_DONTWAIT, Some(&address))
            .map(drop)
            .map_err(io::Error::from)
    };
    socket.async_io(Interest::WRITABLE, send).await
}

fn open(domain: Domain, receive_buffer: usize) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // With the right to do so the buffer may exceed `rmem_max`; without it, as much as that allows.
    if setsockopt(&socket, sockopt::RcvBufForce, &receive_buffer).is_err() {
        socket.set_recv_buffer_size(receive_buffer)?;
    }
    Ok(socket)
}

fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Peer)> {
    let mut control = nix::cmsg_space!(libc::in_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let message =
        recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_DONTWAIT)?;
    let mut interface = 0;
    for control in message.cmsgs()? {
        if let ControlMessageOwned::Ipv4PacketInfo(information) = control {
            interface = u32::try_from(information.ipi_ifindex).unwrap_or(0);
        }
    }
    let address = message.address.as_ref();
    if let Some(v4) = address.and_then(SockaddrStorage::as_sockaddr_in) {
        return Ok((message.bytes, Peer { interface, address: SocketAddrV4::from(*v4).into() }));
    }
    if let Some(v6) = address.and_then(SockaddrStorage::as_sockaddr_in6) {
        // A link-local address names its interface by itself.
        return Ok((message.bytes, Peer { interface: v6.scope_id(), address: SocketAddrV6::from(*v6).into() }));
    }
    Err(io::ErrorKind::InvalidData.into())
}
