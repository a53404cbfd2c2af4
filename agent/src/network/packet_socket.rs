//! Frames on one interface, whatever addresses it has: a packet socket with a filter in the kernel, so that other traffic wakes
//! nobody.

use super::{Link, NetworkError};
use muster_protocol::id::Mac;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::LinkAddr;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The longest frame that is looked at; of a longer one its beginning.
pub(super) const LONGEST: usize = 128;

/// A socket for the frames of one protocol on one interface.
#[derive(Debug)]
pub(super) struct PacketSocket(AsyncFd<Socket>);

impl PacketSocket {
    /// Opens it for an EtherType. Only what passes the filter is received.
    pub(super) fn open(link: &Link, ethertype: u16, filter: &[SockFilter]) -> Result<PacketSocket, NetworkError> {
        let missing = || NetworkError::NoInterface { interface: link.name.clone() };
        let place = place(link.index).map_err(refused)?.ok_or_else(missing)?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe for types that do not own their descriptor; this one does"
        )]
        let opened = || -> io::Result<AsyncFd<Socket>> {
            let socket = Socket::new(Domain::PACKET, Type::RAW, Some(Protocol::from(i32::from(ethertype.to_be()))))?;
            socket.attach_filter(filter)?;
            nix::sys::socket::bind(socket.as_raw_fd(), &place)?;
            socket.set_nonblocking(true)?;
            // What came in before these two was not filtered, or is of other interfaces.
            while (&socket).read(&mut [0; LONGEST]).is_ok() {}
            AsyncFd::with_interest(socket, Interest::READABLE)
        };
        Ok(PacketSocket(opened().map_err(refused)?))
    }

    /// The next frame that is what `read` reads. Cancel-safe.
    pub(super) async fn receive<P>(&self, read: impl Fn(&[u8]) -> Option<P>) -> io::Result<P> {
        loop {
            let mut frame = [0; LONGEST];
            let length = self.0.async_io(Interest::READABLE, |mut socket| socket.read(&mut frame)).await?;
            if let Some(packet) = read(&frame[..length]) {
                return Ok(packet);
            }
        }
    }

    /// The next such frame that is here already.
    pub(super) fn take<P>(&self, read: impl Fn(&[u8]) -> Option<P>) -> Option<P> {
        let mut frame = [0; LONGEST];
        let length = self.0.get_ref().read(&mut frame).ok()?;
        read(&frame[..length])
    }

    /// Sends a frame.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        self.0.get_ref().write(frame).map(drop)
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

/// Passes everything.
pub(super) fn all() -> Vec<SockFilter> {
    vec![SockFilter::new(RETURN, 0, 0, LONGEST as u32)]
}

/// Passes frames that have each of these at its place (byte offset in the frame), and were not sent by `mac`, which is at `sender`.
pub(super) fn by_others(has: &[(u32, Part)], sender: u32, mac: Mac) -> Vec<SockFilter> {
    let [a, b, c, d, e, f] = mac.0;
    // Behind the comparisons: five steps for the sender, the last of which drops.
    let drop_after = |behind: usize| u8::try_from(2 * behind + 5).unwrap_or(u8::MAX);
    let mut steps = Vec::new();
    for (n, (at, part)) in has.iter().enumerate() {
        let (load, value) = match *part {
            Part::Word(value) => (LOAD_WORD, value),
            Part::Half(value) => (LOAD_HALF, value.into()),
        };
        steps.push(SockFilter::new(load, 0, 0, *at));
        steps.push(SockFilter::new(JUMP_EQUAL, 0, drop_after(has.len() - 1 - n), value));
    }
    steps.extend([
        SockFilter::new(LOAD_WORD, 0, 0, sender),
        SockFilter::new(JUMP_EQUAL, 0, 2, u32::from_be_bytes([a, b, c, d])),
        SockFilter::new(LOAD_HALF, 0, 0, sender + 4),
        SockFilter::new(JUMP_EQUAL, 1, 0, u32::from(u16::from_be_bytes([e, f]))),
        SockFilter::new(RETURN, 0, 0, LONGEST as u32),
        SockFilter::new(RETURN, 0, 0, 0),
    ]);
    steps
}

/// A part of a frame, in network order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Four bytes.
    Word(u32),
    /// Two bytes.
    Half(u16),
}
