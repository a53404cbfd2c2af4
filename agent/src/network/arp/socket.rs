//! ARP on one interface, whatever addresses it has: a packet socket with a filter in the kernel, so that other traffic wakes
//! nobody.

use super::packet::{ArpPacket, FRAME};
use crate::network::{Link, NetworkError};
use muster_protocol::id::Mac;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::LinkAddr;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// A socket for ARP on one interface.
#[derive(Debug)]
pub(super) struct ArpSocket(AsyncFd<Socket>);

const ETH_P_ARP: u16 = 0x0806;

impl ArpSocket {
    /// Opens it. Only what passes the filter is received.
    pub(super) fn open(link: &Link, filter: &[SockFilter]) -> Result<ArpSocket, NetworkError> {
        let missing = || NetworkError::NoInterface { interface: link.name.clone() };
        let place = place(link.index).map_err(refused)?.ok_or_else(missing)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that do not own their descriptor; this one does"
        )]
        let opened = || -> io::Result<AsyncFd<Socket>> {
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(ETH_P_ARP.to_be()))))?;
            socket.attach_filter(filter)?;
            nix::sys::socket::bind(socket.as_raw_fd(), &place)?;
            socket.set_nonblocking(true)?;
            // What came in before these two was not filtered, or is of other interfaces.
            while (&socket).read(&mut [0; FRAME]).is_ok() {}
            AsyncFd::with_interest(socket, Interest::READABLE)
        };
        Ok(ArpSocket(opened().map_err(refused)?))
    }

    /// The next ARP packet. Cancel-safe.
    pub(super) async fn receive(&self) -> io::Result<ArpPacket> {
        loop {
            let mut frame = [0; FRAME];
            let length = self.0.async_io(Interest::READABLE, |mut socket| socket.read(&mut frame)).await?;
            if let Some(packet) = ArpPacket::of_frame(&frame[..length]) {
                return Ok(packet);
            }
        }
    }

    /// The next ARP packet that is here already.
    pub(super) fn take(&self) -> Option<ArpPacket> {
        let mut frame = [0; FRAME];
        let length = self.0.get_ref().read(&mut frame).ok()?;
        ArpPacket::of_frame(&frame[..length])
    }

    /// Sends to everybody on the link.
    pub(super) fn send(&self, packet: &ArpPacket) -> io::Result<()> {
        self.0.get_ref().write(&packet.to_frame()).map(drop)
    }
}

/// The kernel's form of an interface's link-layer address, by which a packet socket is bound.
fn place(index: u32) -> io::Result<Option<LinkAddr>> {
    let is_it = |place: &LinkAddr| u32::try_from(place.ifindex()).is_ok_and(|found| found == index);
    Ok(getifaddrs()?.find_map(|found| found.address?.as_link_addr().copied().filter(is_it)))
}

fn refused(source: io::Error) -> NetworkError {
    NetworkError::Kernel { action: "open a socket for address probes", source }
}

// Classic BPF (linux/filter.h): load a word or half of the frame, compare, return.
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;
/// Where an ARP frame has its sender's MAC and IPv4 address.
const SENDER: u32 = 22;
const SENDER_ADDRESS: u32 = 28;

/// Passes everything.
pub(super) fn all() -> Vec<SockFilter> {
    vec![SockFilter::new(RETURN, 0, 0, FRAME as u32)]
}

/// Passes what somebody else sends as the owner of `address`.
pub(super) fn claims_by_others(mac: Mac, address: Ipv4Addr) -> Vec<SockFilter> {
    let [a, b, c, d, e, f] = mac.0;
    vec![
        SockFilter::new(LOAD_WORD, 0, 0, SENDER_ADDRESS),
        SockFilter::new(JUMP_EQUAL, 0, 5, u32::from(address)),
        SockFilter::new(LOAD_WORD, 0, 0, SENDER),
        SockFilter::new(JUMP_EQUAL, 0, 2, u32::from_be_bytes([a, b, c, d])),
        SockFilter::new(LOAD_HALF, 0, 0, SENDER + 4),
        SockFilter::new(JUMP_EQUAL, 1, 0, u32::from(u16::from_be_bytes([e, f]))),
        SockFilter::new(RETURN, 0, 0, FRAME as u32),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}
