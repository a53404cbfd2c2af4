//! The one socket of a fleet, from which each appliance may send by an address of its own.

use nix::libc;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// The fleet's socket on `address`. Asks for large buffers: a whole fleet answers, and is configured, in one burst.
pub(super) fn bind(address: SocketAddrV4) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(8 * 1024 * 1024)?;
    socket.set_send_buffer_size(8 * 1024 * 1024)?;
    socket.bind(&SocketAddr::V4(address).into())?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket.into())
}

/// Sends from one of this computer's addresses, or from any.
pub(super) async fn send_from(
    socket: &UdpSocket,
    from: Option<Ipv4Addr>,
    to: SocketAddr,
    bytes: &[u8],
) -> io::Result<()> {
    let (Some(from), SocketAddr::V4(to)) = (from, to) else {
        return socket.send_to(bytes, to).await.map(drop);
    };
    let source = libc::in_addr { s_addr: u32::from(from).to_be() };
    let information = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: source, ipi_addr: libc::in_addr { s_addr: 0 } };
    let send = || {
        let control = [ControlMessage::Ipv4PacketInfo(&information)];
        let to = SockaddrIn::from(to);
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(bytes)], &control, MsgFlags::MSG_DONTWAIT, Some(&to))
            .map(drop)
            .map_err(io::Error::from)
    };
    socket.async_io(Interest::WRITABLE, send).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_appliance_sends_from_its_own_address() {
        let fleet = bind(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0)).expect("a socket");
        let console = bind(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let to = console.local_addr().expect("bound");
        for own in [Ipv4Addr::new(127, 0, 7, 1), Ipv4Addr::new(127, 0, 7, 2)] {
            send_from(&fleet, Some(own), to, b"here").await.expect("sent");
            let (_, from) = console.recv_from(&mut [0; 9]).await.expect("received");
            assert_eq!(from.ip(), own);
        }
    }
}
